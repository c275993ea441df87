//! `when`: which stages are left out, and that nothing is asked of them.

use super::support::{Project, snapshot};

const WORKFLOW: &str = "\
params: { source: simulated }
stages:
  recorded:
    uses: command
    when: \"${params.source} == recorded\"
    with: { run: cp recordings.csv out/recorded, reads: recordings.csv, writes: out/recorded }
  cleaned:
    uses: command
    with: { run: cp out/recorded out/cleaned, reads: [out/recorded, dictionary.txt], writes: out/cleaned }
  simulated:
    uses: command
    when: \"${params.source} != recorded\"
    with: { run: echo 1 > out/simulated, writes: out/simulated }
";

#[test]
fn a_stage_that_is_left_out_needs_no_file_nor_does_what_depends_on_it() {
    let project = Project::new(WORKFLOW);
    snapshot!(project.ok(&["check"]).stderr, @"    Left out recorded, cleaned by `when`");
    project.ok(&["run"]);
    assert!(project.has("out/simulated") && !project.has("out/recorded") && !project.has("out/cleaned"));
}

#[test]
fn a_stage_that_is_kept_needs_its_files() {
    let project = Project::new(WORKFLOW);
    let ran = project.sulcus(&["run", "-p", "source=recorded"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    snapshot!(ran.stderr, @"
    error: the file `recordings.csv` does not exist in the project
      --> sulcus.yaml:6:57
       |
     6 |     with: { run: cp recordings.csv out/recorded, reads: recordings.csv, writes: out/recorded }
       |                                                         ^^^^^^^^^^^^^^
    error: the file `dictionary.txt` does not exist in the project
      --> sulcus.yaml:9:69
       |
     9 |     with: { run: cp out/recorded out/cleaned, reads: [out/recorded, dictionary.txt], writes: out/cle
       |                                                                     ^^^^^^^^^^^^^^
    2 mistakes found; nothing was run
    ");
    project.write("recordings.csv", "a\n1\n");
    project.write("dictionary.txt", "a\n");
    project.ok(&["run", "-p", "source=recorded"]);
    assert!(project.has("out/cleaned") && !project.has("out/simulated"));
}
