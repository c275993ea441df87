//! `sulcus kinds`: contracts, and the files that are made from them.

use sulcus::cli::kinds::generated;
use sulcus::kinds::KINDS;
use sulcus::stage::Contract;

use super::support::{Project, snapshot};

#[test]
fn one_kind() {
    let project = Project::new("");
    snapshot!(project.ok(&["kinds", "command"]).stdout, @r#"
    # command

    A shell command with declared reads and writes.

    The command runs in the project's root folder and ends at the first line that fails, as a recipe of make does: `sh` reads it after `set -e`. With `shell: bash` it is read after `set -euo pipefail`, as Snakemake does, so that a failure inside a pipeline ends it too. A line that may fail is written `… || true`. What it prints is kept and shown if it fails (`sulcus log STAGE` shows it later). It runs again when its text, the bytes of a file that it reads, or a variable declared under the workflow's `env:` changed; its other surroundings are not part of the key. When its result is known the written paths are put back from the store.

    ## Parameters

    | name | type | default | what |
    |---|---|---|---|
    | `run` | text | required | The command, run in the project's root folder; it ends at the first line that fails. |
    | `shell` | `"sh"` or `"bash"` | `"sh"` | Who reads the command: `sh` after `set -e`, `bash` after `set -euo pipefail`. |
    | `reads` | text or list of text | `[]` | Files, folders or globs that it reads. A path that another stage writes makes that stage run first. |
    | `writes` | text or list of text | `[]` | Files or folders that it writes. They are removed before it runs and kept in the store after it. |

    ## Example

    ```yaml
    count:
      uses: command
      with:
        run: wc -l < data/penguins/penguins.csv > out/rows.txt
        reads: data/penguins/penguins.csv
        writes: out/rows.txt
    ```
    "#);
    snapshot!(project.sulcus(&["kinds", "comand"]).text(), @"
    exit 2
    --- stderr
    error: there is no kind `comand`
      hint: did you mean `command`?
    ");
}

#[test]
fn every_kind_is_listed_with_a_sentence() {
    let listed = Project::new("").ok(&["kinds"]).stdout;
    assert_eq!(listed.lines().count(), KINDS.len());
    for (line, kind) in listed.lines().zip(KINDS) {
        assert!(line.starts_with(kind.name()) && line.ends_with('.'), "{line}");
    }
    let contracts = Project::new("").ok(&["kinds", "--json"]).json_lines();
    assert_eq!(contracts.len(), KINDS.len());
    assert!(contracts.iter().all(|c| c["with"]["properties"].is_object() && c["example"].is_string()));
}

/// The committed contracts, pages and schema are those of the kinds as they are. Only a build with all
/// kinds can say that.
#[test]
#[cfg(feature = "models")]
fn generated_files_are_up_to_date() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut stale = Vec::new();
    for (path, text) in generated() {
        if std::fs::read_to_string(root.join(&path)).ok().as_deref() != Some(&text) {
            stale.push(path);
        }
    }
    assert!(stale.is_empty(), "`cargo run -- kinds --write .` writes them anew: {stale:?}");
}

#[test]
fn every_contract_reads_back_and_every_example_is_a_stage_of_its_kind() {
    for kind in KINDS {
        let Contract { name, example, .. } = kind.contract();
        let parsed =
            sulcus::spec::parse(example.as_bytes(), 0).unwrap_or_else(|d| panic!("{name}: {}", d.message));
        let stages = parsed.to_json();
        let uses = stages.as_object().and_then(|s| s.values().next()).map(|s| s["uses"].clone());
        assert_eq!(uses, Some(name.into()), "{name}: its example is another kind's");
    }
    for (path, text) in generated().iter().filter(|(path, _)| path.extension() == Some("yaml".as_ref())) {
        let parsed =
            sulcus::spec::parse(text.as_bytes(), 0).unwrap_or_else(|d| panic!("{path:?}: {}", d.message));
        assert!(parsed.to_json()["with"]["properties"].is_object(), "{path:?}");
    }
}

#[test]
fn the_schema_knows_every_kind() {
    let schema = sulcus::cli::kinds::workflow_schema(&[]);
    let stage = &schema["$defs"]["stage"];
    assert_eq!(stage["properties"]["uses"]["oneOf"].as_array().map(Vec::len), Some(KINDS.len()));
    assert_eq!(stage["allOf"].as_array().map(Vec::len), Some(KINDS.len()));
    let mut targets = Vec::new();
    references(&schema, &mut targets);
    for target in targets {
        let pointer = target.strip_prefix('#').expect("only this document is referred to");
        assert!(schema.pointer(pointer).is_some(), "{target} leads nowhere");
    }
}

fn references(value: &serde_json::Value, out: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                if let (true, Some(target)) = (name == "$ref", value.as_str()) {
                    out.push(target.to_owned());
                }
                references(value, out);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| references(item, out)),
        _ => {}
    }
}
