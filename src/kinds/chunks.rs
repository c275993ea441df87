//! Row-wise work in chunks, each of which is kept by what it was made from: new rows cost what they cost,
//! wherever they stand.
//!
//! Where a chunk ends is decided by the content of its rows, as backup programs cut files: rows that are put
//! in or taken out change the chunks around them, and no others. A chunk is worked on by itself, so that its
//! values, bit by bit, do not depend on what stands beside it.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::stage::{Bound, Digest, Failure, Io};
use crate::table::{self, Frame};

/// A chunk has at least this many rows, but for the last one.
const LEAST: usize = 8;
/// And at most this many.
const MOST: usize = 64;
/// A row ends its chunk with this probability: 1 in …
const ONE_IN: u64 = 24;
/// What takes less time is made again sooner than it is found.
const WORTH_KEEPING: Duration = Duration::from_millis(5);

/// The cuts of rows with these digests.
fn cut(rows: &[Digest]) -> Vec<Range<usize>> {
    let ends = |digest: &Digest| {
        let [a, b, c, d, e, f, g, h, ..] = *digest.bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h]).is_multiple_of(ONE_IN)
    };
    let mut chunks = Vec::new();
    let mut from = 0;
    for (at, digest) in rows.iter().enumerate() {
        let size = at + 1 - from;
        if size >= MOST || (size >= LEAST && ends(digest)) {
            chunks.push(from..at + 1);
            from = at + 1;
        }
    }
    if from < rows.len() || rows.is_empty() {
        chunks.push(from..rows.len());
    }
    chunks
}

/// Works through rows with these digests, chunk by chunk, and joins the tables that come of it, one row each.
/// A digest says everything that the work reads of its row.
///
/// # Errors
/// Those of `work`; if the run was cancelled.
pub(super) fn by_chunks(
    io: &Io,
    rows: &[Digest],
    mut work: impl FnMut(Range<usize>) -> Result<Frame, Failure>,
) -> Result<Frame, Failure> {
    let mut all = Frame::new();
    for chunk in cut(rows) {
        all.vstack(&found_or_made(io, &rows[chunk.clone()], || work(chunk.clone()))?)?;
        io.progress.advance("rows", chunk.end as u64, Some(rows.len() as u64));
    }
    Ok(all)
}

/// Works through the rows of a table, chunk by chunk, without ever holding them all.
pub(super) struct RowWise<'a> {
    pub(super) io: &'a Io<'a>,
    pub(super) data: &'a Bound,
    pub(super) columns: &'a [&'a str],
}

impl RowWise<'_> {
    /// How many rows there are.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub(super) fn rows(&self) -> Result<usize, Failure> {
        Ok(table::row_groups(&self.data.path)?.last().map_or(0, |group| group.end))
    }

    /// The first row, or a table of none.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub(super) fn first(&self) -> Result<Frame, Failure> {
        table::read_rows(&self.data.path, Some(self.columns), 0..self.rows()?.min(1))
    }

    /// `digests` says everything that `work` reads of some rows. What `work` makes, one row each, goes to `done`
    /// together with the rows it was made of. All are told the number of the first of their rows.
    ///
    /// # Errors
    /// Those of the three; if the table cannot be read; if the run was cancelled.
    pub(super) fn each(
        &self,
        digests: impl Fn(&Frame, usize) -> Result<Vec<Digest>, Failure>,
        mut work: impl FnMut(&Frame, usize) -> Result<Frame, Failure>,
        mut done: impl FnMut(&Frame, &Frame, usize) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut groups = table::row_groups(&self.data.path)?;
        let total = groups.last().map_or(0, |group| group.end);
        if groups.is_empty() {
            groups.push(0..0);
        }
        let (mut waiting, mut names, mut first) = (Frame::new(), Vec::new(), 0);
        for group in groups {
            let end = group.end;
            let part = table::read_rows(&self.data.path, Some(self.columns), group.clone())?;
            names.extend(digests(&part, group.start)?);
            waiting.vstack(&part)?;
            let mut chunks = cut(&names);
            if end < total {
                // The last one may go on in the next group.
                chunks.pop();
            }
            let mut used = 0;
            for chunk in chunks {
                let rows = waiting.slice(chunk.clone());
                let at = first + chunk.start;
                let made = found_or_made(self.io, &names[chunk.clone()], || work(&rows, at))?;
                done(&rows, &made, at)?;
                used = chunk.end;
                self.io.progress.advance("rows", (first + used) as u64, Some(total as u64));
            }
            waiting = waiting.slice(used..waiting.rows());
            names.drain(..used);
            first += used;
        }
        Ok(())
    }
}

/// What comes of rows with these digests: found where it was kept, or made and kept.
fn found_or_made(
    io: &Io,
    rows: &[Digest],
    work: impl FnOnce() -> Result<Frame, Failure>,
) -> Result<Frame, Failure> {
    io.check_cancelled()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(io.beside_rows.bytes());
    for row in rows {
        hasher.update(row.bytes());
    }
    let key: Digest = hasher.finalize().into();
    let known = io.chunks.find(&key).and_then(|path| table::read_path(&path, None).ok());
    if let Some(frame) = known.filter(|frame| frame.rows() == rows.len()) {
        return Ok(frame);
    }
    let begun = Instant::now();
    let mut frame = work()?;
    if begun.elapsed() >= WORTH_KEEPING {
        let path = io.create(&format!("chunk-{}", &key.hex()[..16]), "parquet");
        table::write(&mut frame, &path)?;
        io.chunks.keep(&key, &path);
    }
    Ok(frame)
}

/// Digests of the rows of a tensor.
#[cfg(feature = "models")]
pub(super) fn row_digests(tensor: &table::Tensor<f32>) -> Vec<Digest> {
    let shape: Vec<u8> = tensor.row_shape.iter().flat_map(|d| (*d as u64).to_le_bytes()).collect();
    let row = |values: &[f32]| {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&shape);
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        hasher.update(&bytes).finalize().into()
    };
    tensor.values.chunks_exact(tensor.row_size().max(1)).map(row).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digests(rows: &[u32]) -> Vec<Digest> {
        rows.iter().map(|row| Digest::of(&row.to_le_bytes())).collect()
    }

    fn contents(rows: &[u32]) -> std::collections::HashSet<Vec<u32>> {
        cut(&digests(rows)).into_iter().map(|chunk| rows[chunk].to_vec()).collect()
    }

    proptest! {
        #[test]
        fn chunks_cover_all_rows_in_order(rows in prop::collection::vec(any::<u32>(), 0..2000)) {
            let chunks = cut(&digests(&rows));
            let mut at = 0;
            for (index, chunk) in chunks.iter().enumerate() {
                prop_assert_eq!(chunk.start, at);
                prop_assert!(chunk.len() <= MOST);
                prop_assert!(chunk.len() >= LEAST || index + 1 == chunks.len());
                at = chunk.end;
            }
            prop_assert_eq!(at, rows.len());
        }

        #[test]
        fn rows_put_in_anywhere_leave_chunks_far_from_them(
            rows in prop::collection::vec(any::<u32>(), 8000..8001),
            new in prop::collection::vec(any::<u32>(), 1..20),
            at in 0_usize..8000,
        ) {
            let mut longer = rows.clone();
            longer.splice(at..at, new.iter().copied());
            let before = contents(&rows);
            let made: usize = contents(&longer).difference(&before).map(Vec::len).sum();
            // Until the cuts meet again: some two chunks on the average, and seldom ten times that.
            prop_assert!(made <= new.len() + 8 * MOST, "{} rows are made", made);
        }
    }

    /// Chunks in a folder.
    struct Folder(tempfile::TempDir);

    impl crate::stage::Chunks for Folder {
        fn find(&self, key: &Digest) -> Option<std::path::PathBuf> {
            Some(self.0.path().join(key.hex())).filter(|path| path.is_file())
        }
        fn keep(&self, key: &Digest, file: &std::path::Path) {
            std::fs::rename(file, self.0.path().join(key.hex())).expect("a chunk can be kept");
        }
    }

    #[test]
    fn only_what_is_new_is_worked_on() {
        let folder = Folder(tempfile::tempdir().expect("a folder"));
        let scratch = tempfile::tempdir().expect("a folder");
        let mut io = crate::kinds::testing::idle(scratch.path());
        io.chunks = &folder;
        let worked = |rows: &[u32]| {
            let mut count = 0;
            let frame = by_chunks(&io, &digests(rows), |chunk| {
                count += chunk.len();
                std::thread::sleep(WORTH_KEEPING);
                let mut frame = Frame::new();
                frame.push_i64s("row", rows[chunk].iter().map(|row| i64::from(*row)).collect())?;
                Ok(frame)
            })
            .expect("it works");
            let made: Vec<u32> = frame.i64s("row").expect("a column").iter().map(|v| *v as u32).collect();
            assert_eq!(made, rows);
            count
        };
        let mut rows: Vec<u32> = (0..2000).collect();
        assert_eq!(worked(&rows), 2000);
        assert_eq!(worked(&rows), 0);
        rows.splice(1000..1000, 5000..5020);
        let again = worked(&rows);
        assert!((20..=20 + 2 * MOST).contains(&again), "{again} rows were worked on");
    }

    #[test]
    fn rows_of_several_row_groups_are_cut_as_those_of_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("table.parquet");
        let numbers: Vec<i64> = (0..300).collect();
        let mut frame = Frame::new();
        frame.push_i64s("row", numbers.clone()).expect("a column");
        let wide = table::Tensor { row_shape: vec![1 << 18], values: vec![0.0_f32; 300 << 18] };
        frame.push_tensor_f32("wide", wide).expect("a column");
        let facts = table::write(&mut frame, &path).expect("a table");
        assert!(table::row_groups(&path).expect("groups").len() > 5);

        let io = crate::kinds::testing::idle(folder.path());
        let data = Bound { path, facts, axes: Default::default() };
        let rows = RowWise { io: &io, data: &data, columns: &["row"] };
        let named = |rows: &[i64]| digests(&rows.iter().map(|row| *row as u32).collect::<Vec<_>>());
        let (mut seen, mut made) = (Vec::new(), Vec::new());
        rows.each(
            |rows, at| {
                assert_eq!(rows.i64s("row")?.first(), Some(&(at as i64)));
                Ok(named(&rows.i64s("row")?))
            },
            |rows, at| {
                made.push(at..at + rows.rows());
                Ok(rows.clone())
            },
            |rows, made, at| {
                assert_eq!((rows.i64s("row")?, at), (made.i64s("row")?, seen.len()));
                seen.extend(rows.i64s("row")?);
                Ok(())
            },
        )
        .expect("it works");
        assert_eq!(seen, numbers);
        assert_eq!(made, cut(&named(&numbers)));
    }

    #[test]
    fn one_percent_of_new_rows_makes_little_more_than_themselves() {
        let rows: Vec<u32> = (0..20_000).collect();
        let longer: Vec<u32> = (0..20_200).collect();
        let before = contents(&rows);
        let made: usize = contents(&longer).difference(&before).map(Vec::len).sum();
        assert!((200..=200 + MOST).contains(&made), "{made}");
    }
}
