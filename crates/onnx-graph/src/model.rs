//! Reading and writing model files. A file comes from a stranger until it is checked.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use prost::Message;

use crate::error::{Error, Result};
use crate::proto::{
    AttributeProto, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TypeValue, ValueInfoProto,
};
use crate::shape::{Dim, Info};
use crate::tensor::{DataType, elements, read_ints};

/// A constant or a tensor made from constants alone may have so many elements, no more.
pub const MAX_ELEMENTS: usize = 1 << 28;
/// The operator set that this crate writes.
pub const OPSET: i64 = 21;
/// The IR version that this crate writes.
const IR_VERSION: i64 = 10;

/// An ONNX model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model(pub ModelProto);

impl Model {
    /// A model of one graph, with this crate's operator set.
    pub fn new(graph: GraphProto) -> Self {
        Model(ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some("sulcus".to_owned()),
            producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            graph: Some(graph),
            opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPSET) }],
            ..ModelProto::default()
        })
    }

    /// Reads a model without external data and checks that it asks for nothing unreasonable.
    ///
    /// # Errors
    /// If the bytes are no ONNX model, a constant does not have the data that its shape says, or a
    /// few bytes ask for a huge tensor.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        Self::read_whole(bytes.to_vec())
    }

    /// As [`Model::read`]; the constants stay where they lie in `bytes`.
    ///
    /// # Errors
    /// As [`Model::read`].
    pub fn read_whole(bytes: Vec<u8>) -> Result<Self> {
        let model = decode(bytes)?;
        if let Some(tensor) = model.tensors().into_iter().find(|t| is_external(t)) {
            let name = tensor.name.as_deref().unwrap_or("");
            return Err(Error::new(format!(
                "the constant `{name}` lies in another file, which is not allowed here"
            )));
        }
        check(&model)?;
        Ok(model)
    }

    /// Reads a model file. External data is taken in, if it lies in the model's own folder.
    ///
    /// # Errors
    /// As [`Model::read`]; and if external data leaves the folder, stands behind a link, or is a hard link.
    pub fn read_file(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).map_err(|e| Error::new(format!("cannot read {}: {e}", path.display())))?;
        let mut model = decode(bytes)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut failure = None;
        model.visit(&mut |tensor| {
            if failure.is_none() && is_external(tensor) {
                failure = take_in(tensor, folder).err();
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        check(&model)?;
        Ok(model)
    }

    /// The files beside a model file that hold its external data, as the model names them, each once and sorted.
    ///
    /// # Errors
    /// As [`Model::read_file`], but for the data itself, which is not read.
    pub fn external_files(path: &Path) -> Result<Vec<String>> {
        let bytes =
            std::fs::read(path).map_err(|e| Error::new(format!("cannot read {}: {e}", path.display())))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let model = decode(bytes)?;
        let external = model.tensors().into_iter().filter(|t| is_external(t));
        let mut files = external.map(|t| Ok(located(t, folder)?.0)).collect::<Result<Vec<String>>>()?;
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// How many bytes the file has.
    pub fn size(&self) -> usize {
        self.0.encoded_len()
    }

    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }

    /// The main graph.
    ///
    /// # Errors
    /// If the model has none.
    pub fn graph(&self) -> Result<&GraphProto> {
        self.0.graph.as_ref().ok_or_else(|| Error::new("the model has no graph"))
    }

    /// Inputs that are not constants, with type and shape.
    pub fn inputs(&self) -> Vec<(String, Info)> {
        let Some(graph) = &self.0.graph else { return Vec::new() };
        let constants: HashSet<&str> = graph.initializer.iter().filter_map(|t| t.name.as_deref()).collect();
        let named = graph.input.iter().filter(|v| !constants.contains(v.name.as_deref().unwrap_or("")));
        named.map(|v| (v.name.clone().unwrap_or_default(), Info::of(v))).collect()
    }

    /// Outputs with type and shape.
    pub fn outputs(&self) -> Vec<(String, Info)> {
        let Some(graph) = &self.0.graph else { return Vec::new() };
        graph.output.iter().map(|v| (v.name.clone().unwrap_or_default(), Info::of(v))).collect()
    }

    /// Number of parameters: elements of all float constants.
    pub fn parameters(&self) -> usize {
        let floats = self.tensors().into_iter().filter(|t| matches!(t.data_type, Some(1 | 10 | 11 | 16)));
        floats.map(|t| elements(&t.dims).unwrap_or(0)).sum()
    }

    /// How often each op is used, most used first.
    pub fn ops(&self) -> Vec<(String, usize)> {
        let mut counts: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
        for node in self.0.graph.iter().flat_map(|g| &g.node) {
            *counts.entry(node.op_type.as_deref().unwrap_or("")).or_default() += 1;
        }
        let mut sorted: Vec<(String, usize)> = counts.into_iter().map(|(op, n)| (op.to_owned(), n)).collect();
        sorted.sort_by_key(|(op, n)| (std::cmp::Reverse(*n), op.clone()));
        sorted
    }

    fn visit(&mut self, visit: &mut dyn FnMut(&mut TensorProto)) {
        let training = self.0.training_info.iter_mut();
        let others = training.flat_map(|t| t.initialization.iter_mut().chain(&mut t.algorithm));
        self.0.graph.iter_mut().chain(others).for_each(|graph| visit_tensors(graph, visit));
        self.0.functions.iter_mut().for_each(|function| visit_nodes(&mut function.node, visit));
    }

    fn tensors(&self) -> Vec<&TensorProto> {
        let mut all = Vec::new();
        let training = &self.0.training_info;
        let others = training.iter().flat_map(|t| t.initialization.iter().chain(&t.algorithm));
        self.0.graph.iter().chain(others).for_each(|graph| gather(graph, &mut all));
        self.0.functions.iter().for_each(|function| gather_nodes(&function.node, &mut all));
        all
    }
}

fn decode(bytes: Vec<u8>) -> Result<Model> {
    let proto = ModelProto::decode(Bytes::from(bytes))
        .map_err(|e| Error::new(format!("this is no ONNX model: {e}")))?;
    let has_nodes = proto.graph.as_ref().is_some_and(|g| !g.node.is_empty() || !g.output.is_empty());
    if !has_nodes {
        return Err(Error::new("this is no ONNX model: it has no graph"));
    }
    Ok(Model(proto))
}

fn gather<'m>(graph: &'m GraphProto, all: &mut Vec<&'m TensorProto>) {
    all.extend(&graph.initializer);
    all.extend(graph.sparse_initializer.iter().flat_map(|s| s.values.iter().chain(&s.indices)));
    gather_nodes(&graph.node, all);
}

fn gather_nodes<'m>(nodes: &'m [NodeProto], all: &mut Vec<&'m TensorProto>) {
    for attribute in nodes.iter().flat_map(|n| &n.attribute) {
        all.extend(attribute.t.iter().chain(&attribute.tensors));
        let sparse = attribute.sparse_tensor.iter().chain(&attribute.sparse_tensors);
        all.extend(sparse.flat_map(|s| s.values.iter().chain(&s.indices)));
        attribute.g.iter().chain(&attribute.graphs).for_each(|g| gather(g, all));
    }
}

fn visit_tensors(graph: &mut GraphProto, visit: &mut dyn FnMut(&mut TensorProto)) {
    graph.initializer.iter_mut().for_each(&mut *visit);
    for sparse in &mut graph.sparse_initializer {
        sparse.values.iter_mut().chain(&mut sparse.indices).for_each(&mut *visit);
    }
    visit_nodes(&mut graph.node, visit);
}

fn visit_nodes(nodes: &mut [NodeProto], visit: &mut dyn FnMut(&mut TensorProto)) {
    for attribute in nodes.iter_mut().flat_map(|n| &mut n.attribute) {
        attribute.t.iter_mut().chain(&mut attribute.tensors).for_each(&mut *visit);
        for sparse in attribute.sparse_tensor.iter_mut().chain(&mut attribute.sparse_tensors) {
            sparse.values.iter_mut().chain(&mut sparse.indices).for_each(&mut *visit);
        }
        attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(|g| visit_tensors(g, visit));
    }
}

fn is_external(tensor: &TensorProto) -> bool {
    tensor.data_location == Some(1) || !tensor.external_data.is_empty()
}

/// What the external data of a tensor says under a key.
fn external_entry(tensor: &TensorProto, key: &str) -> Option<String> {
    tensor.external_data.iter().find(|e| e.key.as_deref() == Some(key)).and_then(|e| e.value.clone())
}

/// What is wrong with the external data of a tensor.
fn external_error(tensor: &TensorProto, why: String) -> Error {
    Error::new(format!("external data of the constant `{}`: {why}", tensor.name.as_deref().unwrap_or("")))
}

/// The file with a tensor's external data, as the model names it (without `./`) and below `folder`.
fn located(tensor: &TensorProto, folder: &Path) -> Result<(String, PathBuf)> {
    let wrong = |why: String| external_error(tensor, why);
    let location =
        external_entry(tensor, "location").ok_or_else(|| wrong("no location is given".to_owned()))?;
    let plain =
        Path::new(&location).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    if !plain || location.contains('\\') {
        return Err(wrong(format!("`{location}` leaves the model's folder")));
    }
    let mut path = folder.to_owned();
    for component in Path::new(&location).components() {
        path.push(component);
        let meta =
            std::fs::symlink_metadata(&path).map_err(|e| wrong(format!("cannot read `{location}`: {e}")))?;
        if meta.file_type().is_symlink() {
            return Err(wrong(format!(
                "`{location}` is or stands behind a symbolic link; put the file itself there"
            )));
        }
        if !meta.is_dir() && !meta.is_file() {
            return Err(wrong(format!("`{location}` is no plain file")));
        }
        if meta.is_file() && meta.nlink() > 1 {
            return Err(wrong(format!(
                "`{location}` is a hard link to a file that has other names; copy it instead"
            )));
        }
    }
    let named: Vec<&str> =
        Path::new(&location).iter().filter(|c| *c != ".").filter_map(|c| c.to_str()).collect();
    Ok((named.join("/"), path))
}

/// Replaces a reference to another file by the bytes there.
fn take_in(tensor: &mut TensorProto, folder: &Path) -> Result<()> {
    let (location, path) = located(tensor, folder)?;
    let wrong = |why: String| external_error(tensor, why);
    let entry = |key: &str| external_entry(tensor, key);
    let number = |key: &str| {
        entry(key).map(|t| t.parse::<u64>().map_err(|_| wrong(format!("`{key}` is no number")))).transpose()
    };
    let offset = number("offset")?.unwrap_or(0);
    let mut file = std::fs::File::open(&path).map_err(|e| wrong(e.to_string()))?;
    let size = file.metadata().map_err(|e| wrong(e.to_string()))?.len();
    let length = number("length")?.unwrap_or_else(|| size.saturating_sub(offset));
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(wrong(format!(
            "bytes {offset}+{length} lie beyond the end of `{location}` ({size} bytes)"
        )));
    }
    // A sparse file of any length costs nothing on the disk: what is read is what the shape needs.
    let bytes = DataType::from_code(tensor.data_type.unwrap_or(0)).bytes();
    let needed = bytes.and_then(|b| elements(&tensor.dims).ok()?.checked_mul(b)).map(|n| n as u64);
    if bytes.is_some() && needed != Some(length) {
        return Err(wrong(format!("`{location}` gives {length} bytes for the shape {:?}", tensor.dims)));
    }
    file.seek(SeekFrom::Start(offset)).map_err(|e| wrong(e.to_string()))?;
    let mut raw = Vec::new();
    file.take(length).read_to_end(&mut raw).map_err(|e| wrong(e.to_string()))?;
    tensor.raw_data = Some(raw.into());
    tensor.external_data.clear();
    tensor.data_location = None;
    Ok(())
}

fn check(model: &Model) -> Result<()> {
    for tensor in model.tensors() {
        check_tensor(tensor)?;
    }
    match &model.0.graph {
        Some(graph) => check_expansions(graph, &mut HashMap::new()),
        None => Ok(()),
    }
}

/// The data must be as long as the shape says, before anybody allocates by the shape.
fn check_tensor(tensor: &TensorProto) -> Result<()> {
    let name = tensor.name.as_deref().unwrap_or("");
    let count = elements(&tensor.dims).map_err(|e| Error::new(format!("the constant `{name}`: {e}")))?;
    let ty = DataType::from_code(tensor.data_type.unwrap_or(0));
    let wrong = |found: usize, unit: &str| {
        Error::new(format!(
            "the constant `{name}` of shape {:?} ({}) has {found} {unit}",
            tensor.dims,
            ty.name()
        ))
    };
    match (&tensor.raw_data, ty.bytes()) {
        (Some(raw), Some(bytes)) if Some(raw.len()) != count.checked_mul(bytes) => {
            Err(wrong(raw.len(), "bytes"))
        }
        (Some(_), _) => Ok(()),
        (None, _) => {
            let counts = [
                tensor.float_data.len(),
                tensor.int32_data.len(),
                tensor.string_data.len(),
                tensor.int64_data.len(),
                tensor.double_data.len(),
                tensor.uint64_data.len(),
            ];
            let found = counts.into_iter().max().unwrap_or(0);
            // Types of less than a byte and complex numbers are packed differently: the runtime checks those.
            if ty.bytes().is_some_and(|b| b <= 8) && found != count {
                Err(wrong(found, "values"))
            } else {
                Ok(())
            }
        }
    }
}

/// Ops that make a tensor of a shape given by constants could ask for gigabytes in a few bytes.
/// `constants` holds those of the graphs around this one.
fn check_expansions<'m>(graph: &'m GraphProto, constants: &mut HashMap<&'m str, Vec<i64>>) -> Result<()> {
    // A longer constant is no shape.
    let short = |t: &TensorProto| elements(&t.dims).is_ok_and(|n| n <= 64);
    for tensor in graph.initializer.iter().filter(|t| short(t)) {
        if let (Some(name), Ok(values)) = (tensor.name.as_deref(), read_ints(tensor)) {
            constants.insert(name, values);
        }
    }
    for node in &graph.node {
        let constant = |i: usize| node.input.get(i).and_then(|name| constants.get(name.as_str()));
        let one = |i: usize| constant(i).and_then(|v| v.first()).copied();
        let asked = match node.op_type.as_deref() {
            Some("ConstantOfShape") => constant(0).cloned(),
            Some("Expand" | "Tile") => constant(1).cloned(),
            Some("Range") => match (one(0), one(1), one(2)) {
                (Some(start), Some(limit), Some(step)) if step != 0 => {
                    let length = (i128::from(limit) - i128::from(start)) / i128::from(step);
                    Some(vec![i64::try_from(length.max(0)).unwrap_or(i64::MAX)])
                }
                _ => None,
            },
            _ => None,
        };
        if let Some(dims) = asked.filter(|dims| !elements(dims).is_ok_and(|n| n <= MAX_ELEMENTS)) {
            let label = node_label(node);
            return Err(Error::new(format!(
                "{label} asks for a tensor of shape {dims:?}: more than {MAX_ELEMENTS} elements"
            )));
        }
        if let (Some("Constant"), [name]) = (node.op_type.as_deref(), &node.output[..]) {
            for attribute in &node.attribute {
                let tensor = attribute.t.as_ref().filter(|t| short(t)).and_then(|t| read_ints(t).ok());
                let list = (!attribute.ints.is_empty()).then(|| attribute.ints.clone());
                if let Some(values) = tensor.or(list).or(attribute.i.map(|i| vec![i])) {
                    constants.insert(name, values);
                }
            }
        }
        for graph in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
            check_expansions(graph, constants)?;
        }
    }
    Ok(())
}

/// ``node `conv1` (Conv)``.
pub fn node_label(node: &NodeProto) -> String {
    let op = node.op_type.as_deref().unwrap_or("?");
    let name = node
        .name
        .as_deref()
        .filter(|n| !n.is_empty())
        .or(node.output.first().map(String::as_str))
        .unwrap_or("?");
    format!("node `{name}` ({op})")
}

/// The attribute called `name`.
pub fn attribute<'n>(node: &'n NodeProto, name: &str) -> Option<&'n AttributeProto> {
    node.attribute.iter().find(|a| a.name.as_deref() == Some(name))
}

/// An integer attribute or its default.
pub fn int_attribute(node: &NodeProto, name: &str, default: i64) -> i64 {
    attribute(node, name).and_then(|a| a.i).unwrap_or(default)
}

/// A list of integers, if the attribute is there.
pub fn ints_attribute(node: &NodeProto, name: &str) -> Option<Vec<i64>> {
    attribute(node, name).map(|a| a.ints.clone())
}

impl Info {
    /// Type and shape as a value of a graph states them.
    pub fn of(value: &ValueInfoProto) -> Self {
        let Some(TypeValue::Tensor(tensor)) = value.r#type.as_ref().and_then(|t| t.value.as_ref()) else {
            return Info { ty: DataType::Other(0), dims: None };
        };
        let dim = |d: &crate::proto::Dimension| match &d.value {
            Some(DimensionValue::Size(size)) => Dim::Size(*size),
            Some(DimensionValue::Name(name)) => Dim::Name(name.clone()),
            None => Dim::Unknown,
        };
        Info {
            ty: DataType::from_code(tensor.elem_type.unwrap_or(0)),
            dims: tensor.shape.as_ref().map(|s| s.dim.iter().map(dim).collect()),
        }
    }
}
