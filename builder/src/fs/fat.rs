//! The EFI system partition: a FAT32 image from a small tree, by dosfstools
//! and mtools.

use std::collections::BTreeMap;
use std::path::Path;

use postern_contract::host::Command;

use super::stage::Stage;
use super::{FsError, FsReason, atomically};
use crate::tools::Tools;
use crate::tree::{Entry, Kind, Tree, TreePath};

/// Bytes a sector.
const SECTOR: u64 = 512;
/// Sectors before the first FAT, as mkfs.vfat reserves them.
const RESERVED: u64 = 32;
/// Fewer clusters make it FAT16 for firmware, whatever its header says
/// (Microsoft, FAT32 File System Specification, "FAT Type Determination").
const MIN_CLUSTERS: u64 = 65_525;
/// FAT's first second, in 1980.
const MIN_EPOCH: u64 = 315_532_800;
/// FAT's last second, in 2107.
const MAX_EPOCH: u64 = 4_354_819_198;
/// Bytes per directory entry; a long name takes one more for each 13 characters.
const DIR_ENTRY: u64 = 32;

/// What an image is beside its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Exact size in bytes, a multiple of 512.
    pub size: u64,
    /// Volume label, at most 11 upper-case characters.
    pub label: String,
    /// Volume serial number.
    pub serial: u32,
}

/// Makes a FAT32 image of `tree` at `out`, whole or not at all. Files and
/// directories only; owners and modes are not kept, all times are the tree's
/// epoch (FAT counts in two seconds).
///
/// # Errors
/// [`FsError`]; what was at `out` is then untouched.
pub fn write(tree: &Tree, out: &Path, options: &Options, tools: &Tools) -> Result<(), FsError> {
    atomically("FAT", out, |image| {
        check(tree)?;
        let cluster = cluster_for(tree, options.size)?;
        let stage = Stage::new(tree)?;
        fs_err::OpenOptions::new()
            .write(true)
            .open(image)?
            .set_len(options.size)?;
        let image = fs_err::canonicalize(image)?;
        mkfs(&image, cluster, options, tools).run()?;
        for (path, _, staged) in &stage.entries {
            let command = match staged {
                None => mtool("mmd", tree.epoch(), &image, tools),
                Some(staged) => mtool("mcopy", tree.epoch(), &image, tools)
                    .arg("-m")
                    .arg(staged),
            };
            let command = command.arg(format!("::{path}")).cwd(stage.dir());
            command.run()?;
        }
        Ok(())
    })
}

fn mkfs(image: &Path, cluster: u64, options: &Options, tools: &Tools) -> Command {
    tools
        .command("mkfs.vfat")
        .args(["--invariant", "-F", "32", "-S", &SECTOR.to_string()])
        .args(["-s", &cluster.to_string(), "-R", &RESERVED.to_string()])
        .args(["-i", &format!("{:08x}", options.serial)])
        .args(["-n", &options.label])
        .arg(image)
}

fn mtool(program: &str, epoch: u64, image: &Path, tools: &Tools) -> Command {
    let epoch = epoch.clamp(MIN_EPOCH, MAX_EPOCH);
    tools
        .command(program)
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        // The geometry of an image means nothing, and a person's ~/.mtoolsrc neither.
        .env("MTOOLS_SKIP_CHECK", "1")
        .env("MTOOLSRC", "/dev/null")
        // Never ask a question.
        .args(["-D", "s", "-i"])
        .arg(image)
}

/// Refuses what FAT cannot keep.
fn check(tree: &Tree) -> Result<(), FsReason> {
    let mut folded: BTreeMap<String, &TreePath> = BTreeMap::new();
    for (path, node) in tree.iter() {
        let refuse = |why: String, help| FsReason::Entry {
            path: path.clone(),
            why,
            help,
        };
        if !matches!(node.entry.kind, Kind::File(_) | Kind::Dir) {
            let why = format!("is a {}", node.entry.kind.name());
            return Err(refuse(why, "FAT holds files and directories only"));
        }
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+ ~@()#".contains(&byte);
        let name = path.name();
        if !name.iter().copied().all(legal) || name.ends_with(b".") || name.ends_with(b" ") {
            let why = "has a name that firmware may not read".to_owned();
            return Err(refuse(
                why,
                "use ASCII letters, digits, `-`, `_`, `.` and `+`",
            ));
        }
        if let Some(other) = folded.insert(path.to_string().to_ascii_lowercase(), path) {
            let why = format!("is the same name as {other} to FAT, which ignores case");
            return Err(refuse(why, "rename one of them"));
        }
    }
    Ok(())
}

/// The largest clusters, in sectors, that leave FAT32 its minimum number of
/// them and the tree its room.
fn cluster_for(tree: &Tree, size: u64) -> Result<u64, FsReason> {
    let fits = |size: u64, cluster: u64| {
        let have = clusters(size, cluster);
        have >= MIN_CLUSTERS && have >= clusters_of(tree, cluster)
    };
    if let Some(cluster) = [8, 4, 2, 1]
        .into_iter()
        .find(|cluster| fits(size, *cluster))
    {
        return Ok(cluster);
    }
    let mut needed = size.next_multiple_of(1 << 20);
    while !fits(needed, 1) {
        needed += 1 << 20;
    }
    Err(FsReason::TooSmall { size, needed })
}

/// Clusters of an image; perhaps a few fewer than there are, never more.
fn clusters(size: u64, cluster: u64) -> u64 {
    let sectors = size / SECTOR;
    // mkfs.vfat aligns both FATs to clusters.
    let fat = ((sectors / cluster + 2) * 4).div_ceil(SECTOR);
    let before = RESERVED.next_multiple_of(cluster) + 2 * fat.next_multiple_of(cluster);
    sectors.saturating_sub(before) / cluster
}

/// Clusters that the tree takes.
fn clusters_of(tree: &Tree, cluster: u64) -> u64 {
    let bytes = cluster * SECTOR;
    // The root directory: its label, and a cluster even if empty.
    let mut dirs: BTreeMap<Option<TreePath>, u64> = [(None, DIR_ENTRY)].into();
    let mut total = 0;
    for (path, node) in tree.iter() {
        let name = DIR_ENTRY * (1 + path.name().len().div_ceil(13) as u64);
        *dirs.entry(path.parent()).or_default() += name;
        match &node.entry {
            Entry {
                kind: Kind::File(content),
                ..
            } => total += content.size().div_ceil(bytes),
            // `.` and `..`
            _ => *dirs.entry(Some(path.clone())).or_default() += 2 * DIR_ENTRY,
        }
    }
    total + dirs.values().map(|size| size.div_ceil(bytes)).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Content, Layer, MergePolicy, merge};

    const EPOCH: u64 = 1_700_000_000;

    fn tree(files: &[(&str, Vec<u8>)]) -> Tree {
        let mut layer = Layer::default();
        for (path, bytes) in files {
            let kind = Kind::File(Content::from_bytes(bytes.clone()));
            let entry = Entry::of_root(kind, 0o644, EPOCH - 999_999);
            layer.entries.insert(TreePath::new(path).unwrap(), entry);
        }
        merge([(&layer, &MergePolicy::AddOnly)], EPOCH).unwrap()
    }

    fn esp() -> Tree {
        tree(&[
            ("EFI/BOOT/BOOTX64.EFI", vec![1; 100_000]),
            (
                "EFI/Linux/demo_1.0+3.efi",
                (0..5_000_000_u32).map(|i| (i % 251) as u8).collect(),
            ),
            ("loader/loader.conf", b"timeout 0\n".to_vec()),
        ])
    }

    fn options(size: u64) -> Options {
        Options {
            size,
            label: "ESP".into(),
            serial: 0x1234_abcd,
        }
    }

    fn read(program: &str, image: &Path, args: &[&str]) -> Vec<u8> {
        Command::new(program)
            .arg("-i")
            .arg(image)
            .args(args)
            .run()
            .unwrap()
    }

    #[test]
    fn the_image_is_sound_and_holds_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("esp.fat");
        for size in [40 << 20, 300 << 20] {
            write(&esp(), &image, &options(size), &Tools::of_host()).unwrap();
            assert_eq!(fs_err::metadata(&image).unwrap().len(), size);
            Command::new("fsck.vfat")
                .arg("-n")
                .arg(&image)
                .run()
                .unwrap();
            for (path, node) in esp().iter() {
                let Kind::File(content) = &node.entry.kind else {
                    continue;
                };
                let bytes = read("mtype", &image, &[&format!("::{path}")]);
                assert!(bytes == content.read().unwrap(), "{path}");
            }
        }
        let listing = String::from_utf8(read("mdir", &image, &["-b", "-/", "::"])).unwrap();
        let mut names: Vec<_> = listing.lines().collect();
        names.sort_unstable();
        let expected = [
            "::/EFI/",
            "::/EFI/BOOT/",
            "::/EFI/BOOT/BOOTX64.EFI",
            "::/EFI/Linux/",
            "::/EFI/Linux/demo_1.0+3.efi",
            "::/loader/",
            "::/loader/loader.conf",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let image = dir.path().join(name);
            write(&esp(), &image, &options(40 << 20), &Tools::of_host()).unwrap();
            fs_err::read(image).unwrap()
        };
        let first = make("a");
        // FAT counts in two seconds.
        let start = postern_contract::host::clock::now().as_second();
        while postern_contract::host::clock::now().as_second() < start + 2 {
            std::thread::yield_now();
        }
        assert!(make("b") == first);
    }

    #[test]
    fn too_small_says_how_much_is_needed_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("esp.fat");
        let full = tree(&[("big", vec![1; 50 << 20]), ("x", vec![])]);
        for tree in [esp(), full] {
            let error = write(&tree, &image, &options(10 << 20), &Tools::of_host()).unwrap_err();
            let FsReason::TooSmall { needed, .. } = error.reason else {
                panic!("{error}")
            };
            assert!(!image.exists());
            write(&tree, &image, &options(needed), &Tools::of_host()).unwrap();
            Command::new("fsck.vfat")
                .arg("-n")
                .arg(&image)
                .run()
                .unwrap();
            fs_err::remove_file(&image).unwrap();
        }
    }

    #[test]
    fn refuses_what_firmware_would_not_find() {
        for (names, says) in [
            (vec!["EFI/a", "efi/A"], "ignores case"),
            (vec!["a?"], "firmware may not read"),
            (vec!["a."], "firmware may not read"),
        ] {
            let files: Vec<_> = names.into_iter().map(|name| (name, vec![])).collect();
            let error = check(&tree(&files)).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
