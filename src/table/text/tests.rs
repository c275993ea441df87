//! Text tables: types do not depend on quoting, and errors name file and line.

use proptest::prelude::*;

use super::*;

fn options() -> (CsvOptions, TextOptions) {
    let csv = CsvOptions { delimiter: b',', quote: Some(b'"'), header: true, columns: None };
    let text = TextOptions {
        dtypes: IndexMap::new(),
        infer_rows: 100,
        null_values: vec![String::new(), "NA".to_owned()],
    };
    (csv, text)
}

fn csv_with(text: &str, csv: &CsvOptions, options: &TextOptions) -> Result<Frame, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    std::fs::write(&path, text).unwrap();
    let name = "a.csv";
    read_csv(&[Source { name, path: &path }], csv, options, None).map(|r| r.0)
}

fn csv(text: &str) -> Result<Frame, Failure> {
    let (csv, options) = options();
    csv_with(text, &csv, &options)
}

fn json(text: &str) -> Result<Frame, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    std::fs::write(&path, text).unwrap();
    let source = Source { name: "a.json", path: &path };
    read_json(&[source], &options().1, None).map(|r| r.0)
}

fn types(frame: &Frame) -> Vec<String> {
    frame.facts().columns.iter().map(crate::table::frame::type_text).collect()
}

fn digests(frame: &Frame) -> Vec<crate::stage::Column> {
    crate::table::digest::columns(frame).unwrap()
}

#[test]
fn types_are_the_narrowest_that_fit() {
    let frame = csv("\u{feff}i,f,b,d,t,s,zip,none\n1,1.5,true,2024-02-29,2024-02-29T12:30:00.5,x,01067,NA\n\
                     -2,NA,False,1969-12-31,1970-01-01 00:00,1,7,\n")
    .unwrap();
    assert_eq!(
        types(&frame),
        ["int64", "float64", "bool", "date", "datetime(us)", "string", "string", "string"]
    );
    assert_eq!(frame.i64s("i").unwrap(), [1, -2]);
    assert_eq!(frame.strings("d").unwrap(), ["2024-02-29", "1969-12-31"]);
    assert_eq!(frame.strings("t").unwrap()[0], "2024-02-29 12:30:00.500000");
    assert_eq!(frame.strings("zip").unwrap(), ["01067", "7"]);
    assert!(frame.f64s("f").unwrap()[1].is_nan());
}

#[test]
fn what_does_not_fit_is_named_with_file_and_line() {
    let (csv_options, mut text) = options();
    text.infer_rows = 2;
    let failure = csv_with("a,b\n1,x\n2,y\n3.5,z\n", &csv_options, &text).unwrap_err();
    assert_eq!(failure.message, "a.csv:4: column `a`: `3.5` is not int64");
    assert_eq!(
        failure.hint.unwrap(),
        "the first 2 rows are int64; state the type with `dtypes: { a: float64 }`"
    );
    text.dtypes.insert("a".into(), "float32".into());
    let frame = csv_with("a,b\n1,x\n2,y\n3.5,z\n", &csv_options, &text).unwrap();
    assert_eq!(types(&frame), ["float32", "string"]);

    let message = |text: &str| csv(text).unwrap_err().message;
    assert_eq!(message("a,b\n1,2\n3\n"), "a.csv:3: 1 cells where the first line has 2");
    assert_eq!(message(""), "a.csv is empty");
    assert_eq!(message("a,a\n1,2\n"), "a.csv: two columns are called `a`");
    text.dtypes.insert("c".into(), "int8".into());
    let failure = csv_with("a,b\n1,x\n", &csv_options, &text).unwrap_err();
    assert_eq!(failure.message, "a.csv: `dtypes` names `c`, which is no column");
}

#[test]
fn columns_are_kept_in_the_order_asked_and_headers_may_be_absent() {
    let (mut csv_options, text) = options();
    csv_options.columns = Some(vec!["b".into(), "a".into()]);
    let frame = csv_with("a,b,c\n1,2,3\n", &csv_options, &text).unwrap();
    assert_eq!(frame.names(), ["b", "a"]);
    csv_options.columns = None;
    csv_options.header = false;
    let frame = csv_with("1,x\n2,y\n", &csv_options, &text).unwrap();
    assert_eq!((frame.names(), frame.rows()), (vec!["column_1", "column_2"], 2));
}

#[test]
fn the_delimiter_is_seen() {
    assert_eq!(sniff_delimiter(b"a;b;c\n1,5;2;3"), b';');
    assert_eq!(sniff_delimiter(b"\"a,b,c\"\tb\n"), b'\t');
    assert_eq!(sniff_delimiter(b"alone\n1\n"), b',');
}

proptest! {
    #[test]
    fn quoting_changes_nothing(
        rows in prop::collection::vec((any::<Option<i32>>(), "[a-z\", ]{0,6}", any::<bool>()), 1..20),
    ) {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let (mut bare, mut full) = ("n,t,b\n".to_owned(), "\"n\",\"t\",\"b\"\n".to_owned());
        for (number, text, truth) in &rows {
            let number = number.map(|n| n.to_string()).unwrap_or_default();
            let needed = text.contains(['"', ',']) || text.is_empty();
            let plain = if needed { quoted(text) } else { text.clone() };
            bare += &format!("{number},{plain},{truth}\n");
            full += &format!("{},{},{}\n", quoted(&number), quoted(text), quoted(&truth.to_string()));
        }
        prop_assert_eq!(digests(&csv(&bare).unwrap()), digests(&csv(&full).unwrap()));
    }

    #[test]
    fn dates_come_back(days in -700_000_i64..2_900_000) {
        let date = Series::new("d".into(), [days as i32]).cast(&polars::prelude::DataType::Date);
        let frame = {
            let mut frame = Frame::new();
            frame.push(date.unwrap()).unwrap();
            frame
        };
        let text = frame.strings("d").unwrap()[0].clone();
        let back = csv(&format!("d\n{text}\n")).unwrap();
        prop_assert_eq!(digests(&frame), digests(&back), "{}", text);
    }
}

use polars::prelude::{NamedFrom, Series};

#[test]
fn json_arrays_and_lines_are_the_same_table() {
    let rows = [
        r#"{"id": 1, "x": {"mean": 0.5, "n": 3}, "pixels": [[0, 1], [2, 3]], "tags": ["a"]}"#,
        r#"{"id": 2, "x": {"mean": 1}, "pixels": [[4, 5], [6, 7]], "tags": []}"#,
    ];
    let lines = json(&rows.join("\n")).unwrap();
    let array = json(&format!("[{}]", rows.join(",\n"))).unwrap();
    assert_eq!(digests(&lines), digests(&array));
    assert_eq!(lines.names(), ["id", "x.mean", "x.n", "pixels", "tags"]);
    assert_eq!(types(&lines), ["int64", "float64", "int64", "int64[2×2]", "string"]);
    assert_eq!(lines.tensor_f32("pixels").unwrap().values[5], 5.0);
    assert!(lines.f64s("x.n").unwrap()[1].is_nan());
}

#[test]
fn damaged_json_is_named() {
    let message = |text: &str| json(text).unwrap_err().message;
    assert_eq!(message("[]"), "a.json holds no objects");
    assert!(message("[{\"a\": 1}, 3]").starts_with("a.json: invalid type: integer `3`"));
    assert!(message("{\"a\": 1}\n{\"a\": ").contains("line 2"));
    let (_, mut text) = options();
    text.infer_rows = 1;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    std::fs::write(&path, "{\"a\": 1}\n{\"a\": \"x\"}\n").unwrap();
    let source = Source { name: "a.json", path: &path };
    let failure = read_json(&[source], &text, None).unwrap_err();
    assert_eq!(failure.message, "a.json, object 2: `a` is \"x\", not int64");
}
