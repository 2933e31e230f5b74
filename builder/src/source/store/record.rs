//! What was made from which inputs: a small record that names a blob.
//!
//! ```text
//! <root>/made/<step>/<64 hex digits>.json   {"schema":1,"sha256":"…","size":312230912}
//! ```
//! The name is the digest of the inputs, the content says which bytes came of
//! them. The bytes are a blob like any other, so packages and results are
//! verified, shared and pruned in the same way. A record is written after its blob.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use postern_contract::digest::Digest;

/// Version of the format of records.
const SCHEMA: u32 = 1;

/// Bytes of the longest file that is read as a record.
pub const MAX_RECORD_BYTES: u64 = 4096;

/// The place of a result: the step that made it and the digest of its inputs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    /// The step: `base`, `initrd`, `root`.
    pub step: String,
    /// The digest of what went in.
    pub key: Digest,
}

impl Slot {
    /// Path below the root of a store or pool.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(self.name())
    }

    /// As [`Slot::path`], as text.
    pub fn name(&self) -> String {
        format!("made/{}/{}.json", self.step, self.key)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.step, self.key)
    }
}

/// Which bytes came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Their digest.
    pub sha256: Digest,
    /// Their number.
    pub size: u64,
}

/// The text is not a record.
#[derive(Debug, thiserror::Error)]
#[error("not a record of a result: {0}")]
pub struct RecordError(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordDocument {
    schema: u32,
    sha256: Digest,
    size: u64,
}

impl Record {
    /// Reads what [`Record::to_json`] wrote.
    ///
    /// # Errors
    /// [`RecordError`], also for a schema of the future.
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let document = serde_json::from_slice(bytes);
        match document.map_err(|error| RecordError(error.to_string()))? {
            RecordDocument {
                schema: SCHEMA,
                sha256,
                size,
            } => Ok(Self { sha256, size }),
            RecordDocument { schema, .. } => {
                Err(RecordError(format!("schema {schema} is unknown")))
            }
        }
    }

    /// As one line of JSON.
    pub fn to_json(self) -> Vec<u8> {
        let Self { sha256, size } = self;
        format!("{{\"schema\":{SCHEMA},\"sha256\":\"{sha256}\",\"size\":{size}}}\n").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_and_nothing_else_does() {
        let record = Record {
            sha256: Digest::of(b"made"),
            size: 4,
        };
        let json = record.to_json();
        assert_eq!(Record::parse(&json).unwrap(), record);
        let text = String::from_utf8(json).unwrap();
        let bad = [
            text.replace("\"schema\":1", "\"schema\":2"),
            text.replace("\"size\":4", "\"size\":-4"),
            text.replace("size", "sizes"),
            text.replace(&record.sha256.to_string()[..2], "zz"),
            "<html>".to_owned(),
            String::new(),
        ];
        for bad in bad {
            assert!(Record::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
