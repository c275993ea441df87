//! What the headers of Parquet pages claim, believed only as far as footer and file can hold it.
//!
//! The decoder makes room for as many values as a header names. Where there is no such room the process ends, and
//! no guard can catch that.

use std::fs::File;
use std::io::Cursor;
use std::ops::Range;

use polars::io::mmap::ReaderBytes;
use polars_parquet::parquet::page::CompressedPage;
use polars_parquet::read::{ColumnChunkMetadata, FileMetadata, PageReader};

use super::failure;
use super::footer::Claims;
use crate::stage::Failure;

/// Checks the pages of the columns and rows that are about to be read.
pub(super) fn check(
    metadata: &FileMetadata,
    file: &mut File,
    columns: Option<&[&str]>,
    rows: Range<usize>,
    mut claims: Claims,
) -> Result<(), Failure> {
    let ReaderBytes::Owned(bytes) = ReaderBytes::from(file) else {
        return Err(Failure::new("the file cannot be mapped into memory"));
    };
    let mut end = 0;
    for group in &metadata.row_groups {
        let begin = end;
        end += group.num_rows();
        if end <= rows.start || begin >= rows.end {
            continue;
        }
        for chunk in group.parquet_columns() {
            let name = chunk.descriptor().path_in_schema.first().map_or("", |name| name.as_str());
            if columns.is_some_and(|columns| !columns.contains(&name)) {
                continue;
            }
            check_count(chunk, group.num_rows())
                .and_then(|count| {
                    claims.add(count)?;
                    let place = chunk.byte_range();
                    let bytes = bytes.clone().sliced(place.start as usize..place.end as usize);
                    let pages = PageReader::new(Cursor::new(bytes), chunk, Vec::new(), usize::MAX);
                    check_pages(pages, count, &mut claims)
                })
                .map_err(|said| said.context(format!("column `{name}`")))?;
        }
    }
    Ok(())
}

/// The values that the footer counts in a chunk: as many as rows, unless they are nested.
fn check_count(chunk: &ColumnChunkMetadata, rows: usize) -> Result<usize, Failure> {
    let nested = chunk.descriptor().descriptor.max_rep_level > 0;
    match usize::try_from(chunk.num_values()) {
        Ok(count) if nested || count == rows => Ok(count),
        _ => Err(Failure::new(format!("the footer counts {} values in {rows} rows", chunk.num_values()))),
    }
}

fn check_pages(pages: PageReader, count: usize, claims: &mut Claims) -> Result<(), Failure> {
    let mut seen = 0_usize;
    for page in pages {
        let CompressedPage::Data(page) = page.map_err(|said| failure(said.into()))? else { continue };
        seen = seen.saturating_add(page.num_values());
        if seen > count {
            return Err(Failure::new(format!("a page goes on to value {seen} of {count}")));
        }
        if page.null_count().is_some_and(|nulls| nulls > page.num_values()) {
            return Err(Failure::new("a page counts more nulls than values"));
        }
        claims.add(page.uncompressed_size())?;
    }
    Ok(())
}
