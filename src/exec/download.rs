//! Pinned downloads: bytes from elsewhere are hashed before they are named.

use std::path::PathBuf;

use super::Session;
use crate::stage::{Digest, Failure};
use crate::store::Health;

/// Larger downloads are refused.
const MAX_BYTES: u64 = 64 << 30;

/// The object with the bytes at `url`, fetched unless the store has it.
///
/// # Errors
/// If it cannot be fetched, or its bytes are not those pinned.
pub(super) fn fetch(session: &Session, url: &str, digest: &Digest) -> Result<PathBuf, Failure> {
    if session.store.health(digest, &session.index) == Health::Sound {
        return Ok(session.store.object(digest));
    }
    let wrong = |message: String| Failure::new(format!("cannot download {url}: {message}"));
    if !session.online {
        return Err(wrong("--offline forbids it, and the store does not have its bytes".to_owned())
            .hint("run it once without --offline"));
    }
    let response = ureq::get(url).call().map_err(|error| wrong(error.to_string()))?;
    let scratch = session.store.scratch(digest)?;
    let path = scratch.path().join("download");
    let mut file = crate::fs::Context::at(std::fs::File::create(&path), "create", &path)?;
    let mut body = response.into_body().into_with_config().limit(MAX_BYTES).reader();
    std::io::copy(&mut body, &mut file).map_err(|error| wrong(error.to_string()))?;
    let (found, _) = session.index.digest_outside(&path)?;
    if found != *digest {
        let failure = wrong(format!("its bytes hash to {found}, and {digest} is pinned"));
        return Err(failure.hint("the file at this address changed, or the pin is wrong; nothing was kept"));
    }
    session.store.take(&path, &session.index, true)?;
    Ok(session.store.object(digest))
}
