//! Records: what a finished step made, and how.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::key::table_digest;
use crate::stage::{Digest, Facts, PortType};

/// One output of a finished step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Its port.
    pub port: String,
    /// Its type.
    #[serde(rename = "type")]
    pub ty: PortType,
    /// Digest of its bytes: the object's name.
    pub object: Digest,
    /// Its size in bytes.
    pub bytes: u64,
    /// What is known of it; for a table the digests of its columns.
    pub facts: Facts,
}

impl Output {
    /// The digest of what it says: of a table's values, of anything else's bytes.
    pub fn content(&self) -> Digest {
        self.facts.table().and_then(table_digest).unwrap_or(self.object)
    }
}

/// What a finished step made, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The step's name when it was executed; other steps may share the record.
    pub step: String,
    /// The manifest that the key is the hash of.
    pub manifest: String,
    /// What it made.
    pub outputs: Vec<Output>,
    /// Seconds it took.
    pub seconds: f64,
    /// When it finished, seconds since 1970.
    pub finished: u64,
    /// Which version of this program executed it.
    pub version: String,
    /// How it ran: execution provider, library, ….
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub notes: Map<String, Value>,
    /// What it printed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log: String,
}

impl Record {
    /// The output at `port`.
    pub fn output(&self, port: &str) -> Option<&Output> {
        self.outputs.iter().find(|o| o.port == port)
    }

    /// The stored form: a line with the digest of the rest, then JSON.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let body = serde_json::to_string(self).unwrap_or_default();
        format!("{}\n{body}\n", Digest::of(body.as_bytes())).into_bytes()
    }

    /// Reads the stored form; `None` if it is not whole.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (digest, body) = text.split_once('\n')?;
        let body = body.strip_suffix('\n')?;
        if digest.parse() != Ok(Digest::of(body.as_bytes())) {
            return None;
        }
        serde_json::from_str(body).ok()
    }
}
