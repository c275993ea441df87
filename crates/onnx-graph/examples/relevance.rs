//! Writes VGG-16 and its relevance graphs for `benches/lrp.py`: `relevance FOLDER SIZE [COMPOSITE…]` makes
//! `forward.onnx` and one file for each composite.

use std::path::Path;

use onnx_graph::architectures::{Spec, build};
use onnx_graph::error::{Error, Result};
use onnx_graph::relevance::composite::Composite;
use onnx_graph::relevance::{Bounds, Options, attribution};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, size, composites @ ..] = &arguments[..] else {
        return Err(Error::new("usage: relevance FOLDER SIZE [COMPOSITE…]"));
    };
    let size = size.parse().map_err(|_| Error::new("SIZE is a number of pixels"))?;
    let spec = Spec {
        input: vec![3, size, size],
        classes: 1000,
        hidden: vec![4096, 4096],
        depth: Some(16),
        ..Spec::default()
    };
    let model = build("vgg", &spec, 0)?;
    let write = |name: &str, bytes: Vec<u8>| {
        let path = Path::new(folder).join(format!("{name}.onnx"));
        std::fs::write(&path, bytes).map_err(|e| Error::new(format!("{}: {e}", path.display())))
    };
    write("forward", model.to_bytes())?;
    for name in composites {
        let bounds = Some(Bounds { low: vec![-2.5], high: vec![2.5] });
        let options = Options { bounds, ..Options::default() };
        write(name, attribution(&model, &Composite::named(name)?, &options)?.model.to_bytes())?;
    }
    Ok(())
}
