//! `sulcus dag`: what is drawn, and what other programs get.

use super::support::{Project, snapshot};

/// The shape of an experiment: one data set, nets of three seeds, everything joined at the end.
const EXPERIMENT: &str = "\
name: shape
params: { seeds: [0, 1, 2] }
stages:
  data:
    uses: command
    with: { run: x, writes: data }
  split:
    uses: command
    with: { run: x, reads: data, writes: [train, test] }
  net:
    uses: command
    matrix: { seed: \"${params.seeds}\" }
    with: { run: x, writes: \"net${matrix.seed}\" }
  train:
    uses: command
    matrix: net
    with: { run: x, reads: [\"net${matrix.seed}\", train], writes: \"trained${matrix.seed}\" }
  predict:
    uses: command
    matrix: train
    with: { run: x, reads: [\"trained${matrix.seed}\", test], writes: \"predicted${matrix.seed}\" }
  metrics:
    uses: command
    with: { run: x, reads: [predicted0, predicted1, predicted2], writes: metrics }
  figure:
    uses: command
    with: { run: x, reads: [metrics, data], writes: figure }
  notes:
    uses: command
    with: { run: x, writes: notes }
";

#[test]
fn cells_are_one_node_unless_asked_for() {
    let project = Project::new(EXPERIMENT);
    snapshot!(project.ok(&["dag"]).stdout, @"
    ●      data        command
    ├─●    split       command
    │ │ ●  net ×3      command
    │ ├─●  train ×3    command
    │ ●─╯  predict ×3  command
    │ ●    metrics     command
    ●─╯    figure      command

    ●      notes       command
    ");
    snapshot!(project.ok(&["dag", "--cells", "predict"]).stdout, @"
    ●        data             command
    ●        split            command
    │ ●      net[seed=0]      command
    │ │ ●    net[seed=1]      command
    │ │ │ ●  net[seed=2]      command
    ├─● │ │  train[seed=0]    command
    ├─│─● │  train[seed=1]    command
    ├─│─│─●  train[seed=2]    command
    ├─● │ │  predict[seed=0]  command
    ├───● │  predict[seed=1]  command
    ●─────╯  predict[seed=2]  command
    ");
}

#[test]
fn other_formats() {
    let project = Project::new(EXPERIMENT);
    snapshot!(project.ok(&["dag", "train", "--format", "mermaid"]).stdout, @r#"
    flowchart TD
        n0["data"]
        n1["split"]
        n2["net ×3"]
        n3["train ×3"]
        n0 --> n1
        n2 --> n3
        n1 --> n3
    "#);
    snapshot!(project.ok(&["dag", "train", "--format", "dot"]).stdout, @r#"
    digraph {
        node [shape=box]
        n0 [label="data"]
        n1 [label="split"]
        n2 [label="net ×3"]
        n3 [label="train ×3"]
        n0 -> n1
        n2 -> n3
        n1 -> n3
    }
    "#);
    snapshot!(project.ok(&["dag", "train", "--json"]).stdout, @r#"{"nodes":[{"name":"data","kind":"command","cells":1},{"name":"split","kind":"command","cells":1},{"name":"net","kind":"command","cells":3},{"name":"train","kind":"command","cells":3}],"edges":[["data","split"],["net","train"],["split","train"]]}"#);
}

#[test]
fn hostile_axis_values_stay_text() {
    let workflow = "stages:\n  a:\n    uses: command\n    matrix: { x: ['\"];<b>', \"\\e[31m\"] }\n    with: { run: x }\n";
    let project = Project::new(workflow);
    snapshot!(project.ok(&["dag", "--cells"]).stdout, @r#"
    ●  a[x="];<b>]  command

    ●  a[x=�[31m]   command
    "#);
    snapshot!(project.ok(&["dag", "--cells", "--format", "mermaid"]).stdout, @r#"
    flowchart TD
        n0["a[x=#34;]#59;#60;b#62;]"]
        n1["a[x=#27;[31m]"]
    "#);
    snapshot!(project.ok(&["dag", "--cells", "--format", "dot"]).stdout, @r#"
    digraph {
        node [shape=box]
        n0 [label="a[x=\"];<b>]"]
        n1 [label="a[x= [31m]"]
    }
    "#);
}

/// Cells that read each other crosswise leave the stages without an order.
#[test]
fn stages_without_an_order_are_drawn_by_cell() {
    let project = Project::with(&[
        (
            "sulcus.yaml",
            "\
stages:
  a:
    uses: command
    matrix: { x: [v, v1] }
    with: { run: x, reads: \"c${matrix.x}\", writes: \"d${matrix.x}\" }
  b:
    uses: command
    matrix: { y: [v, v1] }
    with: { run: x, reads: \"d${matrix.y}\", writes: \"c${matrix.y}1\" }
",
        ),
        ("cv", ""),
    ]);
    snapshot!(project.ok(&["dag"]).stdout, @"
    ●  a[x=v]   command
    ●  b[y=v]   command
    ●  a[x=v1]  command
    ●  b[y=v1]  command
    ");
}
