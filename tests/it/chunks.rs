//! New rows in a table: row-wise steps work on them and on what stands around them.

use super::masking::npy;
use super::support::Project;
use sulcus::table::read_path;

const WORKFLOW: &str = "\
stages:
  images: { uses: ingest.arrays, with: { arrays: { image: images.npy } } }
  net: { uses: model.build, with: { architecture: resnet, width: 16, input: [1, 24, 24], classes: 5 } }
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
    let mut numbers: Vec<u64> = (0..600).collect();
    images(&project, &numbers);
    project.ok(&["run"]);
    let (before, chunks) = (logits(&project), kept(&project));
    assert!(chunks >= 600 / 256, "{chunks} chunks are kept");

    // Six rows in the middle: at most the chunks around them are made.
    numbers.splice(300..300, 1000..1006);
    images(&project, &numbers);
    project.ok(&["run"]);
    let after = logits(&project);
    assert!(kept(&project) - chunks <= 4, "{} of {chunks} chunks were made", kept(&project) - chunks);
    let old: Vec<_> = after[..300].iter().chain(&after[306..]).cloned().collect();
    // All but the rows in new company are the same to the bit; there the runtime may add in another order.
    let moved = old.iter().zip(&before).filter(|(a, b)| a != b).count();
    assert!(moved <= 512, "{moved} of 600 rows have other bits");

    // Nothing that was kept is used when the step is forced or verified, and it comes to the same bits.
    let forced = project.ok(&["run", "-f", "answers"]);
    assert!(forced.stderr.contains("output unchanged"), "{}", forced.stderr);
    project.ok(&["verify", "answers"]);
}

#[test]
fn a_damaged_chunk_is_made_again() {
    let project = Project::new(WORKFLOW);
    images(&project, &(0..300).collect::<Vec<_>>());
    project.ok(&["run"]);
    let before = logits(&project);
    for entry in walkdir::WalkDir::new(project.path(".sulcus/chunks")).into_iter().flatten() {
        if entry.file_type().is_file() {
            std::fs::write(entry.path(), "0000").expect("the chunk can be damaged");
        }
    }
    images(&project, &(0..301).collect::<Vec<_>>());
    project.ok(&["run"]);
    let first = (0..300).take_while(|row| logits(&project)[*row] == before[*row]).count();
    assert!(first >= 16, "the first chunk has other values");
}
