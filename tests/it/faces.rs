//! `pipelines/faces.yaml` on photographs, by parameters alone; and the masked images that it compares with people.

use std::path::Path;

use super::lrp::golden;
use super::support::Project;
use sulcus::table::read_path;

/// What takes the study from the patches that ship to a folder of photographs.
const SWITCHES: [&str; 8] = [
    "source=photographs",
    "photographs={ path: photographs, labels: photographs.csv, size: [32, 32], color: rgb }",
    "input=[3, 32, 32]",
    "pretraining=[identity]",
    "tasks=[gender]",
    "example=pretraining=identity,task=gender,seed=0",
    "depth=16",
    "composite=epsilon_gamma_box",
];

fn photographs(project: &Project) {
    std::fs::create_dir(project.path("photographs")).unwrap();
    let mut labels = String::from("id,file,source,gender,identity\n");
    for number in 0..12_u32 {
        let pixel = |x: u32, y: u32| image::Rgb([x, y, number].map(|v| (v * 20 % 256) as u8));
        let picture = image::RgbImage::from_fn(20, 24, pixel);
        picture.save(project.path(&format!("photographs/{number}.png"))).unwrap();
        labels += &format!("{number},{number}.png,{number},{},{}\n", number % 2, number % 3);
    }
    project.write("photographs.csv", &labels);
}

#[test]
fn the_face_study_takes_photographs_by_parameters() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/faces.yaml");
    let project = Project::with(&[("faces.yaml", &std::fs::read_to_string(file).unwrap())]);
    photographs(&project);
    let mut arguments = vec!["plan", "faces.yaml"];
    SWITCHES.iter().for_each(|switch| arguments.extend(["-p", switch]));
    let planned = project.ok(&arguments);
    for step in ["pictures ", "train[pretraining=identity,task=gender,seed=2]", "similarity[of=masked]"] {
        assert!(planned.stdout.contains(step), "{}", planned.stdout);
    }
    assert!(!planned.stdout.contains("patches"), "{}", planned.stdout);
    // Sizes are checked before anything runs.
    let pictures = arguments.iter().position(|a| a.starts_with("input=")).unwrap();
    arguments[pictures] = "input=[3, 16, 16]";
    let ran = project.sulcus(&arguments);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("[3, 32, 32]") && ran.stderr.contains("[3, 16, 16]"), "{}", ran.stderr);
}

/// Of every image the quarter of the pixels with the most relevance is black, and nothing else has changed.
#[test]
fn masked_images_are_images_without_their_most_relevant_pixels() {
    let project = Project::new(
        "name: shown\nstages:\n  model: { uses: ingest.model, with: { path: net.onnx } }\n  data: { uses: ingest.arrays, \
         with: { path: net.npz, columns: [input] } }\n  maps: { uses: lrp.attribute, in: { model: model, data: data }, \
         with: { composite: epsilon_plus_flat, sum_channels: true } }\n  masked: { uses: lrp.mask, in: { model: model, \
         data: data, maps: maps }, with: { fractions: [0.5], orders: [random], masked: { fraction: 0.25 } } }\n  \
         answers: { uses: model.infer, in: { model: model, data: masked.masked }, with: { keep: [target] } }\n",
    );
    for (from, to) in [("vgg_small.onnx", "net.onnx"), ("vgg_small.npz", "net.npz")] {
        std::fs::copy(golden(from), project.path(to)).unwrap();
    }
    project.ok(&["run"]);
    let tensor = |path: &str, column: &str| {
        let table = read_path(&project.path(&format!("results/shown/{path}.parquet")), None).unwrap();
        table.tensor_f32(column).unwrap()
    };
    let (masked, whole) = (tensor("masked/masked", "input"), tensor("data/table", "input"));
    let maps = tensor("maps/table", "relevance");
    assert_eq!(masked.row_shape, [3, 32, 32]);
    for row in 0..4 {
        let map = &maps.values[row * 1024..][..1024];
        let mut order: Vec<usize> = (0..1024).collect();
        order.sort_by(|a, b| map[*b].total_cmp(&map[*a]));
        for (place, pixel) in order.into_iter().enumerate() {
            for channel in 0..3 {
                let at = row * 3072 + channel * 1024 + pixel;
                let wanted = if place < 256 { 0.0 } else { whole.values[at] };
                assert_eq!(masked.values[at], wanted, "row {row}, pixel {pixel}");
            }
        }
    }
}
