//! What is known of a model, and whether a table's column fits its input.

use onnx_graph::model::Model;
use onnx_graph::shape::{Dim as GraphDim, Info};

use crate::stage::{Complaint, Dim, Facts, Failure, ModelFacts, TableFacts, TensorFacts};

/// The signature of a model.
pub fn of(model: &Model) -> ModelFacts {
    ModelFacts { inputs: all(model.inputs()), outputs: all(model.outputs()) }
}

fn all(values: Vec<(String, Info)>) -> Vec<TensorFacts> {
    values.into_iter().map(|(name, info)| tensor(name, &info)).collect()
}

fn tensor(name: String, info: &Info) -> TensorFacts {
    let dim = |d: &GraphDim| match d {
        GraphDim::Size(size) => Dim::Size(size.unsigned_abs()),
        GraphDim::Name(name) => Dim::Name(name.clone()),
        GraphDim::Unknown => Dim::Name("?".to_owned()),
    };
    let shape = info.dims.as_ref().map(|dims| dims.iter().map(dim).collect()).unwrap_or_default();
    TensorFacts { name, dtype: info.ty.name().to_owned(), shape }
}

/// Reads the model bound to a port.
///
/// # Errors
/// If the file is no model that this program takes.
pub fn read(bound: &crate::stage::Bound) -> Result<Model, Failure> {
    let bytes = crate::fs::read(&bound.path)?;
    Model::read_whole(bytes).map_err(|e| Failure::new(e.to_string()).context(bound.path.display()))
}

/// The only input of a model, or a complaint at `in.model`.
pub fn only_input(facts: &Facts) -> Result<Option<&TensorFacts>, Complaint> {
    let Some(model) = facts.model() else { return Ok(None) };
    match &model.inputs[..] {
        [only] => Ok(Some(only)),
        other => {
            Err(Complaint::port("model", format!("the model has {} inputs; one is needed", other.len())))
        }
    }
}

/// The column that feeds a model: the one named, else `input`, else the only tensor column.
pub fn input_column(table: &TableFacts, named: Option<&str>, param: &str) -> Result<String, Complaint> {
    if let Some(name) = named {
        return column(table, name, param).map(str::to_owned);
    }
    if table.column("input").is_some() {
        return Ok("input".to_owned());
    }
    let tensors: Vec<&str> =
        table.columns.iter().filter(|c| c.shape.is_some()).map(|c| c.name.as_str()).collect();
    match tensors[..] {
        [only] => Ok(only.to_owned()),
        [] => Err(Complaint::param(param, "the table has no tensor column")
            .hint(format!("name a column: `{param}: …`"))),
        _ => Err(Complaint::param(
            param,
            format!("the table has several tensor columns: {}", tensors.join(", ")),
        )
        .hint(format!("say which one: `{param}: {}`", tensors[0]))),
    }
}

/// The column that holds the targets: the one named, else the first of `label`, `labels`, `target`, `class`.
pub fn target_column(table: &TableFacts, named: Option<&str>) -> Result<String, Complaint> {
    if let Some(name) = named {
        return column(table, name, "target").map(str::to_owned);
    }
    let usual = ["label", "labels", "target", "class"];
    let found = usual.into_iter().find(|name| table.column(name).is_some());
    found.map(str::to_owned).ok_or_else(|| {
        Complaint::param("target", "the table has none of the columns label, labels, target, class")
            .hint("name one: `target: …`")
    })
}

/// Checks that a column is there.
pub fn column<'a>(table: &'a TableFacts, name: &'a str, param: &str) -> Result<&'a str, Complaint> {
    if table.column(name).is_some() {
        return Ok(name);
    }
    let hint = crate::spec::suggest::hint(name, table.names());
    Err(Complaint::param(param, format!("the table has no column `{name}`")).hint(hint))
}

/// The columns carried over: `id` where there is one, and those under `keep`.
pub fn kept(table: &TableFacts, keep: &[String]) -> Result<Vec<String>, Complaint> {
    let mut kept: Vec<String> = table.column("id").map(|_| "id".to_owned()).into_iter().collect();
    for (index, name) in keep.iter().enumerate() {
        column(table, name, &format!("keep.{index}"))?;
        if !kept.contains(name) {
            kept.push(name.clone());
        }
    }
    Ok(kept)
}

/// Checks that the rows of a column have as many values as the model's input takes.
pub fn check_shape(table: &TableFacts, name: &str, input: &TensorFacts) -> Result<(), Complaint> {
    let Some(column) = table.column(name) else { return Ok(()) };
    let given: Vec<u64> = column.shape.iter().flatten().map(|d| *d as u64).collect();
    let wanted: Option<Vec<u64>> =
        input.shape.iter().skip(1).map(|d| if let Dim::Size(s) = d { Some(*s) } else { None }).collect();
    let Some(wanted) = wanted else { return Ok(()) };
    // A model may say anything of its sizes.
    let values = |sizes: &[u64]| sizes.iter().try_fold(1_u64, |product, size| product.checked_mul(*size));
    if values(&given).is_some_and(|count| Some(count) == values(&wanted)) {
        return Ok(());
    }
    Err(Complaint::port(
        "data",
        format!(
            "the column `{name}` has rows of shape {given:?}, and the model's input `{}` takes {wanted:?}",
            input.name
        ),
    )
    .hint("the numbers of values differ: check `input` of `model.build` and the data's shape"))
}
