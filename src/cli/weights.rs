//! How two models differ, in words.

use std::path::Path;

/// How the nodes and the weights of two models differ, a sentence each; `None` if neither does, if a file is no
/// model, or in a build without models.
#[cfg(not(feature = "models"))]
pub fn differences(_before: &Path, _now: &Path) -> Option<Vec<String>> {
    None
}

/// How the nodes and the weights of two models differ, a sentence each; `None` if neither does, if a file is no
/// model, or in a build without models.
#[cfg(feature = "models")]
pub fn differences(before: &Path, now: &Path) -> Option<Vec<String>> {
    use onnx_graph::model::Model;
    let read = |path: &Path| Model::read(&crate::fs::read(path).ok()?).ok();
    let (before, now) = (read(before)?, read(now)?);
    let (before, now) = (before.graph().ok()?, now.graph().ok()?);
    let mut out = Vec::new();
    if before.node != now.node {
        out.push(format!("the nodes differ: {} before, {} now", before.node.len(), now.node.len()));
    }
    for old in &before.initializer {
        match now.initializer.iter().find(|new| new.name == old.name) {
            None => out.push(format!("weight `{}` is gone", old.name())),
            Some(new) if new == old => {}
            Some(new) => out.push(format!("weight `{}`: {}", old.name(), gap(old, new))),
        }
    }
    let known = |name: &str| before.initializer.iter().any(|old| old.name() == name);
    for new in now.initializer.iter().filter(|new| !known(new.name())) {
        out.push(format!("weight `{}` is new", new.name()));
    }
    (!out.is_empty()).then_some(out)
}

/// How far the values of two weights lie apart; relative to the larger of two values.
#[cfg(feature = "models")]
fn gap(old: &onnx_graph::proto::TensorProto, new: &onnx_graph::proto::TensorProto) -> String {
    use onnx_graph::tensor::numbers;
    let (Ok(before), Ok(now)) = (numbers(old), numbers(new)) else { return "other values".to_owned() };
    if old.dims != new.dims {
        return format!("{:?} before, {:?} now", old.dims, new.dims);
    }
    let (mut count, mut absolute, mut relative) = (0, 0.0_f64, 0.0_f64);
    for (a, b) in before.iter().zip(&now).filter(|(a, b)| a.to_bits() != b.to_bits()) {
        count += 1;
        absolute = absolute.max((a - b).abs());
        relative = relative.max((a - b).abs() / a.abs().max(b.abs()));
    }
    let far = format!("by at most {absolute:.3e} (relative {relative:.3e})");
    format!("{count} of {} values differ, {far}", before.len())
}
