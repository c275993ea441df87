//! Readers of strangers' files, on files with a few bytes changed: whatever comes, they answer.
//!
//! Each target runs for `SULCUS_FUZZ_SECONDS` (1 if not set) on inputs that follow from
//! `SULCUS_FUZZ_SEED` (0 if not set). The input at hand lies under `target/tmp/fuzz-<target>`, also
//! after the process was aborted.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(otherwise)
}

/// The generator splitmix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// One to eight changes: bytes flipped, set to what readers stumble over, cut out, repeated, or taken
/// from another sample or from `words`.
fn mutate(random: &mut Random, samples: &[Vec<u8>], words: &[&[u8]]) -> Vec<u8> {
    const STUMBLES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'9', b'\n', b'-'];
    let mut bytes = samples[random.below(samples.len())].clone();
    for _ in 0..=random.below(8) {
        let at = random.below(bytes.len() + 1);
        let span = random.below(1 + (bytes.len() - at).min(64));
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = STUMBLES[random.below(8)],
            2 => drop(bytes.drain(at..at + span)),
            3 => {
                let again = bytes[at..at + span].to_vec();
                bytes.splice(at..at, again);
            }
            4 => {
                let other = &samples[random.below(samples.len())];
                let from = random.below(other.len());
                let to = other.len().min(from + random.below(256));
                bytes.splice(at..at + span, other[from..to].iter().copied());
            }
            5 => drop(bytes.splice(at..at, words[random.below(words.len())].iter().copied())),
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

/// Feeds `read` until the time is over.
fn fuzz(target: &str, samples: &[Vec<u8>], words: &[&[u8]], read: impl Fn(&[u8], &Path)) {
    let seed = setting("SULCUS_FUZZ_SEED", 0);
    let time = Duration::from_secs(setting("SULCUS_FUZZ_SECONDS", 1));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}"));
    let (begun, mut number, mut slowest) = (Instant::now(), 0_u64, Duration::ZERO);
    while begun.elapsed() < time {
        let mut random = Random(seed.wrapping_mul(0x1_0000_0001).wrapping_add(number));
        let bytes = if number < samples.len() as u64 {
            samples[number as usize].clone()
        } else {
            mutate(&mut random, samples, words)
        };
        std::fs::write(&path, &bytes).unwrap();
        let one = Instant::now();
        let answered = catch_unwind(AssertUnwindSafe(|| read(&bytes, &path)));
        assert!(answered.is_ok(), "{target}: input {number} of seed {seed}, {}", path.display());
        slowest = slowest.max(one.elapsed());
        assert!(slowest < Duration::from_secs(5), "{target}: input {number} of seed {seed} took {slowest:?}");
        number += 1;
    }
    println!("{target}: {number} inputs, the slowest took {slowest:?}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn workflows() {
    let files = std::fs::read_dir(root().join("pipelines")).unwrap().flatten().map(|e| e.path());
    let mut samples: Vec<Vec<u8>> = files
        .filter(|p| p.extension().is_some_and(|e| e == "yaml"))
        .map(|p| std::fs::read(p).unwrap())
        .collect();
    samples.push(b"params: { a: &a [1, 2.5, true, null, 'x'], b: *a }\nenv: [HOME]\ndefaults: { retries: 1 }\nstages:\n  s:\n    uses: command\n    matrix: { x: \"${params.a}\", y: [1, 2] }\n    when: \"${matrix.x}\"\n    needs: [t]\n    timeout: 1m\n    with: { run: |\n      echo ${matrix.x}\n, reads: ['a*'], writes: b }\n".to_vec());
    let words: [&[u8]; 12] = [
        b"${params.a}",
        b"${",
        b"*a",
        b"&a ",
        b"<<: *a\n",
        b"- ",
        b": ",
        b"[*]",
        b"!!int ",
        b"\t",
        b"\xef\xbb\xbf",
        b"1e999",
    ];
    let overrides =
        sulcus::spec::Overrides { params: serde_json::Map::new(), env: std::collections::HashMap::new() };
    fuzz("workflow", &samples, &words, |bytes, path| {
        let _ = sulcus::spec::parse(bytes, 0);
        let folder = path.parent().unwrap();
        let Ok(workflow) = sulcus::spec::load(folder, path, &overrides) else { return };
        let _ = sulcus::plan::plan(workflow, folder, sulcus::kinds::KINDS, &[], &|_| false);
    });
}

#[cfg(feature = "tables")]
mod arrays {
    use std::collections::BTreeMap;

    use serde_json::json;
    use sulcus::stage::{Cancel, FileIn, InferContext, Io, Silent};

    use super::{fuzz, root};

    /// Reads the way a step does: first the headers, then the values.
    #[test]
    fn arrays() {
        let npy = std::fs::read(root().join("data/digits/labels.npy")).unwrap();
        let npy = npy[..npy.len().min(400)].to_vec();
        let images = std::fs::read(root().join("data/lfw-patches/patches.npy")).unwrap();
        let idx = [&[0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 2][..], &[1, 2, 3, 4, 5, 6]].concat();
        let header = br#"{"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}"#;
        let safetensors = [&(header.len() as u64).to_le_bytes()[..], header, &[0; 8]].concat();
        let samples = [npy, images[..images.len().min(600)].to_vec(), idx, safetensors];
        let words: [&[u8]; 8] = [
            b"'<f8'",
            b"'|O'",
            b"(1099511627776, 1024)",
            b"-1",
            b"True",
            b"{",
            b"NUMPY",
            b"\x00\x00\x00\x00",
        ];
        let stage = sulcus::kinds::KINDS.iter().find(|kind| kind.name() == "ingest.arrays").unwrap();
        let params = stage.check(&json!({ "path": "x" })).unwrap().params;
        fuzz("arrays", &samples, &words, |_, path| {
            let file = FileIn { name: "x".to_owned(), path: path.to_owned() };
            let files = BTreeMap::from([("path".to_owned(), vec![path.to_owned()])]);
            let _ = stage.infer(&params, &InferContext { inputs: BTreeMap::new(), files });
            let scratch = tempfile::tempdir().unwrap();
            let mut io = Io {
                chunks: &sulcus::stage::NoChunks,
                beside_rows: sulcus::stage::Digest::of(b""),
                inputs: BTreeMap::new(),
                files: BTreeMap::from([("path".to_owned(), vec![file])]),
                checkpoints: scratch.path().join("checkpoints"),
                root: scratch.path().to_owned(),
                scratch: scratch.path().to_owned(),
                threads: 1,
                providers: Vec::new(),
                library: None,
                env: BTreeMap::new(),
                progress: &Silent,
                cancel: Cancel::default(),
                made: BTreeMap::new(),
                notes: BTreeMap::new(),
            };
            let _ = stage.run(&params, &mut io);
        });
    }
}

#[cfg(feature = "tables")]
mod tables {
    use sulcus::table::{Frame, Tensor, facts_of, preview, read_path, write};

    use super::fuzz;

    /// Parquet files of one and of several columns, with and without missing values.
    #[test]
    fn tables() {
        let folder = tempfile::tempdir().unwrap();
        let sample = |fill: &dyn Fn(&mut Frame)| {
            let (mut frame, path) = (Frame::new(), folder.path().join("sample"));
            fill(&mut frame);
            write(&mut frame, &path).unwrap();
            std::fs::read(&path).unwrap()
        };
        let texts: Vec<String> = (0..40).map(|row| format!("row {}", row % 7)).collect();
        let tensor = Tensor { row_shape: vec![2, 3], values: (0..240).map(|at| at as f32 / 7.0).collect() };
        let labels: Vec<Option<i64>> = (0..40).map(|row| (row % 3 > 0).then_some(row)).collect();
        let samples = [
            sample(&|frame| frame.push_optional_i64s("label", labels.clone()).unwrap()),
            sample(&|frame| frame.push_strings("text", &texts).unwrap()),
            sample(&|frame| {
                frame.push_tensor_f32("map", tensor.clone()).unwrap();
                frame.push_optional_i64s("label", labels.clone()).unwrap();
            }),
        ];
        let words: [&[u8]; 4] = [b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x08", b"PAR1", b"\x15\x01"];
        fuzz("table", &samples, &words, |_, path| {
            let _ = facts_of(path);
            let _ = preview(path, 2);
            let _ = read_path(path, None);
        });
    }
}

#[cfg(feature = "models")]
mod models {
    use onnx_graph::architectures::{Spec, build};
    use onnx_graph::loss::Loss;
    use onnx_graph::model::Model;
    use onnx_graph::train::{Optimizer, Settings, Sgd, training};

    use super::fuzz;

    /// Reads, infers shapes and differentiates.
    #[test]
    fn models() {
        let spec = |input: &[usize], hidden: &[usize]| Spec {
            input: input.to_vec(),
            classes: 2,
            hidden: hidden.to_vec(),
            activation: "Relu".to_owned(),
            scale: 1.0,
            ..Spec::default()
        };
        let sgd = Sgd { momentum: 0.9, weight_decay: 0.1, ..Sgd::default() };
        let settings = Settings::new(Loss::CrossEntropy, Optimizer::Sgd(sgd), 4);
        let linear = build("linear", &spec(&[3], &[]), 0).unwrap();
        let mlp = build("mlp", &spec(&[4], &[3]), 1).unwrap();
        let trained = training(&mlp, &settings).unwrap().model.to_bytes();
        let lenet = build("lenet", &spec(&[1, 8, 8], &[]), 2).unwrap();
        let samples = [linear.to_bytes(), mlp.to_bytes(), trained, lenet.to_bytes()];
        let words: [&[u8]; 8] = [
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x80\x80\x80\x80\x10",
            b"ConstantOfShape",
            b"Loop",
            b"location",
            b"../../etc/passwd",
            b"\x0a\x00",
            b"\x08\x0b",
        ];
        fuzz("model", &samples, &words, |bytes, _| {
            let Ok(model) = Model::read(bytes) else { return };
            let _ = training(&model, &settings);
            let _ = model.to_bytes();
        });
    }
}
