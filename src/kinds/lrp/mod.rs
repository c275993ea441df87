//! Kinds that explain models: relevance maps, and what is made of them.

pub mod attribute;
pub mod compare;
mod composite;
mod explain;
mod graph;
mod images;
mod landmarks;
mod maps;
pub mod mask;
mod masking;
mod models;
mod params;
mod pixels;
mod precision;
pub mod randomise;
pub mod regions;
pub mod render;
mod samples;
mod scorer;
mod target;
pub mod transfer;

use onnx_graph::model::Model;
use onnx_graph::shape::{Dim, Info};

/// The model with its only input's open sizes, apart from the batch, set to those of the rows at hand:
/// rules need to know how large images are.
pub(super) fn with_row_shape(mut model: Model, row: &[i64]) -> Model {
    let Some((name, info)) = model.inputs().into_iter().next() else { return model };
    let Some(dims) = info.dims.clone().filter(|d| d.len() == row.len() + 1) else { return model };
    let sizes = std::iter::once(Dim::Name("N".to_owned())).chain(row.iter().map(|size| Dim::Size(*size)));
    let dims = dims.into_iter().zip(sizes).map(|(own, size)| if let Dim::Size(_) = own { own } else { size });
    let info = Info { dims: Some(dims.collect()), ..info };
    if let Some(value) =
        model.0.graph.iter_mut().flat_map(|g| &mut g.input).find(|v| v.name.as_deref() == Some(name.as_str()))
    {
        *value = info.value(&name);
    }
    model
}
