//! Superblock, root hash and constants of the on-disk format.

use std::fmt;
use std::str::FromStr;

use postern_contract::digest::{Digest, DigestError};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::VerityError;

/// Bytes of a data block and of a hash block.
pub const BLOCK: usize = 4096;
/// Bytes of one SHA-256 digest.
pub(super) const DIGEST_BYTES: usize = 32;
/// Digests in one hash block.
pub(super) const FANOUT: usize = BLOCK / DIGEST_BYTES;
/// Longest salt the superblock holds, in bytes.
const MAX_SALT_BYTES: usize = 256;
/// Bytes of the superblock; it has the first hash block to itself.
const SUPERBLOCK_BYTES: usize = 512;
const SIGNATURE: &[u8; 8] = b"verity\0\0";

/// The salt: hashed in front of every block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salt(Vec<u8>);

impl Salt {
    /// A salt of at most 256 bytes.
    ///
    /// # Errors
    /// [`VerityError::LongSalt`].
    pub fn new(bytes: &[u8]) -> Result<Self, VerityError> {
        if bytes.len() > MAX_SALT_BYTES {
            return Err(VerityError::LongSalt(bytes.len()));
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The salt of one build: 32 bytes that are a function of `build` alone,
    /// so that the same inputs give the same tree.
    pub fn derived(build: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(b"postern verity salt\0")
            .chain_update(build)
            .finalize();
        Self(digest.to_vec())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A hasher that has seen the salt.
    pub(super) fn hasher(&self) -> Sha256 {
        Sha256::new_with_prefix(&self.0)
    }
}

/// What the first bytes of a hash device say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Names this tree; means nothing to the kernel.
    pub uuid: Uuid,
    /// Salt of every digest.
    pub salt: Salt,
    /// Blocks of data covered.
    pub data_blocks: u64,
}

impl Superblock {
    /// The 512 bytes on disk (`struct verity_sb`, cryptsetup `lib/verity/verity.c`).
    pub(super) fn to_bytes(&self) -> [u8; SUPERBLOCK_BYTES] {
        let mut out = [0; SUPERBLOCK_BYTES];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            out[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        let mut algorithm = [0; 32];
        algorithm[..6].copy_from_slice(b"sha256");
        // The salt has at most MAX_SALT_BYTES, so this cannot wrap.
        let salt_size = self.salt.0.len() as u16;
        put(SIGNATURE);
        put(&1_u32.to_le_bytes()); // version of the superblock
        put(&1_u32.to_le_bytes()); // hash type: salt in front
        put(self.uuid.as_bytes());
        put(&algorithm);
        put(&(BLOCK as u32).to_le_bytes());
        put(&(BLOCK as u32).to_le_bytes());
        put(&self.data_blocks.to_le_bytes());
        put(&salt_size.to_le_bytes());
        put(&[0; 6]);
        put(&self.salt.0);
        out
    }

    /// Reads the first 512 bytes of a hash device.
    ///
    /// # Errors
    /// [`VerityError::Superblock`] if it is none or not of the one kind Postern writes.
    pub fn parse(bytes: &[u8]) -> Result<Self, VerityError> {
        let refuse = |why| Err(VerityError::Superblock(why));
        if bytes.len() < SUPERBLOCK_BYTES || &bytes[..8] != SIGNATURE {
            return refuse("no signature");
        }
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        if (word(8), word(12)) != (1, 1) {
            return refuse("unknown version or hash type");
        }
        if bytes[32..64].iter().take_while(|b| **b != 0).ne(b"sha256") {
            return refuse("hash is not sha256");
        }
        if (word(64) as usize, word(68) as usize) != (BLOCK, BLOCK) {
            return refuse("blocks are not 4096 bytes");
        }
        let data_blocks = u64::from(word(72)) | u64::from(word(76)) << 32;
        let salt_size = usize::from(u16::from_le_bytes([bytes[80], bytes[81]]));
        if data_blocks == 0 || data_blocks > u64::MAX / BLOCK as u64 {
            return refuse("impossible number of blocks");
        }
        if salt_size > MAX_SALT_BYTES {
            return refuse("impossible length of the salt");
        }
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&bytes[16..32]);
        Ok(Self {
            uuid: Uuid::from_bytes(uuid),
            salt: Salt(bytes[88..88 + salt_size].to_vec()),
            data_blocks,
        })
    }
}

/// Hash blocks of each level of the tree, leaves first. Empty for one block of
/// data: its digest is the root hash.
pub(super) fn levels(data_blocks: u64) -> Vec<u64> {
    let mut levels = Vec::new();
    let mut blocks = data_blocks;
    while blocks > 1 {
        blocks = blocks.div_ceil(FANOUT as u64);
        levels.push(blocks);
    }
    levels
}

/// The digest that covers every block of data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RootHash(Digest);

impl RootHash {
    /// From its 32 bytes.
    pub const fn new(bytes: [u8; DIGEST_BYTES]) -> Self {
        Self(Digest::from_bytes(bytes))
    }

    /// The digest itself.
    pub const fn digest(&self) -> Digest {
        self.0
    }

    /// Partition GUID by which systemd finds the data: the first 128 bits,
    /// written as a UUID (systemd-veritysetup-generator(8), `roothash=`).
    pub fn data_guid(&self) -> Uuid {
        self.guid(0)
    }

    /// Partition GUID by which systemd finds the tree: the last 128 bits.
    pub fn hash_guid(&self) -> Uuid {
        self.guid(DIGEST_BYTES / 2)
    }

    fn guid(&self, from: usize) -> Uuid {
        let mut half = [0; 16];
        half.copy_from_slice(&self.0.as_bytes()[from..from + 16]);
        Uuid::from_bytes(half)
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootHash({self})")
    }
}

impl FromStr for RootHash {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tree_grows_a_level_at_each_power_of_128() {
        let table: [(u64, &[u64]); 7] = [
            (1, &[]),
            (2, &[1]),
            (128, &[1]),
            (129, &[2, 1]),
            (16384, &[128, 1]),
            (16385, &[129, 2, 1]),
            (20000, &[157, 2, 1]),
        ];
        for (blocks, expected) in table {
            assert_eq!(levels(blocks), expected, "{blocks} blocks");
        }
    }

    #[test]
    fn the_guids_are_the_halves_of_the_hash_as_text() {
        let text = "000102030405060708090a0b0c0d0e0ff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
        let hash: RootHash = text.parse().unwrap();
        assert_eq!(hash.to_string(), text);
        assert_eq!(
            hash.data_guid().to_string(),
            "00010203-0405-0607-0809-0a0b0c0d0e0f"
        );
        assert_eq!(
            hash.hash_guid().to_string(),
            "f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff"
        );
        assert!("00".parse::<RootHash>().is_err());
        assert!("zz".repeat(32).parse::<RootHash>().is_err());
    }

    proptest! {
        #[test]
        fn a_superblock_reads_back(
            uuid in any::<u128>(),
            salt in proptest::collection::vec(any::<u8>(), 0..=256),
            data_blocks in 1..u64::MAX / BLOCK as u64,
        ) {
            let superblock = Superblock {
                uuid: Uuid::from_u128(uuid),
                salt: Salt::new(&salt).unwrap(),
                data_blocks,
            };
            prop_assert_eq!(Superblock::parse(&superblock.to_bytes()).unwrap(), superblock);
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            if bytes.len() > 8 {
                bytes[..8].copy_from_slice(SIGNATURE);
            }
            let _ = Superblock::parse(&bytes);
        }
    }

    #[test]
    fn a_salt_has_a_longest_length() {
        assert!(Salt::new(&[0; 256]).is_ok());
        assert!(matches!(
            Salt::new(&[0; 257]),
            Err(VerityError::LongSalt(257))
        ));
    }
}
