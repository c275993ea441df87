//! HDF5 files: groups of datasets. What lies in another file is not opened, and a dataset is believed
//! only as far as the file can hold what it promises.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use hdf5_reader::group::Group;
use hdf5_reader::{Dataset, Datatype, FileStorage, Hdf5File, OpenOptions, StringSize, VarLenKind};

use super::{DEFLATE_RATIO, promised};
use crate::fs::Context;
use crate::stage::Failure;
use crate::table::{ArrayFacts, Element, Frame};

/// An opened file.
pub struct Hdf5 {
    file: Hdf5File,
    /// Bytes of the file.
    length: u64,
}

/// One dataset whose first axis counts rows.
pub struct Array {
    /// What it holds; text of varying length counts as the references to it.
    pub facts: ArrayFacts,
    dataset: Dataset,
    length: u64,
}

fn failed(error: hdf5_reader::error::Error) -> Failure {
    let text = error.to_string();
    let filter = text.contains("filter");
    let failure = Failure::new(text);
    if filter {
        return failure.hint("rewrite the file with `h5repack -f SHUF -f GZIP=4`");
    }
    failure
}

/// The type of values that are packed as they are; `None` if tables hold none such.
fn element(dataset: &Dataset) -> Result<Option<Element>, Failure> {
    // The reader gives the sizes of numbers alone; which bits count is in the type as it is stored.
    let stored = dataset.raw_datatype().map_err(failed)?;
    let base = |at: usize| stored.get(at).copied().unwrap_or_default();
    let pair = |at: usize| u16::from_le_bytes([base(at), base(at + 1)]);
    Ok(match dataset.dtype() {
        Datatype::FixedPoint { size, signed, .. } if (pair(8), pair(10)) == (0, u16::from(*size) * 8) => {
            whole(*size, *signed)
        }
        Datatype::FloatingPoint { size, .. } => match (pair(8), pair(10), base(13), base(15)) {
            (0, 16, 5, 10) if *size == 2 => Some(Element::F16),
            (0, 16, 8, 7) if *size == 2 => Some(Element::Bf16),
            (0, 32, 8, 23) if *size == 4 => Some(Element::F32),
            (0, 64, 11, 52) if *size == 8 => Some(Element::F64),
            _ => None,
        },
        Datatype::Enum { base, members } => match base.as_ref() {
            Datatype::FixedPoint { size: 1, .. }
                if members.len() == 2 && members.iter().any(|m| m.name == "TRUE" && m.value == [1]) =>
            {
                Some(Element::Bool)
            }
            Datatype::FixedPoint { size, signed, .. } => whole(*size, *signed),
            _ => None,
        },
        Datatype::String { size: StringSize::Fixed(size), .. } => Some(Element::Bytes(*size as usize)),
        Datatype::String { size: StringSize::Variable, .. }
        | Datatype::VarLen { kind: VarLenKind::String, .. } => {
            Some(Element::Bytes(dataset.vlen_reference_size()))
        }
        _ => None,
    })
}

fn whole(size: u8, signed: bool) -> Option<Element> {
    Some(match (size, signed) {
        (1, false) => Element::U8,
        (2, false) => Element::U16,
        (4, false) => Element::U32,
        (8, false) => Element::U64,
        (1, true) => Element::I8,
        (2, true) => Element::I16,
        (4, true) => Element::I32,
        (8, true) => Element::I64,
        _ => return None,
    })
}

impl Hdf5 {
    /// Opens a file.
    ///
    /// # Errors
    /// If it is no HDF5 file or cut short.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let length = File::open(path).and_then(|f| f.metadata()).at("open", path)?.len();
        let most = usize::try_from(length.saturating_mul(DEFLATE_RATIO)).unwrap_or(usize::MAX);
        let options = OpenOptions::default().with_max_read_bytes(most);
        let opened = FileStorage::open(path)
            .and_then(|storage| Hdf5File::from_storage_with_options(Arc::new(storage), options));
        let file = opened.map_err(|e| failed(e).context(path.display()))?;
        Ok(Self { file, length })
    }

    fn group(&self, path: &str) -> Result<Group, Failure> {
        self.file.group(path).map_err(|_| {
            let failure = Failure::new(format!("there is no group `{path}`"));
            match self.file.root_group().and_then(|root| root.member_names()) {
                Ok((groups, _)) if !groups.is_empty() => {
                    failure.hint(format!("the file's groups are `{}`", groups.join("`, `")))
                }
                _ => failure,
            }
        })
    }

    /// The datasets of a group that have rows of a type that tables hold: those that its attribute
    /// `colnames` lists come first, the others follow by name.
    ///
    /// # Errors
    /// If there is no such group, or it is damaged.
    pub fn arrays(&self, group: &str) -> Result<Vec<Array>, Failure> {
        let found = self.group(group)?;
        let listed = found.attribute("colnames").and_then(|a| a.read_strings()).unwrap_or_default();
        let mut arrays = Vec::new();
        for dataset in found.datasets().map_err(failed)? {
            if dataset.ndim() > 0 && element(&dataset)?.is_some() {
                arrays.push(self.array_of(dataset)?);
            }
        }
        let place = |name: &str| listed.iter().position(|l| l == name).unwrap_or(usize::MAX);
        arrays.sort_by_cached_key(|a| (place(&a.facts.name), a.facts.name.clone()));
        Ok(arrays)
    }

    /// The dataset at a path.
    ///
    /// # Errors
    /// If there is none in this file, or tables hold no values of its type.
    pub fn array(&self, path: &str) -> Result<Array, Failure> {
        let dataset = self.file.dataset(path).map_err(|e| {
            let (group, name) = path.trim_end_matches('/').rsplit_once('/').unwrap_or(("", path));
            let names = self.group(group).and_then(|g| g.member_names().map_err(failed));
            let names = names.map(|(_, datasets)| datasets).unwrap_or_default();
            let failure = Failure::new(format!("there is no dataset `{path}` in this file: {e}"));
            match crate::spec::suggest::nearest(name, names.iter().map(String::as_str)) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None if names.is_empty() => failure,
                None => failure.hint(format!("beside it are `{}`", names.join("`, `"))),
            }
        })?;
        self.array_of(dataset).map_err(|f| f.context(path))
    }

    fn array_of(&self, dataset: Dataset) -> Result<Array, Failure> {
        let name = dataset.name().to_owned();
        let Some(element) = element(&dataset)? else {
            let text = format!("dataset `{name}` holds neither numbers, truth values nor text");
            return Err(Failure::new(text).hint("records and references cannot be columns"));
        };
        let shape: Result<Vec<usize>, _> = dataset.shape().iter().map(|d| usize::try_from(*d)).collect();
        let shape = shape.map_err(|_| Failure::new(format!("dataset `{name}` is too large")))?;
        let facts = ArrayFacts { name, element, shape };
        facts.rows()?;
        let text = matches!(element, Element::Bytes(_));
        if text && facts.shape.len() > 1 {
            return Err(Failure::new(format!("dataset `{}` has several texts in a row", facts.name)));
        }
        promised(&facts, self.length.saturating_mul(DEFLATE_RATIO))
            .map_err(|f| f.context(format!("dataset `{}`", facts.name)))?;
        Ok(Array { facts, dataset, length: self.length })
    }

    /// Start and rate (1/s) of a series that is sampled evenly: its group's `starting_time`.
    pub fn clock(&self, group: &str) -> Option<(f64, f64)> {
        let start = self.group(group).ok()?.dataset("starting_time").ok()?;
        let rate = start.attribute("rate").and_then(|a| a.read_as_f64()).ok()?;
        let first = (start.ndim() == 0).then(|| start.read_native_bytes().ok())??;
        let first = match start.dtype() {
            Datatype::FloatingPoint { size: 8, .. } => f64::from_ne_bytes(first.try_into().ok()?),
            Datatype::FloatingPoint { size: 4, .. } => f64::from(f32::from_ne_bytes(first.try_into().ok()?)),
            _ => return None,
        };
        Some((first, rate))
    }
}

impl Array {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.facts.shape.first().copied().unwrap_or_default()
    }

    /// Appends the values to a table.
    ///
    /// # Errors
    /// If they are damaged or do not fit the table.
    pub fn push(&self, frame: &mut Frame, column: &str) -> Result<(), Failure> {
        let name = || format!("dataset `{}`", self.facts.name);
        match self.dataset.dtype() {
            Datatype::String { size: StringSize::Fixed(_), .. } => {
                let texts = self.dataset.read_strings().map_err(|e| failed(e).context(name()))?;
                frame.push_strings(column, &texts)
            }
            Datatype::String { .. } | Datatype::VarLen { .. } => {
                frame.push_strings(column, &self.texts().map_err(|f| f.context(name()))?)
            }
            _ => {
                let mut bytes = self.dataset.read_native_bytes().map_err(|e| failed(e).context(name()))?;
                if cfg!(target_endian = "big") {
                    super::swap(&mut bytes, self.facts.element);
                }
                frame.push_array(column, &self.facts, &bytes)
            }
        }
    }

    /// Text of varying length, which lies apart from the references to it: many could name one long text.
    fn texts(&self) -> Result<Vec<String>, Failure> {
        let references = self.dataset.read_raw_bytes().map_err(failed)?;
        let mut left = self.length;
        let mut texts = Vec::new();
        for reference in references.chunks_exact(self.dataset.vlen_reference_size()) {
            let bytes = self.dataset.resolve_vlen_reference_bytes(reference, 1).map_err(failed)?;
            left = left
                .checked_sub(bytes.len() as u64)
                .ok_or_else(|| Failure::new("it claims more text than the file can hold"))?;
            let text = String::from_utf8(bytes).map_err(|_| Failure::new("its text is not Unicode"))?;
            texts.push(text.trim_end_matches('\0').to_owned());
        }
        Ok(texts)
    }

    /// The values as counts, such as the ends of lists.
    ///
    /// # Errors
    /// If they are no whole numbers.
    pub fn counts(&self) -> Result<Vec<usize>, Failure> {
        let bytes = self.dataset.read_native_bytes().map_err(failed)?;
        let size = self.facts.element.size();
        let unsigned = matches!(self.facts.element, Element::U8 | Element::U16 | Element::U32 | Element::U64);
        let signed = matches!(self.facts.element, Element::I8 | Element::I16 | Element::I32 | Element::I64);
        if !(unsigned || signed) || self.facts.shape.len() != 1 {
            return Err(Failure::new(format!("dataset `{}` holds no counts", self.facts.name)));
        }
        let wide = |word: &[u8]| {
            let mut wide = [0; 8];
            wide[..size].copy_from_slice(word);
            usize::try_from(u64::from_le_bytes(wide)).unwrap_or(usize::MAX)
        };
        Ok(bytes.chunks_exact(size).map(wide).collect())
    }
}
