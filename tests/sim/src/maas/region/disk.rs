//! Where the bytes of uploads are, which every release of MAAS does otherwise.
//!
//! - **up to 3.4** a large object in the database, one for each SHA-256, that
//!   every resource with that content shares; it counts as complete by its
//!   length, even when its content was found wrong.
//! - **3.5 to 3.7** a file beside the final one, written at the position that is
//!   kept for each upload; the first bytes of an upload empty it, even if
//!   another upload of the same content is writing to it.
//! - **3.8** the final file itself, appended to; a chunk that does not fit, or
//!   for which there is no space, removes it, whosever it is.
//!
//! A refusal with status 400 keeps what was done before it, a failure does not.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use sha2::{Digest, Sha256};

use super::store::{Refusal, Set, bad_request};
use super::version::Release;

/// What is kept for one SHA-256.
#[derive(Debug, Default)]
struct StoredContent {
    /// Under the final name.
    whole: Option<Vec<u8>>,
    /// Beside it, 3.5 to 3.7.
    partial: Option<Vec<u8>>,
}

/// The image storage of a region.
#[derive(Debug, Default)]
pub(super) struct Disk {
    kept: BTreeMap<String, StoredContent>,
}

/// What an append changed.
pub(super) struct Appended {
    /// Bytes of this upload that MAAS counts now.
    pub(super) at: u64,
    /// What it answers.
    pub(super) answer: Result<(), Refusal>,
}

impl Disk {
    /// How many bytes a new upload of that content has from the beginning.
    pub(super) fn initial_position(&self, sha256: &str, release: Release) -> u64 {
        let kept = self.kept.get(sha256).and_then(|kept| kept.whole.as_ref());
        match release {
            Release::V2_9 | Release::V3_4 => kept.map_or(0, |bytes| bytes.len() as u64),
            Release::V3_7 | Release::V3_8 => 0,
        }
    }

    /// Appends `bytes` to the upload `set`.
    pub(super) fn append(&mut self, set: &Set, bytes: &[u8], release: Release) -> Appended {
        let kept = self.kept.entry(set.sha256.clone()).or_default();
        let refused = |answer| Appended {
            at: set.at,
            answer: Err(answer),
        };
        if bytes.is_empty() {
            return refused(bad_request("Missing data."));
        }
        if set.at == set.size {
            return refused(bad_request("Cannot upload to a complete file."));
        }
        match release {
            Release::V2_9 | Release::V3_4 => kept.append_to_large_object(set, bytes),
            Release::V3_7 => kept.append_beside(set, bytes),
            Release::V3_8 => kept.append_in_place(set, bytes),
        }
    }

    /// There is no space for a chunk.
    pub(super) fn reject_full(&mut self, sha256: &str, release: Release) -> Refusal {
        if release < Release::V3_8 {
            let text = "[Errno 28] No space left on device";
            return (StatusCode::INTERNAL_SERVER_ERROR, text.into());
        }
        self.kept.remove(sha256);
        bad_request("No space left on device")
    }

    /// What a machine would be given of `set`.
    pub(super) fn bytes(&self, set: &Set) -> Vec<u8> {
        let Some(kept) = self.kept.get(&set.sha256) else {
            return Vec::new();
        };
        let begun = kept.partial.as_deref().filter(|_| set.at < set.size);
        let begun = begun.and_then(|bytes| bytes.get(..set.at as usize));
        let bytes = begun.or(kept.whole.as_deref()).unwrap_or_default();
        bytes.to_vec()
    }

    pub(super) fn remove(&mut self, sha256: &str) {
        self.kept.remove(sha256);
    }
}

fn too_much_data(at: u64) -> Appended {
    Appended {
        at,
        answer: Err(bad_request("Too much data received.")),
    }
}

fn check_sha256(bytes: &[u8], sha256: &str) -> Result<(), Refusal> {
    match hex::encode(Sha256::digest(bytes)) == sha256 {
        true => Ok(()),
        false => Err(bad_request(
            "Saved content does not match given SHA256 value.",
        )),
    }
}

impl StoredContent {
    fn append_to_large_object(&mut self, set: &Set, bytes: &[u8]) -> Appended {
        let all = self.whole.get_or_insert_default();
        if all.len() + bytes.len() > set.size as usize {
            return too_much_data(set.at);
        }
        all.extend_from_slice(bytes);
        let at = all.len() as u64;
        let answer = match at == set.size {
            true => check_sha256(all, &set.sha256),
            false => Ok(()),
        };
        Appended { at, answer }
    }

    fn append_beside(&mut self, set: &Set, bytes: &[u8]) -> Appended {
        let at = set.at as usize;
        let (end, size) = (at + bytes.len(), set.size as usize);
        if end > size {
            return too_much_data(set.at);
        }
        if at == 0 {
            self.partial = Some(vec![0; size]);
        }
        let Some(partial) = &mut self.partial else {
            let text = "[Errno 2] No such file or directory".to_owned();
            return Appended {
                at: set.at,
                answer: Err((StatusCode::INTERNAL_SERVER_ERROR, text)),
            };
        };
        partial[at..end].copy_from_slice(bytes);
        if end == size {
            if let Err(wrong) = check_sha256(partial, &set.sha256) {
                return Appended {
                    at: set.at,
                    answer: Err(wrong),
                };
            }
            self.whole = self.partial.take();
        }
        Appended {
            at: end as u64,
            answer: Ok(()),
        }
    }

    fn append_in_place(&mut self, set: &Set, bytes: &[u8]) -> Appended {
        let all = self.whole.get_or_insert_default();
        if all.len() + bytes.len() > set.size as usize {
            self.whole = None;
            return too_much_data(set.at);
        }
        all.extend_from_slice(bytes);
        let answer = match all.len() as u64 == set.size {
            true => check_sha256(all, &set.sha256),
            false => Ok(()),
        };
        // Counted for this upload, whatever the file's length.
        let at = (set.at + bytes.len() as u64).min(set.size);
        Appended { at, answer }
    }
}
