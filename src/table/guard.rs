//! Panics of the file decoders become failures.
//!
//! The Parquet and Arrow decoders state that they may panic on corrupt bytes. Every call into them on
//! bytes from a file goes through [`guarded`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::stage::Failure;

static ACTIVE: AtomicUsize = AtomicUsize::new(0);
static HOOK: Once = Once::new();

struct Active;

impl Active {
    fn enter() -> Self {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                // Decoders run on their own threads, so the place tells a decoder's panic from ours.
                let decoder = info.location().is_some_and(|l| l.file().contains("polars"));
                if !(decoder && ACTIVE.load(Ordering::Relaxed) > 0) {
                    before(info);
                }
            }));
        });
        ACTIVE.fetch_add(1, Ordering::Relaxed);
        Active
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        ACTIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs `decode` on the file at `path`; an error or a panic names the file and says it is damaged.
pub(super) fn guarded<T>(
    what: &str,
    path: &Path,
    decode: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let place = format!("cannot read {} as {what}", path.display());
    match caught(decode) {
        Ok(result) => result.map_err(|failure| failure.context(place)),
        Err(said) => Err(Failure::new(format!("{place}: the file is damaged ({said})"))
            .hint("make the file again or fetch it again")),
    }
}

/// Runs a query; a panic of the query engine is a failure.
pub(super) fn guarded_query<T>(query: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    caught(query)
        .unwrap_or_else(|said| Err(Failure::new(format!("the query engine cannot run this query ({said})"))))
}

/// The result, or the first line of what the panic said.
fn caught<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    let active = Active::enter();
    let result = catch_unwind(AssertUnwindSafe(call));
    drop(active);
    result.map_err(|panic| {
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        said.lines().next().unwrap_or("").chars().take(200).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_failure_that_names_the_file() {
        let result: Result<(), Failure> =
            guarded("Parquet", Path::new("a.parquet"), || panic!("index 7 out of range"));
        assert_eq!(
            result.unwrap_err().message,
            "cannot read a.parquet as Parquet: the file is damaged (index 7 out of range)"
        );
    }
}
