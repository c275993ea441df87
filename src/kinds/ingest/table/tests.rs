//! Files of rows: types, formats and mistakes.

use serde_json::json;

use super::*;
use crate::kinds::testing::{Run, run_files};

const PLAIN: &str = "name,mass,year\nada,3750.5,2007\n\"o\"\"k\",NA,2008\n";

fn ingest(with: serde_json::Value, files: &[(&str, &str)]) -> Result<Run, String> {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(n, text)| (*n, text.as_bytes())).collect();
    run_files(&Table, with, &files)
}

fn schema(run: &Run) -> Vec<(String, String)> {
    run.inferred("table").columns.into_iter().map(|c| (c.name, c.dtype)).collect()
}

#[test]
fn the_plan_knows_the_schema_and_rows_have_an_id() {
    let run = ingest(json!({"path": "a.csv", "dtypes": {"year": "int16"}}), &[("a.csv", PLAIN)]).unwrap();
    let words = [("id", "int64"), ("name", "string"), ("mass", "float64"), ("year", "int16")];
    assert_eq!(schema(&run), words.map(|(n, d)| (n.to_owned(), d.to_owned())));
    let frame = run.table("table");
    assert_eq!(frame.facts().columns, run.inferred("table").columns);
    assert_eq!(frame.strings("name").unwrap(), ["ada", "o\"k"]);
    assert_eq!(frame.i64s("id").unwrap(), [0, 1]);
}

#[test]
fn quotes_and_delimiters_and_line_ends_do_not_change_the_digests() {
    let digests = |file: &str| {
        let run = ingest(json!({"path": "a.csv"}), &[("a.csv", file)]).unwrap();
        run.made("table").columns
    };
    let plain = digests(PLAIN);
    assert!(plain.iter().all(|c| c.digest.is_some()));
    let quoted =
        "\"name\",\"mass\",\"year\"\r\n\"ada\",\"3750.5\",\"2007\"\r\n\"o\"\"k\",\"NA\",\"2008\"\r\n";
    assert_eq!(plain, digests(quoted));
    assert_eq!(plain, digests("name;mass;year\nada;3750.5;2007\n\"o\"\"k\";NA;2008"));
    assert_ne!(plain, digests(&PLAIN.replace("2008", "2009")));
}

#[test]
fn a_glob_is_stacked_with_the_names_of_the_files() {
    let files = [("d/a.tsv", "k\tv\nx\t1\n"), ("d/b.tsv", "v\tk\n2\ty\n3\tz\n")];
    let run = ingest(json!({"path": "d/*.tsv", "id": "k", "file_column": "file"}), &files).unwrap();
    let frame = run.table("table");
    assert_eq!(frame.names(), ["id", "v", "file"]);
    assert_eq!(frame.strings("id").unwrap(), ["x", "y", "z"]);
    assert_eq!(frame.i64s("v").unwrap(), [1, 2, 3]);
    assert_eq!(frame.strings("file").unwrap(), ["d/a.tsv", "d/b.tsv", "d/b.tsv"]);
}

#[test]
fn parquet_and_json_are_told_by_their_bytes() {
    let csv = ingest(json!({"path": "a.csv"}), &[("a.csv", PLAIN)]).unwrap();
    let parquet = csv.bytes("table");
    let with = || json!({"path": "a.data", "columns": ["id", "name"]});
    let again = run_files(&Table, with(), &[("a.data", &parquet)]).unwrap();
    assert_eq!(again.table("table").names(), ["id", "name"]);
    assert_eq!(again.made("table").columns[..], csv.made("table").columns[..2]);
    let json = r#"[{"id": 7, "name": "ada", "extra": null}]"#;
    let run = ingest(with(), &[("a.data", json)]).unwrap();
    assert_eq!(run.table("table").i64s("id").unwrap(), [7]);
    assert_eq!(schema(&run).len(), 2);
    let cut = &parquet[..parquet.len() / 2];
    let text = run_files(&Table, with(), &[("a.data", cut)]).err().unwrap();
    assert!(text.contains("a.data as Parquet"), "{text}");
}

#[test]
fn tables_of_bids_have_their_missing_values_and_levels() {
    let file = |name: &str| format!("{}/tests/golden/hdf5/{name}", env!("CARGO_MANIFEST_DIR"));
    let of = |end: &str| std::fs::read_to_string(file(&format!("sub-01_task-types_events.{end}"))).unwrap();
    let (events, sidecar) = (of("tsv"), of("json"));
    let with = json!({"path": "events.tsv", "format": "bids", "sidecar": "events.json"});
    let read =
        |events: &str| ingest(with.clone(), &[("events.tsv", events), ("events.json", sidecar.as_str())]);
    let run = read(&events).unwrap();
    let words: Vec<String> = schema(&run).into_iter().map(|(_, word)| word).collect();
    assert_eq!(words, ["int64", "float64", "float64", "string", "string", "float64"]);
    let frame = run.table("table");
    assert_eq!(frame.names(), ["id", "onset", "duration", "trial_type", "value", "response_time"]);
    let missing = |column: &str| frame.f64s(column).unwrap().iter().filter(|v| v.is_nan()).count();
    assert_eq!((missing("onset"), missing("duration"), missing("response_time")), (0, 1, 5));
    assert_eq!((frame.f64s("onset").unwrap()[1], frame.strings("value").unwrap()[0].as_str()), (8.0, "4"));
    let text = read(&events.replacen("word", "wort", 1)).err().unwrap();
    assert_eq!(
        text,
        "events.tsv: row 0: `wort` in column `trial_type` is none of the levels that the sidecar names \
         (did you mean `word`?)"
    );
    let alone = json!({"path": "a.csv", "sidecar": "s.json"});
    let text = ingest(alone, &[("a.csv", PLAIN), ("s.json", "{}")]).err().unwrap();
    assert_eq!(text, "only tables of BIDS have a sidecar (write `format: bids`)");
    let damaged =
        ingest(with.clone(), &[("events.tsv", events.as_str()), ("events.json", "[")]).err().unwrap();
    assert!(damaged.contains("events.json is no sidecar"), "{damaged}");
}

#[test]
fn mistakes_are_named() {
    let text = |with, file: &str| ingest(with, &[("a.csv", file)]).err().unwrap();
    let ragged = text(json!({"path": "a.csv"}), "a,b\n1,2\n3\n");
    assert!(ragged.starts_with("a.csv:3: 1 cells where the first line has 2"), "{ragged}");
    let id = text(json!({"path": "a.csv", "id": "nam"}), PLAIN);
    assert_eq!(id, "there is no column `nam` (did you mean `name`?)");
    let columns = text(json!({"path": "a.csv", "columns": ["name", "mas"]}), PLAIN);
    assert_eq!(columns, "a.csv: `columns` names `mas`, which is no column (did you mean `mass`?)");
    let delimiter = text(json!({"path": "a.csv", "delimiter": "ab"}), PLAIN);
    assert_eq!(delimiter, "`ab` is not one ASCII character");
    let word = text(json!({"path": "a.csv", "dtypes": {"mass": "float"}}), PLAIN);
    assert!(word.starts_with("`dtypes.mass`: `float` is not a type"), "{word}");
    let late = text(json!({"path": "a.csv", "infer_rows": 1}), "a\n1\nx\n");
    assert!(late.starts_with("a.csv:3: column `a`: `x` is not int64"), "{late}");
}
