//! The commands, as a person sees them.

use super::support::{Project, snapshot};

const CHAIN: &str = "\
name: chain
stages:
  copy:
    uses: command
    with: { run: cp in.txt out/a.txt, reads: in.txt, writes: out/a.txt }
  count:
    uses: command
    with: { run: wc -l < out/a.txt > out/b.txt, reads: out/a.txt, writes: out/b.txt }
";

fn chain() -> Project {
    Project::with(&[("sulcus.yaml", CHAIN), ("in.txt", "one\ntwo\n")])
}

#[test]
fn run_twice_and_plan() {
    let project = chain();
    snapshot!(project.sulcus(&["run"]).text(), @"
    exit 0
    --- stderr
        Executed copy in [time]
        Executed count in [time]
        Finished 2 executed, 0 cached in [time]
         Results out/b.txt
    ");
    snapshot!(project.sulcus(&["run"]).text(), @"
    exit 0
    --- stderr
        Finished 0 executed, 2 cached in [time]
    ");
    project.write("in.txt", "three\n");
    snapshot!(project.sulcus(&["plan"]).text(), @"
    exit 0
    --- stdout
    copy   runs
    count  runs unless upstream's output is unchanged
    --- stderr
         Planned 2 steps: 0 cached, 1 run, 1 may run
    ");
}
