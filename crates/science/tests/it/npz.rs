//! Reads the golden cases: numpy's archives of float, integer and boolean arrays.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::collections::BTreeMap;
use std::io::Read;

/// An array as row-major float64; integers up to 2⁵³ are exact.
#[derive(Clone, Debug)]
pub struct Array {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

impl Array {
    /// The only value of a scalar.
    pub fn scalar(&self) -> f64 {
        assert_eq!(self.data.len(), 1, "one value is needed, not {}", self.data.len());
        self.data[0]
    }

    /// Row `i` of a matrix.
    pub fn row(&self, i: usize) -> &[f64] {
        let width = self.shape[1..].iter().product::<usize>();
        &self.data[i * width..(i + 1) * width]
    }

    /// The values as indices.
    pub fn indices(&self) -> Vec<usize> {
        self.data.iter().map(|v| *v as usize).collect()
    }
}

/// The folder of the repository.
fn repository() -> String {
    // This is a crate of the workspace, or its root.
    let here = env!("CARGO_MANIFEST_DIR");
    if here.contains("/crates/") { format!("{here}/../..") } else { here.to_owned() }
}

/// The folder of golden cases: `SULCUS_GOLDEN` or the repository's own.
pub fn root() -> String {
    std::env::var("SULCUS_GOLDEN").unwrap_or_else(|_| format!("{}/tests/golden", repository()))
}

/// The RDMs of 92 images (Kriegeskorte et al. 2008), which are not ours to ship: from the folder that
/// `SULCUS_IMAGES92` names, else from `shared/realdata/images92` beside the repository. `None`, said aloud, where
/// there is no copy.
pub fn images92() -> Option<BTreeMap<String, Array>> {
    let beside = || format!("{}/../shared/realdata/images92", repository());
    let folder = std::env::var("SULCUS_IMAGES92").unwrap_or_else(|_| beside());
    let path = format!("{folder}/images92_rdms.npz");
    if !std::path::Path::new(&path).exists() {
        eprintln!("skipped: there is no {path}; SULCUS_IMAGES92 can name another folder");
        return None;
    }
    Some(read_file(&path))
}

/// The archives `<line>/<kind>_*.npz` of the golden cases, sorted; at least one.
pub fn cases(line: &str, kind: &str) -> Vec<String> {
    files(line, &format!("{kind}_"), ".npz")
}

/// The files of a line's golden cases that begin and end so, as `<line>/<file>`, sorted; at least one.
pub fn files(line: &str, start: &str, end: &str) -> Vec<String> {
    let folder = format!("{}/{line}", root());
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}"));
    let names = files.map(|f| f.unwrap().file_name().into_string().unwrap());
    let own = |n: &String| n.starts_with(start) && n.ends_with(end);
    let mut found: Vec<String> = names.filter(own).map(|n| format!("{line}/{n}")).collect();
    found.sort();
    assert!(!found.is_empty(), "{folder} holds no case {start}*{end}");
    found
}

/// All arrays of `<name>` below [`root`] by their keys. Arrays of text are left out.
pub fn read(name: &str) -> BTreeMap<String, Array> {
    read_file(&format!("{}/{name}", root()))
}

/// All arrays of an archive by their keys. Arrays of text are left out.
pub fn read_file(path: &str) -> BTreeMap<String, Array> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut archive = zip::ZipArchive::new(file).unwrap();
    let mut arrays = BTreeMap::new();
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).unwrap();
        let key = entry.name().unwrap().trim_end_matches(".npy").to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if let Some(array) = parse(&bytes) {
            arrays.insert(key, array);
        }
    }
    arrays
}

/// The largest difference in each image as a share of its peak.
pub fn difference<T: Copy + Into<f64>>(made: &[T], wanted: &Array) -> f64 {
    assert_eq!(made.len(), wanted.data.len());
    let each = wanted.shape[1..].iter().product::<usize>();
    let share = |(a, b): (&[T], &[f64])| {
        let peak = b.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        a.iter().zip(b).fold(0.0f64, |m, (x, y)| m.max(((*x).into() - y).abs())) / peak
    };
    made.chunks(each).zip(wanted.data.chunks(each)).map(share).fold(0.0, f64::max)
}

/// One array: magic, version, length of the header, a Python dictionary, the values.
fn parse(bytes: &[u8]) -> Option<Array> {
    assert_eq!(&bytes[..6], b"\x93NUMPY");
    let (length, start) = match bytes[6] {
        1 => (u16::from_le_bytes([bytes[8], bytes[9]]) as usize, 10),
        _ => (u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize, 12),
    };
    let header = std::str::from_utf8(&bytes[start..start + length]).unwrap();
    let after = |key: &str| header.split_once(key).unwrap().1;
    let descr = after("'descr': '").split('\'').next().unwrap();
    let inside = after("'shape': (").split(')').next().unwrap();
    let shape: Vec<usize> = inside.split(',').filter_map(|d| d.trim().parse().ok()).collect();
    let body = &bytes[start + length..];
    let data: Vec<f64> = match descr {
        "<f8" => body.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
        "<f4" => body.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect(),
        "<i8" => body.chunks_exact(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect(),
        "<i4" => body.chunks_exact(4).map(|b| f64::from(i32::from_le_bytes(b.try_into().unwrap()))).collect(),
        "|b1" | "|u1" => body.iter().map(|b| f64::from(*b)).collect(),
        _ => return None,
    };
    assert_eq!(data.len(), shape.iter().product::<usize>());
    let by_columns = header.contains("'fortran_order': True");
    Some(Array { data: if by_columns { turned(&shape, &data) } else { data }, shape })
}

/// Values stored column by column, row by row.
fn turned(shape: &[usize], data: &[f64]) -> Vec<f64> {
    let place = |mut row_major: usize| {
        let mut index: Vec<usize> = shape
            .iter()
            .rev()
            .map(|size| {
                let i = row_major % size;
                row_major /= size;
                i
            })
            .collect();
        // `index` has the last axis first: the slowest of a column-major array.
        index.drain(..).zip(shape.iter().rev()).fold(0, |at, (i, size)| at * size + i)
    };
    (0..data.len()).map(|i| data[place(i)]).collect()
}

#[test]
fn columns_become_rows() {
    assert_eq!(turned(&[2, 3], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}

#[test]
fn every_golden_archive_is_read() {
    for name in ["brain", "dynamics"].into_iter().flat_map(|line| files(line, "", ".npz")) {
        let arrays = read(&name);
        println!("{name}: {} arrays", arrays.len());
        assert!(!arrays.is_empty(), "{name}");
        for (key, array) in arrays {
            assert_eq!(array.data.len(), array.shape.iter().product::<usize>(), "{name} {key}");
        }
    }
}
