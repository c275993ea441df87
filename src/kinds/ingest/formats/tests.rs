//! Array files: what was packed comes back; hostile headers are errors, not panics or allocations.

use std::io::Write;

use proptest::prelude::*;

use super::*;

fn npy(version: u8, header: &str, values: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    bytes.extend(header.as_bytes());
    bytes.extend(values);
    bytes
}

fn header(descr: &str, fortran: bool, shape: &[usize]) -> String {
    let fortran = if fortran { "True" } else { "False" };
    let shape: String = shape.iter().map(|s| format!("{s}, ")).collect();
    format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({shape}), }}   \n")
}

fn with_file<T>(bytes: &[u8], then: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, bytes).unwrap();
    then(&path)
}

fn read(bytes: &[u8]) -> Result<(ArrayFacts, Vec<u8>), Failure> {
    with_file(bytes, |path| {
        let held = headers(path)?;
        values(path, &held[0].name)
    })
}

fn message(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().message
}

#[test]
fn fortran_order_and_big_endian_become_row_major_and_little_endian() {
    // The array [[1, 2, 3], [4, 5, 6]] column by column, big-endian.
    let values: Vec<u8> = [1_i16, 4, 2, 5, 3, 6].iter().flat_map(|v| v.to_be_bytes()).collect();
    let (facts, bytes) = read(&npy(1, &header(">i2", true, &[2, 3]), &values)).unwrap();
    assert_eq!((facts.element, facts.shape), (Element::I16, vec![2, 3]));
    let words: Vec<i16> = bytes.as_chunks().0.iter().map(|b| i16::from_le_bytes(*b)).collect();
    assert_eq!(words, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn idx_files_are_read_plain_and_gzipped() {
    let idx = [0, 0, 0x0b, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 7, 1, 0];
    let (facts, bytes) = read(&idx).unwrap();
    assert_eq!((facts.element, facts.shape, facts.name.as_str()), (Element::I16, vec![2, 1], ONLY));
    assert_eq!(bytes, [7, 0, 0, 1]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&idx).unwrap();
    assert_eq!(read(&gzip.finish().unwrap()).unwrap().1, bytes);
    assert!(message(&idx[..14]).contains("needs 4 bytes, the file holds at most 2"));
}

#[test]
fn npz_members_are_read_by_name() {
    let options = zip::write::SimpleFileOptions::default();
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, value) in [("x.npy", 5_u8), ("y.npy", 6)] {
        archive.start_file(name, options).unwrap();
        archive.write_all(&npy(2, &header("|u1", false, &[1]), &[value])).unwrap();
    }
    let bytes = archive.finish().unwrap().into_inner();
    with_file(&bytes, |path| {
        let names: Vec<String> = headers(path).unwrap().into_iter().map(|a| a.name).collect();
        assert_eq!(names, ["x", "y"]);
        assert_eq!(values(path, "y").unwrap().1, [6]);
        assert!(values(path, "z").is_err());
    });
}

#[test]
fn safetensors_are_read_by_name() {
    let json = r#"{"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#;
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json.as_bytes());
    bytes.extend([9, 8]);
    bytes.extend(1.5_f32.to_le_bytes());
    with_file(&bytes, |path| {
        let found = headers(path).unwrap();
        assert_eq!(found[0].name, "a");
        assert_eq!(values(path, "a").unwrap().1, [9, 8]);
        assert_eq!(values(path, "b").unwrap().1, 1.5_f32.to_le_bytes());
    });
    bytes.pop();
    assert!(read(&bytes).is_err());
}

#[test]
fn headers_that_promise_what_the_file_cannot_hold_are_refused() {
    let huge = npy(1, &header("<f8", false, &[1 << 40, 1 << 10]), &[0; 8]);
    assert!(message(&huge).contains("the file holds at most 8"), "{}", message(&huge));
    let overflow = npy(1, &header("<f8", false, &[usize::MAX, 16]), &[0; 8]);
    assert!(message(&overflow).contains("needs more bytes than there are"));
    let objects = npy(1, &header("|O", false, &[1]), &[0; 8]);
    assert!(message(&objects).ends_with("the array holds pickled Python objects"));
    let structured = npy(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n", &[0; 4]);
    assert!(message(&structured).contains("is damaged"), "{}", message(&structured));
    assert!(message(b"\x80\x04\x95....").ends_with("is a pickle"));
    assert!(message(b"id,label\n1,2\n").ends_with("is none of npy, npz, idx and safetensors"));
    let long = {
        let mut bytes = b"\x93NUMPY\x02\x00".to_vec();
        bytes.extend(u32::MAX.to_le_bytes());
        bytes
    };
    assert!(message(&long).contains("a header of 4294967295 bytes"));
    let mut safetensors = (u64::MAX).to_le_bytes().to_vec();
    safetensors.push(b'{');
    assert!(message(&safetensors).contains("in a file of 9"));
}

#[test]
fn a_zip_member_that_claims_gigabytes_is_refused() {
    let options = zip::write::SimpleFileOptions::default();
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive.start_file("bomb.npy", options).unwrap();
    archive.write_all(&npy(1, &header("|u1", false, &[1 << 33]), &[])).unwrap();
    let bytes = archive.finish().unwrap().into_inner();
    assert!(message(&bytes).contains("the file holds at most"), "{}", message(&bytes));
}

proptest! {
    #[test]
    fn npy_round_trip(
        shape in prop::collection::vec(1_usize..5, 1..5),
        big in any::<bool>(),
        fortran in any::<bool>(),
    ) {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|v| v as f32 - 1.5).collect();
        // The place in the file of the element at a row-major position.
        let place = |mut position: usize| {
            if !fortran {
                return position;
            }
            let mut index = Vec::new();
            for extent in shape.iter().rev() {
                index.push(position % extent);
                position /= extent;
            }
            // `index` runs from the last axis to the first.
            index.iter().zip(shape.iter().rev()).fold(0, |place, (i, extent)| place * extent + i)
        };
        let mut packed = vec![0; count * 4];
        for (position, value) in values.iter().enumerate() {
            let bytes = if big { value.to_be_bytes() } else { value.to_le_bytes() };
            packed[place(position) * 4..][..4].copy_from_slice(&bytes);
        }
        let descr = if big { ">f4" } else { "<f4" };
        let (facts, bytes) = read(&npy(1, &header(descr, fortran, &shape), &packed)).unwrap();
        prop_assert_eq!(facts.shape, shape);
        let back: Vec<f32> = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        prop_assert_eq!(back, values);
    }

    #[test]
    fn damaged_bytes_never_panic(
        which in 0_usize..3,
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let json = r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#;
        let mut safetensors = (json.len() as u64).to_le_bytes().to_vec();
        safetensors.extend(json.as_bytes());
        safetensors.extend([9, 8]);
        let mut bytes = match which {
            0 => npy(1, &header("<f4", true, &[2, 2]), &[0; 16]),
            1 => vec![0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 1, 7, 8],
            _ => safetensors,
        };
        let place = place.index(bytes.len());
        bytes[place] = byte;
        let _ = read(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = read(&bytes);
    }

    #[test]
    fn any_header_text_is_an_error_or_an_array(text in "[{}()\\[\\]',: a-z0-9_<>fTrueFalse]{0,80}") {
        let _ = read(&npy(1, &text, &[0; 16]));
        let _ = read(&npy(1, &format!("{{'descr': '<f4', {text}'shape': (1,)}}"), &[0; 16]));
    }
}
