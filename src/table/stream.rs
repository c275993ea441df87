//! Writing a table piece by piece, so that it need not lie in memory as a whole.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use polars::io::parquet::write::BatchedWriter;

use super::digest::{self, Running};
use super::frame::Frame;
use super::{failure, read_path, write};
use crate::fs::Context;
use crate::stage::{Facts, Failure, TableFacts};

/// A table that is being written. The file has the bytes, and the facts have the digests, that
/// [`write`](super::write()) gives for all rows at once.
pub struct Stream {
    path: PathBuf,
    rows: usize,
    open: Option<Open>,
}

/// The state from the first piece on, which says what columns there are.
struct Open {
    writer: BatchedWriter<BufWriter<File>>,
    group: usize,
    /// Rows that do not fill a row group yet.
    waiting: Frame,
    facts: TableFacts,
    /// Digests of tensor columns; others are read again when all is written.
    digests: Vec<Option<Running>>,
    taken: usize,
}

impl Stream {
    /// A table of `rows` rows, written to `path`.
    pub fn new(path: &Path, rows: usize) -> Self {
        Stream { path: path.to_owned(), rows, open: None }
    }

    /// Appends rows. All pieces have the same columns.
    ///
    /// # Errors
    /// If they have not, or the file cannot be written.
    pub fn push(&mut self, rows: &Frame) -> Result<(), Failure> {
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(Open::new(&self.path, rows, self.rows)?),
        };
        for (column, digest) in open.facts.columns.iter().zip(&mut open.digests) {
            if let Some(running) = digest
                && !running.push(rows.series(&column.name)?)?
            {
                *digest = None;
            }
        }
        open.taken += rows.rows();
        open.waiting.vstack(rows)?;
        while open.waiting.rows() >= open.group {
            write::write_group(&mut open.writer, &open.waiting.slice(0..open.group))?;
            open.waiting = open.waiting.slice(open.group..open.waiting.rows());
        }
        Ok(())
    }

    /// Writes what is left, and states the facts of the table.
    ///
    /// # Errors
    /// If the file cannot be written, or other rows came than were announced.
    pub fn finish(self) -> Result<Facts, Failure> {
        let Some(mut open) = self.open else { return Err(Failure::new("a table of no columns")) };
        if open.taken != self.rows {
            return Err(Failure::new(format!("{} rows came where {} were expected", open.taken, self.rows)));
        }
        if open.waiting.rows() > 0 {
            write::write_group(&mut open.writer, &open.waiting)?;
        }
        open.writer.finish().map_err(failure)?;
        drop(open.writer);
        let mut facts = open.facts;
        facts.rows = Some(self.rows as u64);
        for (column, running) in facts.columns.iter_mut().zip(open.digests) {
            column.digest = Some(match running {
                Some(running) => running.finish(),
                None => digest::column(&read_path(&self.path, Some(&[&column.name]))?, column)?,
            });
        }
        Ok(Facts::Table(facts))
    }
}

impl Open {
    fn new(path: &Path, first: &Frame, rows: usize) -> Result<Self, Failure> {
        let file = BufWriter::new(File::create(path).at("create", path)?);
        let (writer, group) = write::open(first, file)?;
        let facts = first.facts();
        let digests = facts.columns.iter().map(|column| Running::new(column, rows)).collect();
        Ok(Open { writer, group, waiting: first.slice(0..0), facts, digests, taken: 0 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::table::Tensor;

    fn table(rows: usize, wide: bool) -> Frame {
        let mut frame = Frame::new();
        let names: Vec<String> = (0..rows).map(|row| format!("row {row}")).collect();
        // Wide rows make several row groups.
        let shape = if wide { vec![3, 400, 400] } else { vec![2, 3] };
        let size: usize = shape.iter().product();
        let values = (0..rows * size).map(|at| (at % 1013) as f32 / 7.0).collect();
        frame.push_strings("id", &names).unwrap();
        frame.push_tensor_f32("map", Tensor { row_shape: shape, values }).unwrap();
        frame
            .push_optional_i64s("label", (0..rows).map(|r| (r % 3 > 0).then_some(r as i64)).collect())
            .unwrap();
        frame
    }

    fn same_as_at_once(rows: usize, wide: bool, cuts: &[usize]) {
        let folder = tempfile::tempdir().unwrap();
        let (once, pieces) = (folder.path().join("once"), folder.path().join("pieces"));
        let mut frame = table(rows, wide);
        let facts = crate::table::write(&mut frame, &once).unwrap();
        let mut stream = Stream::new(&pieces, rows);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (rows + 1)).chain([0, rows]).collect();
        cuts.sort_unstable();
        for pair in cuts.windows(2) {
            stream.push(&frame.slice(pair[0]..pair[1])).unwrap();
        }
        assert_eq!(stream.finish().unwrap(), facts);
        assert!(std::fs::read(once).unwrap() == std::fs::read(pieces).unwrap(), "the files differ");
    }

    proptest! {
        #[test]
        fn pieces_make_the_file_and_the_facts_of_the_whole(rows in 0..80_usize, cuts in prop::collection::vec(0..80_usize, 0..6)) {
            same_as_at_once(rows, false, &cuts);
        }
    }

    #[test]
    fn row_groups_are_cut_as_in_the_whole() {
        same_as_at_once(40, true, &[7, 18, 19]);
    }

    #[test]
    fn a_row_too_few_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut stream = Stream::new(&folder.path().join("t"), 3);
        stream.push(&table(2, false)).unwrap();
        assert_eq!(stream.finish().unwrap_err().message, "2 rows came where 3 were expected");
    }
}
