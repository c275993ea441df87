//! Laws of tables: what is written is read, and a digest names values, not files.

use std::path::Path;

use polars::prelude::{DataFrame, IntoColumn, NamedFrom, ParquetCompression, ParquetWriter, Series};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::stage::{Axes, Bound, Digest, Facts, InputFacts, TableFacts};

fn written(frame: &mut Frame, path: &Path) -> TableFacts {
    match write(frame, path).expect("writes") {
        Facts::Table(facts) => facts,
        other => panic!("not a table: {other:?}"),
    }
}

fn digests(frame: &Frame) -> Vec<Option<Digest>> {
    let columns = digest::columns(frame).expect("hashes");
    columns.into_iter().map(|c| c.digest).collect()
}

fn sample() -> Frame {
    let mut frame = Frame::new();
    frame.push_i64s("id", vec![7, 8, 9]).unwrap();
    let values = (0..24).map(|v| v as f32 / 2.0).collect();
    let row_shape = vec![2, 2, 2];
    frame.push_tensor_f32("image", Tensor { row_shape, values }).unwrap();
    frame.push_strings("label", &["a", "", "ü"]).unwrap();
    frame.push_f64s("x", vec![0.1, f64::NAN, -0.0]).unwrap();
    frame
}

fn single(series: Series) -> Frame {
    let mut frame = Frame::new();
    frame.push(series).unwrap();
    frame
}

#[test]
fn a_table_comes_back_as_it_was_written_and_its_bytes_are_stable() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
    let facts = written(&mut sample(), &a);
    written(&mut sample(), &b);
    assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());

    let frame = read_path(&a, None).unwrap();
    assert_eq!(frame.rows(), 3);
    assert_eq!(frame.tensor_f32("image").unwrap(), sample().tensor_f32("image").unwrap());
    assert_eq!(frame.i64s("id").unwrap(), [7, 8, 9]);
    assert_eq!(frame.strings("label").unwrap(), ["a", "", "ü"]);
    assert_eq!(digests(&frame), digests(&sample()));
    assert_eq!(facts.column("image").unwrap().shape, Some(vec![2, 2, 2]));
    assert_eq!(facts.column("image").unwrap().dtype, "tensor(float32)");

    let mut bare = facts.clone();
    bare.columns.iter_mut().for_each(|c| c.digest = None);
    assert_eq!(facts_of(&a).unwrap(), bare);

    let two = read_path(&a, Some(&["label", "id"])).unwrap();
    assert_eq!(two.names(), ["label", "id"]);
    let missing = read_path(&a, Some(&["labels"])).unwrap_err();
    assert_eq!(missing.hint.as_deref(), Some("did you mean `label`?"));
}

#[test]
fn a_big_table_has_several_row_groups() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.parquet");
    let mut frame = single(Series::new("v".into(), (0..600_000_i64).collect::<Vec<_>>()));
    written(&mut frame, &path);
    let mut reader = polars::prelude::SerReader::new(std::fs::File::open(&path).unwrap());
    let reader: &mut polars::prelude::ParquetReader<_> = &mut reader;
    assert_eq!(reader.get_metadata().unwrap().row_groups.len(), 3);
    assert_eq!(digests(&read_path(&path, None).unwrap()), digests(&frame));
}

#[test]
fn other_compression_and_row_groups_have_the_same_digests() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.parquet");
    let mut data = sample().select(&["id", "label", "x"]).unwrap().data;
    ParquetWriter::new(std::fs::File::create(&path).unwrap())
        .with_compression(ParquetCompression::Uncompressed)
        .with_row_group_size(Some(1))
        .finish(&mut data)
        .unwrap();
    let frame = read_path(&path, None).unwrap();
    assert_eq!(digests(&frame), digests(&sample().select(&["id", "label", "x"]).unwrap()));
}

#[test]
fn what_lies_under_a_null_and_which_nan_it_is_do_not_matter_but_the_sign_of_zero_does() {
    let plain = Series::new("v".into(), [Some(1.0_f32), None, Some(3.0)]);
    let filled = Series::new("v".into(), [1.0_f32, 99.0, 3.0]);
    let mask = Series::new("m".into(), [true, false, true]);
    let mut hidden = filled.f32().unwrap().clone();
    hidden.set_validity(Some(mask.bool().unwrap().downcast_as_array().values().clone()));
    use polars::prelude::IntoSeries;
    assert_eq!(digests(&single(plain)), digests(&single(hidden.into_series())));

    let nans = [f32::from_bits(0x7fc0_0001), f32::from_bits(0xffc0_0000)];
    let [a, b] = nans.map(|v| digests(&single(Series::new("v".into(), [v]))));
    assert_eq!(a, b);
    let [a, b] = [0.0_f32, -0.0].map(|v| digests(&single(Series::new("v".into(), [v]))));
    assert_ne!(a, b);
    let types = [
        digests(&single(Series::new("v".into(), [1_i32]))),
        digests(&single(Series::new("v".into(), [1_i64]))),
        digests(&single(Series::new("v".into(), [1_f32]))),
    ];
    assert!(types[0] != types[1] && types[0] != types[2] && types[1] != types[2]);
}

proptest! {
    #[test]
    fn digests_do_not_see_chunks(
        values in prop::collection::vec(prop::option::of(-5_i64..5), 1..40),
        cut in 0_usize..40,
    ) {
        let cut = cut.min(values.len());
        let text: Vec<Option<String>> =
            values.iter().map(|v| v.map(|v| "x".repeat(v.unsigned_abs() as usize))).collect();
        let lists = |part: &[Option<i64>]| -> Series {
            let rows: Vec<Option<Series>> = part
                .iter()
                .map(|v| v.map(|v| Series::new("".into(), vec![v; v.unsigned_abs() as usize])))
                .collect();
            Series::new("l".into(), rows).cast(&polars::prelude::DataType::List(
                Box::new(polars::prelude::DataType::Int64),
            )).unwrap()
        };
        let part = |from: usize, to: usize| {
            let mut frame = single(Series::new("v".into(), &values[from..to]));
            frame.push(Series::new("t".into(), &text[from..to])).unwrap();
            frame.push(lists(&values[from..to])).unwrap();
            frame
        };
        let whole = part(0, values.len());
        let mut chunked = part(0, cut);
        chunked.vstack(&part(cut, values.len())).unwrap();
        prop_assert_eq!(digests(&whole), digests(&chunked));
        // And they do see order and values.
        let reversed: Vec<usize> = (0..values.len()).rev().collect();
        let turned = whole.take(&reversed).unwrap();
        let palindrome = values.iter().eq(values.iter().rev());
        prop_assert_eq!(digests(&whole)[0] == digests(&turned)[0], palindrome);
    }

    #[test]
    fn a_damaged_file_is_an_error_or_a_table_but_never_a_panic(
        cut in 0_usize..3000,
        place in 0_usize..3000,
        flip in 1_u8..=255,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        written(&mut sample(), &path);
        let mut bytes = std::fs::read(&path).unwrap();
        let place = place % bytes.len();
        bytes[place] ^= flip;
        std::fs::write(&path, &bytes).unwrap();
        let _ = read_path(&path, None);
        let _ = facts_of(&path);
        let _ = preview(&path, 2);
        bytes[place] ^= flip;
        bytes.truncate(cut % bytes.len());
        std::fs::write(&path, &bytes).unwrap();
        let failure = read_path(&path, None).unwrap_err();
        prop_assert!(failure.message.contains("t.parquet"), "{}", failure.message);
    }
}

#[test]
fn a_page_that_claims_more_values_than_its_column_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    let mut frame = Frame::new();
    frame.push_optional_i64s("label", (0..4000).map(|row| (row % 3 > 0).then_some(row)).collect()).unwrap();
    written(&mut frame, &path);
    let mut bytes = std::fs::read(&path).unwrap();
    // The number of values in the header of the page: 4000 as a zigzag number of two bytes.
    let header = bytes.windows(2).position(|pair| pair == [0xc0, 0x3e]).unwrap();
    for claimed in [[0xc1, 0x3e], [0xc2, 0x3e], [0xff, 0x7f]] {
        bytes[header..header + 2].copy_from_slice(&claimed);
        std::fs::write(&path, &bytes).unwrap();
        for failure in [read_path(&path, None).unwrap_err(), preview(&path, 2).unwrap_err()] {
            assert!(
                failure.message.contains("column `label`: a page goes on to value"),
                "{}",
                failure.message
            );
        }
    }
}

#[test]
fn nested_fixed_size_lists_of_other_writers_become_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nested.parquet");
    let flat = sample();
    let nested = nest::nest(flat.series("image").unwrap(), &[2, 2, 2]).unwrap();
    let mut data = DataFrame::new(3, vec![nested.into_column()]).unwrap();
    let file = std::fs::File::create(&path).unwrap();
    ParquetWriter::new(file).finish(&mut data).unwrap();
    let frame = read_path(&path, None).unwrap();
    assert_eq!(frame.facts().columns[0].shape, Some(vec![2, 2, 2]));
    assert_eq!(digests(&frame)[0], digests(&flat)[1]);
}

#[test]
fn access_names_column_and_row() {
    let mut frame = sample();
    let gap = Series::new("gap".into(), [Some(1_i64), None, Some(2)]);
    frame.push(gap).unwrap();
    let failure = frame.tensor_f32("gap").unwrap_err();
    assert_eq!(failure.message, "column `gap` has 1 missing rows, the first at row 1");
    assert!(frame.f64s("gap").unwrap()[1].is_nan());
    let failure = frame.tensor_f32("label").unwrap_err();
    assert_eq!(failure.message, "column `label` holds string, not numbers");
    let failure = frame.i64s("x").unwrap_err();
    assert_eq!(failure.message, "column `x`, row 0: 0.1 is not a whole number");
    assert_eq!(frame.strings("gap").unwrap(), ["1", "", "2"]);
    let lists = Series::new(
        "l".into(),
        [
            Series::new("".into(), [1_i32, 2]),
            Series::new("".into(), [3_i32, 4]),
            Series::new("".into(), [5_i32, 6]),
        ],
    );
    frame.push(lists).unwrap();
    let tail = frame.take(&[1, 2]).unwrap().tensor_f32("l").unwrap();
    assert_eq!((tail.row_shape, tail.values), (vec![2], vec![3.0, 4.0, 5.0, 6.0]));
}

#[test]
fn preview_shortens_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.parquet");
    written(&mut sample(), &path);
    let preview = preview(&path, 2).unwrap();
    assert_eq!(preview.facts.rows, Some(3));
    assert_eq!(
        preview.rows,
        [["7", "[2×2×2] 0 0.5 1 1.5 2 2.5 …", "a", "0.1"], ["8", "[2×2×2] 4 4.5 5 5.5 6 6.5 …", "", "NaN"]]
    );
}

#[test]
fn comparison_says_how_far_values_differ() {
    let (left, mut right) = (sample(), Frame::new());
    assert!(compare(&left, &left).unwrap().equal());
    right.push_i64s("id", vec![7, 8, 12]).unwrap();
    let mut tensor = sample().tensor_f32("image").unwrap();
    tensor.values[9] += 0.5;
    tensor.values[10] += 1.0;
    right.push_tensor_f32("image", tensor).unwrap();
    right.push_strings("x", &["", "", ""]).unwrap();
    right.push_f64s("new", vec![0.0; 3]).unwrap();
    let found = compare(&left, &right).unwrap();
    assert!(!found.equal());
    let values = |rows, max_absolute, max_relative| ColumnComparison::Values {
        rows,
        max_absolute: Some(max_absolute),
        max_relative: Some(max_relative),
    };
    let column = |name: &str| found.columns.iter().find(|c| c.0 == name).unwrap().1.clone();
    assert_eq!(column("id"), values(1, 3.0, 0.25));
    assert_eq!(column("image"), values(1, 1.0, 1.0 / 6.0));
    assert_eq!(column("label"), ColumnComparison::OnlyLeft);
    assert_eq!(column("new"), ColumnComparison::OnlyRight);
    assert!(matches!(column("x"), ColumnComparison::Types { .. }));
}

#[test]
fn a_gathered_matrix_has_its_axes_as_columns() {
    let folder = tempfile::tempdir().unwrap();
    let mut bounds = Vec::new();
    for seed in [0, 1] {
        let path = folder.path().join(format!("{seed}.parquet"));
        let mut frame = single(Series::new("v".into(), [seed as f64, 0.5]));
        let facts = Facts::Table(written(&mut frame, &path));
        let axes: Axes = vec![("seed".into(), json!(seed)), ("rule".into(), json!("flat"))];
        bounds.push(Bound { path, facts, axes });
    }
    let frame = gather(&bounds, None).unwrap();
    assert_eq!(frame.names(), ["seed", "rule", "v"]);
    assert_eq!(frame.i64s("seed").unwrap(), [0, 0, 1, 1]);
    assert_eq!(frame.f64s("v").unwrap(), [0.0, 0.5, 1.0, 0.5]);
    let inputs: Vec<InputFacts> =
        bounds.iter().map(|b| InputFacts { facts: b.facts.clone(), axes: b.axes.clone() }).collect();
    assert_eq!(gather_facts(&inputs).unwrap().unwrap(), frame.facts());

    for bound in &mut bounds {
        bound.axes[0].0 = "v".into();
    }
    let failure = gather(&bounds, None).unwrap_err();
    assert_eq!(failure.message, "the matrix axis `v` has the name of a column");
}

#[test]
fn rows_are_taken_and_stacked() {
    let frame = sample();
    let turned = frame.take(&[2, 0, 2]).unwrap();
    assert_eq!(turned.i64s("id").unwrap(), [9, 7, 9]);
    assert_eq!(turned.tensor_f32("image").unwrap().values[..2], [8.0, 8.5]);
    assert!(frame.take(&[3]).is_err());
    assert_eq!(frame.head(1).rows(), 1);
    let mut stacked = frame.head(1);
    stacked.vstack(&turned.select(&["x", "label", "image", "id"]).unwrap()).unwrap();
    assert_eq!(stacked.i64s("id").unwrap(), [7, 9, 7, 9]);
    let failure = stacked.vstack(&frame.select(&["id"]).unwrap()).unwrap_err();
    assert_eq!(failure.message, "column `image` is missing in a later part");
    assert!(stacked.push_i64s("id", vec![0; 4]).is_err());
    assert!(stacked.push_i64s("n", vec![0; 3]).is_err());
}

#[test]
fn arrow_files_are_read_and_damage_is_named() {
    use polars::prelude::{IpcWriter, SerWriter};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.arrow");
    let mut data = sample().data;
    IpcWriter::new(std::fs::File::create(&path).unwrap()).finish(&mut data).unwrap();
    let frame = read_arrow(&path).unwrap();
    assert_eq!(frame.names(), ["id", "image", "label", "x"]);
    assert_eq!(frame.facts().columns[1].shape, Some(vec![8]));
    assert_eq!(arrow_schema_of(&path).unwrap().facts().columns, frame.facts().columns);
    let bytes = std::fs::read(&path).unwrap();
    for cut in (0..bytes.len()).step_by(97) {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let failure = read_arrow(&path).unwrap_err();
        assert!(failure.message.contains("a.arrow as Arrow"), "{}", failure.message);
    }
}
