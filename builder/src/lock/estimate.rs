//! How large the image will be, as far as a lock tells: before anything is fetched.

use postern_contract::size::{self, MIB};

use super::model::{Lock, LockedPackage};
use crate::profile::DiskSizes;

/// Packages that are named.
const NAMED: usize = 5;

/// What packages take in the root, in percent of what their archives take: both are
/// compressed. The demo's 235 have 114 MiB, of which 108 are in its root; firmware,
/// which is compressed within its package as well, comes out as large as it goes in.
const PERCENT_IN_ROOT: u64 = 95;

/// Why the build of `lock` will probably fail for its size; `None` if the packages
/// leave room. They are not all that an image has: k3s, its images and overlays come
/// on top.
pub fn too_large(lock: &Lock, disk: &DiskSizes) -> Option<String> {
    let archives: u64 = lock.packages.iter().map(|package| package.size).sum();
    let root = archives * PERCENT_IN_ROOT / 100;
    let whole = root + disk.esp + disk.seed;
    let (limit, needed, key) = match (root > disk.root_slot, whole > disk.budget) {
        (true, _) => (disk.root_slot, root, "disk.root-slot"),
        (false, true) => (disk.budget, whole, "disk.budget"),
        (false, false) => return None,
    };
    let round = |bytes: u64| size::display(bytes.next_multiple_of(MIB));
    let mut largest: Vec<&LockedPackage> = lock.packages.iter().collect();
    largest.sort_by_key(|package| std::cmp::Reverse(package.size));
    let named = largest.iter().take(NAMED);
    let named: Vec<_> = named
        .map(|package| format!("{} {}", package.name, round(package.size)))
        .collect();
    Some(format!(
        "warning: with these packages alone the image needs about {}, and `{key}` allows {}\n  largest: {}\n  help: remove packages, or raise `disk.root-slot` and `disk.budget` in the profile",
        round(needed),
        size::display(limit),
        named.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::testing::profile;
    use crate::lock::{Reason, file};

    fn lock(sizes_mib: &[u64]) -> Lock {
        let package = |(i, mib): (usize, &u64)| LockedPackage {
            name: format!("p{i}"),
            version: "1".to_owned(),
            arch: "all".to_owned(),
            archive: "debian".to_owned(),
            path: format!("p{i}.deb"),
            size: mib * MIB,
            sha256: "a".repeat(64).parse().unwrap(),
            reason: Reason::Requested,
            essential: false,
        };
        Lock {
            schema: file::SCHEMA,
            inputs: "a".repeat(64).parse().unwrap(),
            source_date_epoch: 0,
            suites: Vec::new(),
            packages: sizes_mib.iter().enumerate().map(package).collect(),
            boot: Vec::new(),
            tools: Vec::new(),
            downloads: Vec::new(),
        }
    }

    #[test]
    fn the_largest_packages_are_named_before_a_long_build() {
        let mut disk = profile().disk; // slot 512, ESP 64, seed 16, budget 1024 MiB
        assert_eq!(too_large(&lock(&[500, 20, 10]), &disk), None);
        let over = lock(&[7, 480, 100, 20, 9, 8]);
        insta::assert_snapshot!(too_large(&over, &disk).unwrap(), @r"
        warning: with these packages alone the image needs about 593MiB, and `disk.root-slot` allows 512MiB
          largest: p1 480MiB, p2 100MiB, p3 20MiB, p4 9MiB, p5 8MiB
          help: remove packages, or raise `disk.root-slot` and `disk.budget` in the profile
        ");
        disk.root_slot = 1 << 30;
        disk.budget = 600 * MIB;
        let over = too_large(&over, &disk).unwrap();
        assert!(
            over.contains("needs about 673MiB, and `disk.budget` allows 600MiB"),
            "{over}"
        );
    }
}
