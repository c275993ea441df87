//! The files under `data/` are those that each set's `SOURCE.yaml` describes, and no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// All the sets together stay small enough to be cloned without a thought.
const MOST_BYTES: u64 = 2_000_000;

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("`{key}` is missing in {value}"))
}

#[test]
fn files_are_those_their_source_describes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
    let mut sets = 0;
    let mut total = 0;
    for entry in fs::read_dir(&root).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        sets += 1;
        let source = fs::read_to_string(folder.join("SOURCE.yaml")).unwrap();
        let source: Value = serde_saphyr::from_str(&source).unwrap();
        for key in ["title", "about", "licence", "citation", "changes"] {
            assert!(!text(&source, key).is_empty());
        }
        for key in ["package", "version", "sha256", "file"] {
            assert!(!text(&source["origin"], key).is_empty());
        }
        let mut described = BTreeSet::from(["SOURCE.yaml".to_owned()]);
        for file in source["files"].as_array().unwrap() {
            let name = text(file, "path");
            let bytes = fs::read(folder.join(name)).unwrap();
            assert_eq!(Some(bytes.len() as u64), file["bytes"].as_u64(), "size of {name}");
            assert_eq!(blake3::hash(&bytes).to_string(), text(file, "blake3"), "hash of {name}");
            described.insert(name.to_owned());
            total += bytes.len() as u64;
        }
        let present: BTreeSet<String> =
            fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(present, described, "files of {}", folder.display());
    }
    assert!(sets >= 3, "only {sets} sets under {}", root.display());
    assert!(total < MOST_BYTES, "{total} bytes of data");
}
