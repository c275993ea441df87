//! HDF5 files: what h5py and pynwb read is read; links out of a file, claims that it cannot keep and
//! damage are errors.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::kinds::testing::{Run, run_files};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hdf5")
}

fn bytes_of(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

fn read(with: Value) -> Result<Run, String> {
    let name = with["path"].as_str().unwrap().to_owned();
    run_files(&IngestHdf5, with, &[(&name, &bytes_of(&name))])
}

fn numbers(frame: &Frame, column: &str) -> Vec<f64> {
    let facts = frame.facts();
    match facts.column(column).unwrap().dtype.as_str() {
        "bool" => frame.strings(column).unwrap().iter().map(|v| f64::from(v == "true")).collect(),
        word if word.starts_with("tensor") => {
            frame.tensor_f32(column).unwrap().values.iter().map(|v| f64::from(*v)).collect()
        }
        _ => frame.f64s(column).unwrap(),
    }
}

#[test]
fn files_are_read_as_by_h5py() {
    let cases: Vec<Value> = serde_json::from_slice(&bytes_of("expected.json")).unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let run = read(case["with"].clone()).unwrap();
        let frame = run.table("table");
        assert_eq!(run.inferred("table"), frame.facts(), "{}", case["with"]);
        let columns = case["columns"].as_object().unwrap();
        let others = frame.names().into_iter().filter(|n| *n != ID && !columns.contains_key(*n)).count();
        assert_eq!(others, 0, "{:?}", frame.names());
        for (name, expected) in columns {
            let expected = expected.as_array().unwrap();
            if expected[0].is_string() {
                let texts: Vec<&str> = expected.iter().map(|v| v.as_str().unwrap()).collect();
                assert_eq!(frame.strings(name).unwrap(), texts, "{name}");
            } else {
                let values: Vec<f64> = expected.iter().map(|v| v.as_f64().unwrap()).collect();
                assert_eq!(numbers(&frame, name), values, "{name} of {}", case["with"]);
            }
        }
    }
}

#[test]
fn columns_come_in_the_order_of_the_file_and_are_chosen_and_renamed() {
    let trials = read(json!({"path": "receptor.nwb", "group": "intervals/trials"})).unwrap();
    assert_eq!(trials.table("table").names(), ["id", "start_time", "stop_time", "second", "first"]);
    let with = json!({"path": "receptor.nwb", "group": "units", "columns": {"id": "recording"}});
    assert_eq!(read(with).unwrap().table("table").strings("id").unwrap(), ["recording 1", "recording 2"]);
    let with = json!({"path": "receptor.nwb", "columns": {"t": "/units/spike_times"}, "explode": "t"});
    let frame = read(with).unwrap().table("table");
    assert_eq!(frame.names(), ["id", "row", "t"]);
    let with = json!({"path": "mixed-earliest.h5", "columns": {"x": "rows/loop/rows/loop/linked"}});
    assert_eq!(read(with).unwrap().table("table").names(), ["id", "x"]);
    assert_eq!((frame.i64s("row").unwrap()[0], frame.i64s("row").unwrap()[449]), (0, 1));
}

#[test]
fn what_cannot_be_a_table_is_refused_by_name() {
    let message = |with: Value| read(with).err().expect("a complaint");
    let mixed = |columns: Value| message(json!({"path": "mixed-latest.h5", "columns": columns}));
    assert!(mixed(json!({"x": "outside"})).contains("there is no dataset `outside` in this file"));
    assert!(mixed(json!({"x": "dangling"})).contains("there is no dataset `dangling` in this file"));
    assert!(mixed(json!({"x": "rows/plan"})).ends_with("(did you mean `plain`?)"));
    assert!(mixed(json!({"x": "rows/record"})).contains("neither numbers, truth values nor text"));
    assert!(mixed(json!({"x": "odd"})).contains("neither numbers, truth values nor text"));
    assert!(mixed(json!({"x": "rows/single"})).contains("is a single value"));
    assert!(mixed(json!({"x": "elsewhere"})).contains("'/etc/passwd' could not be resolved"));
    assert!(mixed(json!({"x": "lzf"})).ends_with("(rewrite the file with `h5repack -f SHUF -f GZIP=4`)"));
    let endless = mixed(json!({"x": "endless"}));
    assert!(endless.contains("needs 140737488355328 bytes, the file holds at most"), "{endless}");
    let units = |more: Value| {
        let mut with = json!({"path": "receptor.nwb", "group": "units"});
        with.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message(with)
    };
    assert!(units(json!({})).contains("`spike_times` has a list in each row (`explode: spike_times` makes"));
    assert!(units(json!({"explode": "recording"})).contains("`recording`, which has no lists"));
    assert!(units(json!({"group": "unit"})).contains("there is no group `unit` (the file's groups are"));
    let text = units(json!({"columns": ["recording", "spike_times"]}));
    assert!(text.contains("`recording` has 2 rows, `spike_times` has 450"), "{text}");
}

#[test]
fn other_files_and_cut_ones_are_refused() {
    let message = |bytes: &[u8]| {
        run_files(&IngestHdf5, json!({"path": "a.h5", "group": "rows"}), &[("a.h5", bytes)]).err().unwrap()
    };
    assert!(message(b"id,label\n1,2\n").contains("invalid HDF5 magic bytes"));
    assert!(message(b"").contains("a.h5"));
    let whole = bytes_of("mixed-latest.h5");
    assert!(message(&whole[..200]).contains("a.h5"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn damaged_bytes_never_panic(
        which in 0_usize..3,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (name, with) = [
            ("mixed-earliest.h5", json!({"path": "a.h5", "group": "rows"})),
            ("mixed-latest.h5", json!({"path": "a.h5", "group": "rows"})),
            ("receptor.nwb", json!({"path": "a.h5", "group": "units", "explode": "spike_times"})),
        ][which].clone();
        let mut bytes = bytes_of(name);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = run_files(&IngestHdf5, with, &[("a.h5", &bytes)]);
    }
}
