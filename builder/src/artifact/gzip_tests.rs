use super::*;
use fs_err as fs;
use postern_contract::host::Command;
use proptest::prelude::*;

/// Bytes in memory as a source without known holes.
pub(in crate::artifact) struct Bytes(pub Vec<u8>);

impl ReadAt for Bytes {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = offset as usize;
        buffer.copy_from_slice(&self.0[from..from + buffer.len()]);
        Ok(())
    }
}

/// Bytes that no compressor makes smaller.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..size).map(|_| (next() >> 32) as u8).collect()
}

/// Zeros, noise, text, a mixture, and an odd end.
pub(in crate::artifact) fn mixed() -> Vec<u8> {
    let mut bytes = vec![0; 3 * BLOCK];
    bytes.extend(noise(BLOCK + 1000));
    bytes.extend(b"the quick brown fox ".repeat(60_000));
    bytes.resize(bytes.len() + 12_345, 0);
    bytes
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let stream = compress(&Bytes(bytes.to_vec()), &mut out).unwrap();
    let expected = PackedStream {
        size: out.len() as u64,
        sha256: Digest::of(&out),
        uncompressed_size: bytes.len() as u64,
    };
    assert_eq!(stream, expected);
    out
}

#[test]
fn zcat_gunzip_and_pigz_take_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.gz");
    fs::write(&path, packed(&mixed())).unwrap();
    assert!(Command::new("zcat").arg(&path).run().unwrap() == mixed());
    Command::new("gunzip").arg("-t").arg(&path).run().unwrap();
    Command::new("pigz").arg("-t").arg(&path).run().unwrap();
}

#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| packed(&mixed()))
    };
    let one = with(1);
    for threads in [2, 3, 8] {
        assert!(with(threads) == one, "{threads} threads");
    }
}

#[test]
fn holes_and_written_zeros_give_the_same_bytes() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(5 * BLOCK as u64 + 7).unwrap();
    let hole = crate::extent::FileBytes::open(file.path()).unwrap();
    assert!(hole.data().is_empty());
    let mut out = Vec::new();
    compress(&hole, &mut out).unwrap();
    assert!(out == packed(&vec![0; 5 * BLOCK + 7]));
    assert!(out.len() < 7000, "{} bytes", out.len());
}

#[test]
fn each_kind_of_block_is_packed_as_it_deserves() {
    let text = b"the quick brown fox ".repeat(52_428);
    assert_eq!(method(&noise(BLOCK)).unwrap(), Method::Stored);
    assert_eq!(method(&text).unwrap(), Method::Deflate(LEVEL));
    // Half noise, half zeros: worth it.
    let mut half = noise(BLOCK / 2);
    half.resize(BLOCK, 0);
    assert_eq!(method(&half).unwrap(), Method::Deflate(LEVEL));
    let stored = member(&noise(BLOCK), Method::Deflate(LEVEL)).unwrap();
    assert_eq!(stored.len(), HEADER + stored_size(BLOCK) + TRAILER);
}

#[test]
fn nothing_becomes_nothing() {
    assert!(packed(&[]).is_empty());
}

#[test]
fn no_time_and_no_system_are_in_it() {
    let out = packed(b"x");
    insta::assert_snapshot!(hex::encode(&out), @"1f8b08040000000000ff0800506d040022000000010100feff788316dc8c01000000");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_member_unpacks_to_its_block(
        pieces in proptest::collection::vec((any::<u8>(), 1_usize..70_000, any::<bool>()), 1..8),
    ) {
        let mut block = Vec::new();
        for (byte, size, noisy) in pieces {
            if noisy {
                block.extend(noise(size));
            } else {
                block.resize(block.len() + size, byte);
            }
        }
        for method in [Method::Stored, Method::Deflate(1), Method::Deflate(LEVEL)] {
            let packed = member(&block, method).unwrap();
            let mut plain = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(packed.as_slice());
            io::Read::read_to_end(&mut decoder, &mut plain).unwrap();
            prop_assert!(plain == block);
            let mut header = [0; HEADER];
            header.copy_from_slice(&packed[..HEADER]);
            prop_assert_eq!(member_length(&header), Some(packed.len() as u64));
        }
    }
}
