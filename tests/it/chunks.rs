//! New rows in a table: row-wise steps work on them and on what stands around them.

use super::masking::npy;
use super::support::Project;
use sulcus::table::read_path;

const WORKFLOW: &str = "\
stages:
  images: { uses: ingest.arrays, with: { arrays: { image: images.npy } } }
  net: { uses: model.build, with: { architecture: resnet, input: [1, 24, 24], classes: 5 } }
  answers: { uses: model.infer, in: { model: net, data: images }, with: { input: image } }
";

/// Writes images of noise, one for each number.
fn images(project: &Project, numbers: &[u64]) {
    let pixels = numbers.iter().flat_map(|n| {
        (0..24 * 24_u64).map(move |at| {
            let mixed = (n * 577 + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed >> 40) as f32 / (1 << 24) as f32
        })
    });
    let bytes = npy(&format!("({}, 1, 24, 24)", numbers.len()), pixels);
    std::fs::write(project.path("images.npy"), bytes).expect("images can be written");
}

fn logits(project: &Project) -> Vec<Vec<u32>> {
    let table = read_path(&project.path("results/sulcus/answers/table.parquet"), None).expect("a table");
    let values = table.tensor_f32("logits").expect("logits").values;
    values.chunks(5).map(|row| row.iter().map(|v| v.to_bits()).collect()).collect()
}

fn kept(project: &Project) -> usize {
    let files = walkdir::WalkDir::new(project.path(".sulcus/chunks")).into_iter().flatten();
    files.filter(|e| e.file_type().is_file()).count()
}

#[test]
fn new_rows_cost_what_they_cost() {
    let project = Project::new(WORKFLOW);
    let mut numbers: Vec<u64> = (0..200).collect();
    images(&project, &numbers);
    project.ok(&["run"]);
    let (before, chunks) = (logits(&project), kept(&project));
    assert!(chunks >= 200 / 64, "{chunks} chunks are kept");

    // Six rows in the middle: at most the chunks around them are made.
    numbers.splice(100..100, 1000..1006);
    images(&project, &numbers);
    project.ok(&["run"]);
    let after = logits(&project);
    assert!(kept(&project) - chunks <= 4, "{} of {chunks} chunks were made", kept(&project) - chunks);
    let old: Vec<_> = after[..100].iter().chain(&after[106..]).cloned().collect();
    // All but the rows in new company are the same to the bit; there the runtime may add in another order.
    let moved = old.iter().zip(&before).filter(|(a, b)| a != b).count();
    assert!(moved <= 64, "{moved} of 200 rows have other bits");

    // Nothing that was kept is used when the step is forced or verified, and it comes to the same bits.
    let forced = project.ok(&["run", "-f", "answers"]);
    assert!(forced.stderr.contains("output unchanged"), "{}", forced.stderr);
    project.ok(&["verify", "answers"]);
}

#[test]
fn a_damaged_chunk_is_made_again() {
    let project = Project::new(WORKFLOW);
    images(&project, &(0..100).collect::<Vec<_>>());
    project.ok(&["run"]);
    let before = logits(&project);
    for entry in walkdir::WalkDir::new(project.path(".sulcus/chunks")).into_iter().flatten() {
        if entry.file_type().is_file() {
            std::fs::write(entry.path(), "0000").expect("the chunk can be damaged");
        }
    }
    images(&project, &(0..101).collect::<Vec<_>>());
    project.ok(&["run"]);
    let first = (0..100).take_while(|row| logits(&project)[*row] == before[*row]).count();
    assert!(first >= 8, "the first chunk has other values");
}

#[test]
fn maps_of_new_rows_are_drawn_alone() {
    let project = Project::new(
        "\
stages:
  images: { uses: ingest.arrays, with: { arrays: { image: images.npy } } }
  net: { uses: model.build, with: { architecture: vgg, width: 32, input: [1, 24, 24], classes: 5 } }
  maps:
    uses: lrp.attribute
    in: { model: net, data: images }
    with: { input: image, composite: epsilon_plus_flat, conservation: true }
",
    );
    let maps = || {
        let table = read_path(&project.path("results/sulcus/maps/table.parquet"), None).expect("maps");
        table.tensor_f32("relevance").expect("relevance").values
    };
    let mut numbers: Vec<u64> = (0..150).collect();
    images(&project, &numbers);
    project.ok(&["run"]);
    let (before, chunks) = (maps(), kept(&project));
    assert!(chunks >= 150 / 64, "{chunks} chunks are kept");
    numbers.extend(1000..1004);
    images(&project, &numbers);
    project.ok(&["run"]);
    assert!(kept(&project) - chunks <= 2, "{} of {chunks} chunks were made", kept(&project) - chunks);
    let same = maps().iter().zip(&before).take_while(|(a, b)| a.to_bits() == b.to_bits()).count();
    assert!(same >= before.len() - 64 * 24 * 24, "{same} of {} values are the same", before.len());
    let forced = project.ok(&["run", "-f", "maps"]);
    assert!(forced.stderr.contains("output unchanged"), "{}", forced.stderr);
}
