//! Where two sequences of bytes differ.

use std::io;

use serde::Serialize;

use crate::extent::ReadAt;

/// Bytes compared at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Where two sequences of bytes differ. Offsets count from their start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ByteDiff {
    /// The first byte that differs.
    pub first: u64,
    /// The last byte that differs.
    pub last: u64,
    /// How many bytes differ.
    pub count: u64,
}

/// Compares `a` and `b`; the rest of the longer one counts as different.
pub(super) fn compare(a: &dyn ReadAt, b: &dyn ReadAt) -> io::Result<Option<ByteDiff>> {
    let common = a.size().min(b.size());
    let (mut one, mut other) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let mut found: Option<ByteDiff> = None;
    let mut add = |first: u64, last: u64, count: u64| {
        let diff = found.get_or_insert(ByteDiff {
            first,
            last,
            count: 0,
        });
        diff.last = last;
        diff.count += count;
    };
    let mut at = 0;
    while at < common {
        let now = usize::try_from(common - at).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
        let (one, other) = (&mut one[..now], &mut other[..now]);
        a.read_exact_at(one, at)?;
        b.read_exact_at(other, at)?;
        if one != other {
            let pairs = one.iter().zip(other.iter()).enumerate();
            let mut differing = pairs.filter(|(_, (a, b))| a != b).map(|(i, _)| i as u64);
            if let Some(first) = differing.next() {
                let (last, count) = differing.fold((first, 1), |(_, n), i| (i, n + 1));
                add(at + first, at + last, count);
            }
        }
        at += now as u64;
    }
    let longer = a.size().max(b.size());
    if longer > common {
        add(common, longer - 1, longer - common);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extent::FileBytes;

    #[test]
    fn finds_and_counts_differences() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs_err::write(&path, bytes).unwrap();
            FileBytes::open(&path).unwrap()
        };
        let plain = vec![7; (2 << 20) + 10];
        let mut changed = plain.clone();
        for at in [5, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 9] {
            changed[at] = 8;
        }
        let (a, b) = (open("a", &plain), open("b", &changed));
        assert_eq!(compare(&a, &a).unwrap(), None);
        let found = compare(&a, &b).unwrap().unwrap();
        assert_eq!(
            (found.first, found.last, found.count),
            (5, 2 * CHUNK_BYTES as u64 + 9, 4)
        );
        changed.extend([0; 3]);
        let found = compare(&a, &open("c", &changed)).unwrap().unwrap();
        assert_eq!((found.last, found.count), (2 * CHUNK_BYTES as u64 + 12, 7));
    }
}
