//! The next experiment, as a user plans it.

use std::path::Path;

use serde_json::Value;

use super::masking::npy;
use super::support::Project;

/// Networks that were not trained, and what they say of 60 digits.
const NETWORKS: &str = "\
stages:
  digits:
    uses: ingest.arrays
    with: { arrays: { image: images.npy } }
  pool:
    uses: table.sample
    in: { table: digits }
    with: { n: 60, seed: 1 }
  net:
    uses: model.build
    matrix: { seed: [0, 1, 2, 3] }
    with: { architecture: mlp, input: [1, 8, 8], hidden: [16], classes: 10, activation: tanh, seed: \"${matrix.seed}\" }
  answers:
    uses: model.infer
    matrix: net
    in: { model: net, data: pool }
    with: { input: image }
";

fn project(stages: &str) -> Project {
    let project = Project::with(&[("sulcus.yaml", &format!("{NETWORKS}{stages}"))]);
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits/images.npy");
    std::fs::copy(images, project.path("images.npy")).expect("a copy");
    project
}

/// Names of the steps that a run executed, sorted: steps that do not depend on each other end in any order.
fn executed(project: &Project) -> Vec<String> {
    let mut names = project.executed();
    names.sort();
    names
}

/// The cells of a column of a result.
fn column(project: &Project, result: &str, name: &str) -> Vec<String> {
    let shown = project.ok(&["show", result, "--json", "-n", "1000"]).stdout;
    let value: Value = serde_json::from_str(&shown).expect("JSON");
    let columns = value["facts"]["table"]["columns"].as_array().expect("columns");
    let at =
        columns.iter().position(|c| c["name"] == name).unwrap_or_else(|| panic!("{result} has no {name}"));
    let rows = value["rows"].as_array().expect("rows");
    rows.iter().map(|row| row[at].as_str().unwrap_or_default().to_owned()).collect()
}

fn numbers(project: &Project, result: &str, name: &str) -> Vec<f64> {
    column(project, result, name).iter().map(|cell| cell.parse().expect("a number")).collect()
}

const ROUNDS: &str = "  round_1:
    uses: design.loop
    in: { predictions: \"answers[*]\" }
    with: { n: 3 }
  answers_1:
    uses: ingest.table
    with: { path: round-1.csv }
  round_2:
    uses: design.loop
    in: { predictions: \"answers[*]\", responses: [answers_1] }
    with: { n: 3 }
  answers_2:
    uses: ingest.table
    with: { path: round-2.csv }
  round_3:
    uses: design.loop
    in: { predictions: \"answers[*]\", responses: [answers_1, answers_2] }
    with: { n: 3 }
";

#[test]
fn a_round_sees_the_answers_of_earlier_rounds_and_no_others() {
    let project = project(ROUNDS);
    project.write("round-1.csv", "id,response\n");
    project.write("round-2.csv", "id,response\n");
    let waits = project.sulcus(&["run", "--keep-going"]);
    assert_eq!(waits.code, 1);
    assert!(waits.stderr.contains("responses of round 1: there are none yet"), "{}", waits.stderr);

    // People answer round after round.
    let fill = |round: usize, class: usize| {
        let rows: Vec<String> = column(&project, &format!("round_{round}.stimuli"), "id")
            .iter()
            .map(|id| format!("{id},{class}\n"))
            .collect();
        assert_eq!(rows.len(), 3);
        project.write(&format!("round-{round}.csv"), &format!("id,response\n{}", rows.concat()));
    };
    fill(1, 3);
    let waits = project.sulcus(&["run", "--keep-going"]);
    assert!(waits.stderr.contains("responses of round 2: there are none yet"), "{}", waits.stderr);
    fill(2, 4);
    assert_eq!(executed(&project), ["answers_2", "round_3"]);
    let shown = |round: usize| column(&project, &format!("round_{round}.stimuli"), "id");
    let mut all = [shown(1), shown(2), shown(3)].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 9, "no stimulus comes twice");

    // Nothing is left to do; other answers in round 2 leave rounds 1 and 2 alone, those of round 1 only itself.
    assert!(executed(&project).is_empty());
    let first = shown(1);
    fill(2, 5);
    assert_eq!(executed(&project), ["answers_2", "round_3"]);
    project.edit("round-1.csv", ",3", ",7");
    assert_eq!(executed(&project), ["answers_1", "round_2", "round_3"]);
    assert_eq!(shown(1), first);
    // The answers that there were bring back what there was, without work.
    project.edit("round-1.csv", ",7", ",3");
    assert_eq!(executed(&project), Vec::<String>::new());

    // Answers that are deleted leave later rounds waiting, and no earlier one; given again, they bring all back.
    let answers = project.read("round-2.csv");
    project.write("round-2.csv", "id,response\n");
    let waits = project.sulcus(&["run", "--keep-going"]);
    assert!(waits.stderr.contains("`round_3`"), "{}", waits.stderr);
    assert!(waits.stderr.contains("responses of round 2: there are none yet"), "{}", waits.stderr);
    assert!(!waits.stderr.contains("responses of round 1"), "{}", waits.stderr);
    std::fs::remove_file(project.path("round-2.csv")).expect("the file can be deleted");
    assert_eq!(project.sulcus(&["run"]).code, 2);
    project.write("round-2.csv", &answers);
    assert_eq!(executed(&project), Vec::<String>::new());
}

/// Deletes what is known of a step: its record, its objects and its results in the project.
fn forget(project: &Project, step: &str) {
    let lock = project.read("sulcus.lock");
    let (_, own) = lock.split_once(&format!("[{step}]\n")).expect("the step is in the lock");
    let key = own.split(' ').next().expect("a key");
    let record = project.path(&format!(".sulcus/records/{}/{}", &key[..2], &key[2..]));
    let text = std::fs::read_to_string(&record).expect("a record");
    let mut objects = 0;
    for entry in walkdir::WalkDir::new(project.path(".sulcus/objects")).into_iter().flatten() {
        let folder = entry.path().parent().and_then(Path::file_name).unwrap_or_default();
        let name = format!("{}{}", folder.to_string_lossy(), entry.file_name().to_string_lossy());
        if entry.file_type().is_file() && text.contains(&name) {
            std::fs::remove_file(entry.path()).expect("an object can be deleted");
            objects += 1;
        }
    }
    assert!(objects > 0, "{text}");
    std::fs::remove_file(record).expect("a record can be deleted");
    std::fs::remove_dir_all(project.path(&format!("results/sulcus/{step}"))).expect("results can be deleted");
}

#[test]
fn a_deleted_round_is_replayed_to_the_same_bytes() {
    let project = project(
        "  round_1:
    uses: design.loop
    in: { predictions: \"answers[*]\" }
    with: { n: 3, simulate: \"2\" }
  round_2:
    uses: design.loop
    in: { predictions: \"answers[*]\", responses: [round_1.responses] }
    with: { n: 3, simulate: \"2\" }
  round_3:
    uses: design.loop
    in: { predictions: \"answers[*]\", responses: [round_1.responses, round_2.responses] }
    with: { n: 3, simulate: \"2\" }
",
    );
    assert!(executed(&project).iter().any(|n| n == "round_3"));
    let digest = |round: usize| {
        let shown = project.ok(&["show", &format!("round_{round}.responses"), "--json"]).stdout;
        serde_json::from_str::<Value>(&shown).expect("JSON")["digest"].to_string()
    };
    let before: Vec<String> = (1..=3).map(digest).collect();
    // A round that is gone is executed again. Its answers are what they were, so are the keys of later rounds: hits.
    for (round, step) in [(1, "round_1"), (2, "round_2"), (3, "round_3")] {
        forget(&project, step);
        assert_eq!(executed(&project), [step]);
        assert_eq!(digest(round), before[round - 1]);
    }
    // Gone together, they are executed one after the other.
    forget(&project, "round_2");
    forget(&project, "round_3");
    assert_eq!(executed(&project), ["round_2", "round_3"]);
    assert_eq!((1..=3).map(digest).collect::<Vec<_>>(), before);
    let forced = project.ok(&["run", "round_2", "round_3", "--force", "--json"]).stdout;
    let last: Value = serde_json::from_str(forced.lines().last().unwrap_or_default()).expect("JSON");
    assert_eq!(last["executed"], serde_json::json!(["round_2", "round_3"]));
    assert_eq!((1..=3).map(digest).collect::<Vec<_>>(), before);
    // Another subject in round 2 changes that round and the later one, never the first.
    project.edit(
        "sulcus.yaml",
        "responses: [round_1.responses] }\n    with: { n: 3",
        "responses: [round_1.responses] }\n    with: { n: 4",
    );
    assert_eq!(executed(&project), ["round_2", "round_3"]);
}

const MADE: &str = "  made:
    uses: design.synthesize
    in: { models: [\"net[seed=0]\", \"net[seed=1]\"], unseen: [\"net[seed=2]\", \"net[seed=3]\"], pool: pool }
    with: { goal: GOAL, input: image, steps: 60, n: 2, learning_rate: 0.3 }
";

#[test]
fn made_stimuli_pass_the_best_of_the_pool() {
    for (goal, count) in [("excite, units: [4, 7]", 4), ("controversial", 2), ("metamer", 2)] {
        let project = project(&MADE.replace("GOAL", goal));
        project.ok(&["run", "made"]);
        let judges = column(&project, "made.transfer", "judge");
        assert_eq!(judges.len(), 2 * count, "{goal}");
        let (values, best) =
            (numbers(&project, "made.transfer", "value"), numbers(&project, "made.transfer", "pool_best"));
        for (at, judge) in judges.iter().enumerate() {
            assert!(
                judge == "unseen" || values[at] > best[at],
                "{goal}: {} against {}",
                values[at],
                best[at]
            );
        }
        // 60 rows are fewer than 240 passes.
        assert!(numbers(&project, "made.transfer", "pool_rows").iter().all(|rows| *rows == 60.0));
        let history = numbers(&project, "made.history", "value");
        assert!(history.chunks(60).all(|steps| steps[59] > steps[0]), "{goal}");
        let pixels = numbers(&project, "made.pixels", "value");
        assert!(pixels.iter().all(|v| (0.0..=16.0).contains(v)) && !pixels.is_empty());
    }
}

/// A pool that is all the same, a single image, NaN among its pixels, none at all: an answer in numbers, or an error that
/// says what is wrong.
#[test]
fn degenerate_pools_are_answered_or_named() {
    type Pixel = fn(usize) -> f32;
    let uneven: Pixel = |at| ((at * 37 + at / 64 * 11) % 17) as f32;
    let mut answered = Vec::new();
    for (what, images, pixel) in [
        ("sound", 20, uneven),
        ("all the same", 20, |_| 3.0),
        ("one image", 1, uneven),
        ("NaN", 20, |at| if at == 70 { f32::NAN } else { ((at * 37) % 17) as f32 }),
        ("infinity", 20, |at| if at == 70 { f32::INFINITY } else { ((at * 37) % 17) as f32 }),
        ("none", 0, uneven),
    ] {
        for goal in ["excite, units: [4]", "controversial", "metamer"] {
            let made = MADE.replace("GOAL", goal).replace("steps: 60, n: 2", "steps: 4, n: 1");
            let project = project(&made);
            project.edit("sulcus.yaml", "n: 60", &format!("n: {images}"));
            let bytes = npy(&format!("({images}, 1, 8, 8)"), (0..images * 64).map(pixel));
            std::fs::write(project.path("images.npy"), bytes).expect("images can be written");
            let ran = project.sulcus(&["run", "made"]);
            if ran.code == 0 {
                for table in ["transfer", "history", "pixels"] {
                    let values = numbers(&project, &format!("made.{table}"), "value");
                    assert!(values.iter().all(|v| v.is_finite()), "{what}, {goal}: {table}");
                }
                answered.push((what, goal));
            } else {
                let text = &ran.stderr;
                assert!(ran.code == 1 && text.contains("stage `made` failed: "), "{what}, {goal}: {text}");
                assert!(!text.contains("panicked") && !text.contains("internal"), "{what}, {goal}: {text}");
                assert!(what != "none" || text.contains("the pool has no rows"), "{goal}: {text}");
            }
        }
    }
    println!("{answered:?}");
    assert!(answered.iter().filter(|(what, _)| *what == "sound").count() == 3, "{answered:?}");
}

#[test]
fn regularised_stimuli_are_smoother_and_the_same_seed_gives_the_same_ones() {
    let project = project(
        &MADE.replace("GOAL", "excite, units: [4], jitter: 1, total_variation: 30, parametrisation: pixel"),
    );
    project.ok(&["run", "made"]);
    let rough = |pixels: &[f64]| -> f64 {
        pixels.chunks(8).flat_map(|r| r.windows(2)).map(|w| (w[0] - w[1]).abs()).sum()
    };
    let smooth = numbers(&project, "made.pixels", "value");
    project.ok(&["run", "made", "--force"]);
    assert_eq!(numbers(&project, "made.pixels", "value"), smooth);
    project.edit("sulcus.yaml", "total_variation: 30", "total_variation: 0");
    project.ok(&["run", "made"]);
    let free = numbers(&project, "made.pixels", "value");
    assert!(rough(&smooth) < 0.5 * rough(&free), "{} {}", rough(&smooth), rough(&free));
}

/// The shipped pipeline with one selection: chosen stimuli recognise a subject sooner than random ones in 95 of 100
/// cases, and what is made for a class passes the pool's best, also for networks that no gradient went through.
#[test]
fn model_based_stimuli_pay() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("pipelines/next-stimuli.yaml")).expect("the pipeline");
    let choices = "choice: [controversial, rdm_decorrelated, coverage, stratified]";
    assert!(text.contains(choices));
    let project = Project::new(&text.replace(choices, "choice: [controversial]"));
    std::fs::create_dir_all(project.path("data/digits")).expect("a folder");
    for name in ["images.npy", "labels.npy"] {
        let from = root.join("data/digits").join(name);
        std::fs::copy(from, project.path(&format!("data/digits/{name}"))).expect("a copy");
    }
    project.ok(&["run", "recovery", "gains"]);
    assert_eq!(column(&project, "recovery.summary", "method"), ["random", "adaptive", "controversial"]);
    let fewer = numbers(&project, "recovery.summary", "fewer_than_random");
    assert!(fewer[1] >= 0.95 && fewer[2] >= 0.95, "{fewer:?}");
    assert!(numbers(&project, "recovery.summary", "right")[1] >= 0.95);
    let judges = column(&project, "gains", "judge");
    let above = numbers(&project, "gains", "above_best_sd");
    let beat = numbers(&project, "gains", "beat_best");
    assert_eq!(judges, ["seen", "unseen", "seen", "unseen"]);
    assert!(above.iter().all(|sd| *sd > 0.0), "{above:?}");
    assert!(beat.iter().all(|share| *share > 0.5), "{beat:?}");
}

#[test]
fn what_cannot_be_made_is_found_before_a_run() {
    let complaint = |stage: &str| {
        let ran = project(stage).sulcus(&["run"]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        ran.stderr
    };
    let made = |goal: &str| MADE.replace("GOAL", goal);
    assert!(complaint(&made("excite, bounds: [1, 0]")).contains("1 is not below 0"));
    assert!(complaint(&made("controversial, classes: [[3, 3]]")).contains("the same class"));
    assert!(complaint(&made("metamer, jitter: 1")).contains("not shifted"));
    assert!(complaint(&made("dream")).contains("unknown variant `dream`"));
    let alone = made("controversial").replace(", \"net[seed=3]\"", "");
    assert!(complaint(&alone).contains("1 stand in for 2"));
    assert!(complaint(&made("controversial, sides: layer")).contains("not gathered over an axis `layer`"));
    let unit = project(&made("excite, units: [10]")).sulcus(&["run", "made"]);
    assert!(unit.stderr.contains("there is no unit 10: the tensor has 10 values"), "{}", unit.stderr);
}
