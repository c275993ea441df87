//! VGG-16 at 224 × 224 with weights made from a formula (`vgg16/make_vgg16_onnx.py` of the golden cases).

use onnx_graph::build::{Attr, Builder};
use onnx_graph::model::Model;
use onnx_graph::proto::GraphProto;
use onnx_graph::shape::{Dim, Info};
use onnx_graph::tensor::{DataType, floats};

use super::masking::npy;
use super::npz::root;
use super::support::Project;
use sulcus::table::read_path;

/// Channels of the convolutions; 0 is a pool.
const LAYERS: [usize; 18] = [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0];
/// Number of the tensor that is the input.
const INPUT: u64 = 1000;

/// The first `count` numbers of tensor `tensor`, -1 to 1 times `scale`.
fn numbers(tensor: u64, count: usize, scale: f64) -> Vec<f32> {
    let one = |i: u64| {
        let mut z = (tensor << 32).wrapping_add(i);
        z = z.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((2.0 * ((z >> 40) as f64 / f64::from(1 << 24)) - 1.0) * scale) as f32
    };
    (0..count as u64).map(one).collect()
}

fn vgg16() -> Model {
    let mut b = Builder::new("");
    let (mut value, mut channels, mut layer) = ("input".to_owned(), 3, 0_usize);
    let weights = |b: &mut Builder, dims: [usize; 4], layer: usize| {
        let inputs = dims[1] * dims[2] * dims[3];
        let shape = dims.map(|d| d as i64);
        let tensor = 2 * layer as u64;
        let w = numbers(tensor, dims[0] * inputs, (6.0 / inputs as f64).sqrt());
        let shape = if dims[2] == 1 { &shape[..2] } else { &shape[..] };
        b.constants.push(floats(&format!("w{layer}"), shape, &w));
        b.constants.push(floats(&format!("b{layer}"), &[dims[0] as i64], &numbers(tensor + 1, dims[0], 0.1)));
    };
    for size in LAYERS {
        if size == 0 {
            let two = [2, 2];
            value = b.node(
                "MaxPool",
                &[&value],
                [("kernel_shape", Attr::Ints(&two)), ("strides", Attr::Ints(&two))],
            );
            continue;
        }
        weights(&mut b, [size, channels, 3, 3], layer);
        let names = [value.as_str(), &format!("w{layer}"), &format!("b{layer}")];
        let z =
            b.node("Conv", &names, [("kernel_shape", Attr::Ints(&[3, 3])), ("pads", Attr::Ints(&[1; 4]))]);
        value = b.node("Relu", &[&z], []);
        (channels, layer) = (size, layer + 1);
    }
    value = b.node("Flatten", &[&value], []);
    for (place, (inputs, outputs)) in [(25_088, 4096), (4096, 4096), (4096, 1000)].into_iter().enumerate() {
        weights(&mut b, [outputs, inputs, 1, 1], layer);
        let names = [value.as_str(), &format!("w{layer}"), &format!("b{layer}")];
        if place == 2 {
            b.named_node("Gemm", &names, &["logits"], [("transB", Attr::Int(1))]);
        } else {
            let z = b.node("Gemm", &names, [("transB", Attr::Int(1))]);
            value = b.node("Relu", &[&z], []);
        }
        layer += 1;
    }
    let info = |dims: &[i64]| {
        let sizes = dims.iter().map(|d| Dim::Size(*d));
        Info::new(DataType::Float, std::iter::once(Dim::Name("N".to_owned())).chain(sizes).collect())
    };
    Model::new(GraphProto {
        node: b.nodes,
        initializer: b.constants,
        input: vec![info(&[3, 224, 224]).value("input")],
        output: vec![info(&[1000]).value("logits")],
        ..GraphProto::default()
    })
}

/// Some minutes and gigabytes, so that it runs only where `SULCUS_VGG16` is set.
#[test]
fn golden_summary_of_vgg16() {
    let path = format!("{}/lrp/vgg16/vgg16_summary.json", root());
    let Ok(text) = std::fs::read(&path) else {
        println!("skipped: there is no {path}");
        return;
    };
    if std::env::var_os("SULCUS_VGG16").is_none() {
        println!("skipped: SULCUS_VGG16 is not set");
        return;
    }
    let golden: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let golden = golden["splitmix"].as_object().unwrap();
    let composites: Vec<&String> =
        golden.iter().filter(|(_, v)| v.get("block_sums_4x4").is_some()).map(|(name, _)| name).collect();
    assert!(!composites.is_empty(), "{path} holds no case");
    let list = composites.iter().map(|c| c.as_str()).collect::<Vec<_>>().join(", ");
    let project = Project::new(&format!(
        "name: vgg16\nstages:\n  model: {{ uses: ingest.model, with: {{ path: vgg16.onnx }} }}\n  data: {{ uses: \
         ingest.arrays, with: {{ arrays: {{ input: input.npy }} }} }}\n  maps:\n    uses: lrp.attribute\n    matrix: \
         {{ composite: [{list}] }}\n    in: {{ model: model, data: data }}\n    with: {{ composite: \
         \"${{matrix.composite}}\", box: [-2.0, 2.0], target: predicted }}\n"
    ));
    std::fs::write(project.path("vgg16.onnx"), vgg16().to_bytes()).unwrap();
    let input = numbers(INPUT, 3 * 224 * 224, 2.0);
    std::fs::write(project.path("input.npy"), npy("(1, 3, 224, 224)", input.into_iter())).unwrap();
    project.ok(&["run", "-j", "1"]);
    for composite in composites {
        let wanted = &golden[composite];
        let path = project.path(&format!("results/vgg16/maps/composite={composite}/table.parquet"));
        let table = read_path(&path, None).unwrap();
        let logit = table.f64s("logit").unwrap()[0];
        assert_eq!(table.i64s("target").unwrap()[0], golden["target"].as_i64().unwrap());
        assert!((logit - golden["logit_target"].as_f64().unwrap()).abs() <= 1e-4, "{logit}");
        let map = table.tensor_f32("relevance").unwrap().values;
        // The first of the largest: the flat rule gives all channels of a pixel the same.
        let larger = |best: usize, i: usize| if map[i].abs() > map[best].abs() { i } else { best };
        let largest = (0..map.len()).reduce(larger).unwrap();
        let mut blocks = [[0.0_f64; 4]; 4];
        for (place, value) in map.iter().enumerate() {
            blocks[place / 224 % 224 / 56][place % 224 / 56] += f64::from(*value);
        }
        let number = |r: usize, c: usize| wanted["block_sums_4x4"][r][c].as_f64().unwrap();
        let each = || (0..16).map(|i| (i / 4, i % 4));
        let peak = each().map(|(r, c)| number(r, c).abs()).fold(0.0, f64::max);
        let error = each().map(|(r, c)| (blocks[r][c] - number(r, c)).abs()).fold(0.0, f64::max) / peak;
        println!(
            "vgg16 {composite}: block sums {error:.1e} of the largest, logit {logit:.6}, peak at {largest}"
        );
        let tolerance = if composite == "epsilon" { 2e-4 } else { 2e-5 };
        assert!(error <= tolerance, "{composite}: {error:e}");
        assert_eq!(largest as u64, wanted["argmax_flat"].as_u64().unwrap(), "{composite}");
    }
}
