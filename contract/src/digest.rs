//! SHA-256 digests as values.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Bytes that are read at a time: enough for a spinning disk to stream.
const CHUNK_BYTES: usize = 1 << 20;

/// A SHA-256 digest. Prints, and is written in documents, as 64 lower-case hex
/// digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

/// The text is not 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a SHA-256 digest (64 lower-case hex digits)")]
pub struct DigestError(String);

impl Digest {
    /// The digest of bytes at hand.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// From its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest of everything `from` gives, and how many bytes that was.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn of_reader(from: impl Read) -> io::Result<(Self, u64)> {
        let mut hasher = Hasher::default();
        in_chunks(from, |chunk| hasher.write_all(chunk), |error| error)?;
        Ok((hasher.digest(), hasher.len()))
    }
}

/// Hands everything that `from` gives to `take`, a chunk at a time. `failed`
/// says what an error of `from` means.
///
/// # Errors
/// The first of `from` or `take`.
pub fn in_chunks<E>(
    mut from: impl Read,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
    failed: impl FnOnce(io::Error) -> E,
) -> Result<(), E> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(n) => take(&chunk[..n])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Hashes what passes by and counts it.
#[derive(Clone, Debug, Default)]
pub struct Hasher {
    state: Sha256,
    len: u64,
}

impl Hasher {
    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.len += bytes.len() as u64;
    }

    /// The digest of all bytes so far.
    pub fn digest(&self) -> Digest {
        Digest(self.state.clone().finalize().into())
    }

    /// How many bytes so far.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there were none yet.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let error = || DigestError(text.to_owned());
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(error());
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| error())?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4, example of a one-block message.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn digests_of_bytes_and_readers_agree_with_the_standard() {
        assert_eq!(Digest::of(b"abc").to_string(), ABC);
        let (digest, len) = Digest::of_reader(&b"abc"[..]).unwrap();
        assert_eq!((digest.to_string().as_str(), len), (ABC, 3));
    }

    #[test]
    fn reads_only_64_lower_case_hex_digits() {
        assert_eq!(ABC.parse(), Ok(Digest::of(b"abc")));
        for bad in ["", "ba78", &ABC.to_uppercase(), &ABC.replace('b', "g")] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
