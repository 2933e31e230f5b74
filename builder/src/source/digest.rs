//! SHA-256 digests as values.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// How much is read at a time when hashing, in bytes.
const CHUNK: usize = 1 << 17;

/// A SHA-256 digest. Prints as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The text is not 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a SHA-256 digest (64 lower-case hex digits)")]
pub struct NotADigest(String);

impl Digest {
    /// The digest of bytes at hand.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes themselves.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest of everything `from` gives, and how many bytes that was.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn of_reader(mut from: impl Read) -> io::Result<(Self, u64)> {
        let mut hasher = Hasher::default();
        let mut chunk = vec![0; CHUNK];
        loop {
            match from.read(&mut chunk)? {
                0 => return Ok((hasher.digest(), hasher.len())),
                n => hasher.update(&chunk[..n]),
            }
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
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let error = || NotADigest(text.to_owned());
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
