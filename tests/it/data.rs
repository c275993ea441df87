//! The files under `data/` are those that each set's `SOURCE.yaml` describes, and no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

#[cfg(feature = "tables")]
use super::support::Project;

/// All the sets together stay small enough to be cloned without a thought.
const MOST_BYTES: u64 = 3 << 20;

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
        let source = sulcus::spec::parse(source.as_bytes(), 0).unwrap().to_json();
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

/// Units and trials of an NWB recording and events of BIDS, joined as a user would.
#[cfg(feature = "tables")]
#[test]
fn a_recording_is_counted_by_trial() {
    let project = Project::new(
        "\
stages:
  spikes:
    uses: ingest.hdf5
    with: { path: receptor.nwb, group: units, explode: spike_times }
  trials:
    uses: ingest.hdf5
    with: { path: receptor.nwb, group: intervals/trials }
  events:
    uses: ingest.table
    with: { path: events.tsv, format: bids, sidecar: events.json }
  counts:
    uses: table.sql
    in: { spikes: spikes, trials: trials }
    with:
      query: >
        SELECT s.recording, t.second, COUNT(*) AS spikes
        FROM spikes s
        JOIN trials t ON s.spike_times >= t.start_time AND s.spike_times < t.stop_time
        GROUP BY s.recording, t.second ORDER BY s.recording, t.second
  answered:
    uses: table.sql
    in: { events: events }
    with:
      query: SELECT value, COUNT(response_time) AS answers FROM events WHERE value = '4' GROUP BY value
",
    );
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hdf5");
    let files = [
        ("receptor.nwb", "receptor.nwb"),
        ("sub-01_task-types_events.tsv", "events.tsv"),
        ("sub-01_task-types_events.json", "events.json"),
    ];
    for (name, to) in files {
        fs::copy(from.join(name), project.path(to)).unwrap();
    }
    project.ok(&["run"]);
    let shown = project.ok(&["show", "counts", "--json"]).stdout;
    let rows = &serde_json::from_str::<Value>(&shown).unwrap()["rows"];
    let cells = |at: usize| -> Vec<&str> {
        rows.as_array().unwrap().iter().map(|row| row[at].as_str().unwrap()).collect()
    };
    assert_eq!(cells(0), ["recording 1", "recording 1", "recording 2", "recording 2"]);
    assert_eq!(cells(2), ["127", "101", "120", "102"]);
    let answered = project.ok(&["show", "answered", "--json"]).stdout;
    let rows = &serde_json::from_str::<Value>(&answered).unwrap()["rows"];
    assert_eq!((rows[0][0].as_str(), rows[0][1].as_str()), (Some("4"), Some("3")));
    // A file that is damaged or names another group is refused before anything runs.
    project.edit("sulcus.yaml", "group: units,", "group: unit,");
    let ran = project.sulcus(&["run"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("there is no group `unit`"), "{}", ran.stderr);
}
