//! The seed partition: an ext4 image from a small tree.
//!
//! `mke2fs` makes an empty file system and `debugfs` fills it, in the order of
//! the tree. `mke2fs -d` is not used: it copies owners and times of the machine
//! it runs on, and the order of its directories. Needs e2fsprogs ≥ 1.45.

use std::fmt::Write;
use std::path::Path;

use postern_contract::host::{Command, CommandError};
use uuid::Uuid;

use super::stage::Stage;
use super::{FsError, FsReason, atomically};
use crate::tools::Tools;
use crate::tree::{Entry, Kind, Tree, TreePath};

/// Bytes a block.
const BLOCK: u64 = 4096;
/// The last second: ext4 has 34 bits for it, the tools that make it 32.
const MAX_EPOCH: u64 = u32::MAX as u64;
/// Everything Linux 4.19 can mount; nothing newer (`orphan_file`,
/// `metadata_csum_seed`), whatever this machine's `mke2fs.conf` says.
const FEATURES: &str = "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,\
    sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum";

/// What an image is beside its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Exact size in bytes, a multiple of 4 KiB.
    pub size: u64,
    /// Volume label, at most 16 bytes.
    pub label: String,
    /// Volume UUID; the hash of directories is seeded with it as well.
    pub uuid: Uuid,
}

/// Makes an ext4 image of `tree` at `out`, whole or not at all. Files,
/// directories and symbolic links only; everything is root's.
///
/// # Errors
/// [`FsError`]; what was at `out` is then untouched.
pub fn write(tree: &Tree, out: &Path, options: &Options, tools: &Tools) -> Result<(), FsError> {
    atomically("ext4", out, |image| {
        if tree.epoch() > MAX_EPOCH {
            return Err(FsReason::Epoch(tree.epoch()));
        }
        let stage = Stage::new(tree)?;
        let script = script(&stage)?;
        fs_err::OpenOptions::new()
            .write(true)
            .open(image)?
            .set_len(options.size)?;
        let image = fs_err::canonicalize(image)?;
        mke2fs(&image, tree.epoch(), options, tools).run()?;
        check_room(&image, &stage, options.size, tools)?;
        fs_err::write(stage.dir().join("script"), script)?;
        fill(&image, &stage, tree.epoch(), tools)
    })
}

/// A program whose clock shows `epoch`: both variables, because e2fsprogs before
/// 1.47.1 knows only its own.
fn at_epoch(program: &str, epoch: u64, tools: &Tools) -> Command {
    let epoch = epoch.to_string();
    tools
        .command(program)
        .env("E2FSPROGS_FAKE_TIME", &epoch)
        .env("SOURCE_DATE_EPOCH", &epoch)
}

fn mke2fs(image: &Path, epoch: u64, options: &Options, tools: &Tools) -> Command {
    let uuid = options.uuid.hyphenated().to_string();
    at_epoch("mke2fs", epoch, tools)
        .env("MKE2FS_CONFIG", "/dev/null")
        .args([
            "-q",
            "-F",
            "-b",
            &BLOCK.to_string(),
            "-I",
            "256",
            "-i",
            "16384",
            "-m",
            "0",
        ])
        .args([
            "-J",
            "size=4",
            "-O",
            FEATURES,
            "-L",
            &options.label,
            "-U",
            &uuid,
        ])
        // One -E: only the last one counts.
        .arg("-E")
        .arg(format!(
            "hash_seed={uuid},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard"
        ))
        .arg(image)
}

/// The program for debugfs.
fn script(stage: &Stage<'_>) -> Result<String, FsReason> {
    let mut script = String::new();
    for (path, entry, staged) in &stage.entries {
        let name = quoted(path, &path.to_string())?;
        let (line, kind) = match (&entry.kind, staged) {
            (Kind::Dir, _) => (format!("mkdir {name}"), 0o040_000),
            (Kind::File(_), Some(staged)) => (format!("write {staged} {name}"), 0o100_000),
            (Kind::Symlink(target), _) => {
                let target = quoted(path, &String::from_utf8_lossy(target))?;
                (format!("symlink {name} {target}"), 0o120_000)
            }
            (other, _) => {
                return Err(refused(path, format!("is a {}", other.name())));
            }
        };
        // Writing to a String cannot fail.
        let _ = writeln!(script, "{line}");
        own(&mut script, path, entry, &name, kind)?;
    }
    Ok(script)
}

fn own(
    script: &mut String,
    path: &TreePath,
    entry: &Entry,
    name: &str,
    kind: u32,
) -> Result<(), FsReason> {
    if !entry.xattrs.is_empty() {
        return Err(refused(path, "has extended attributes".to_owned()));
    }
    let mode = kind | entry.mode;
    let _ = writeln!(script, "set_inode_field {name} mode 0{mode:o}");
    let _ = writeln!(script, "set_inode_field {name} uid {}", entry.uid);
    let _ = writeln!(script, "set_inode_field {name} gid {}", entry.gid);
    let _ = writeln!(script, "set_inode_field {name} mtime @{}", entry.mtime);
    Ok(())
}

fn refused(path: &TreePath, why: String) -> FsReason {
    FsReason::Entry {
        path: path.clone(),
        why,
        help: "the seed partition holds plain files, directories and symbolic links only",
    }
}

/// A quoted word for debugfs, which has no escape for a double quote.
fn quoted(path: &TreePath, word: &str) -> Result<String, FsReason> {
    let plain = |c: char| c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ';
    if word.chars().all(plain) {
        return Ok(format!("\"{word}\""));
    }
    Err(FsReason::Entry {
        path: path.clone(),
        why: "has a name or target with other than plain ASCII characters".to_owned(),
        help: "rename it",
    })
}

/// Refuses an image that is too small for the staged files.
fn check_room(image: &Path, stage: &Stage<'_>, size: u64, tools: &Tools) -> Result<(), FsReason> {
    let header = tools.command("dumpe2fs").arg("-h").arg(image).run()?;
    let header = String::from_utf8_lossy(&header);
    let value = |key: &str| {
        let line = header.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().parse::<u64>().ok()
    };
    let free = value("Free blocks:").unwrap_or(0);
    let inodes = value("Free inodes:").unwrap_or(0);
    let blocks = |(_, entry, _): &(&TreePath, &Entry, _)| match &entry.kind {
        // One more for extents of a large file.
        Kind::File(content) => content.size().div_ceil(BLOCK) + 1,
        _ => 1,
    };
    let coming: u64 = stage.entries.iter().map(blocks).sum();
    let names = stage.entries.len() as u64;
    if coming <= free && names <= inodes {
        return Ok(());
    }
    // One inode takes 256 bytes, one in 16 KiB is made.
    let more = coming.saturating_sub(free) * BLOCK + names.saturating_sub(inodes) * 16_384;
    let needed = (size + more + more / 32).next_multiple_of(1 << 20);
    Err(FsReason::TooSmall { size, needed })
}

/// Runs the script. debugfs goes on after an error, so every line on standard
/// error beyond its banner is one.
fn fill(image: &Path, stage: &Stage<'_>, epoch: u64, tools: &Tools) -> Result<(), FsReason> {
    let command = at_epoch("debugfs", epoch, tools)
        .args(["-w", "-f", "script"])
        .arg(image)
        .cwd(stage.dir());
    let output = command.run_unchecked()?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let banner = |line: &&str| !line.starts_with("debugfs 1.");
    let errors: Vec<_> = stderr.lines().filter(banner).collect();
    if output.status.success() && errors.is_empty() {
        return Ok(());
    }
    let failed = CommandError::Failed {
        line: command.to_string(),
        status: output.status,
        stderr: errors.join("\n"),
    };
    Err(failed.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Content, Layer, MergePolicy, merge};

    fn tree(entries: Vec<(&str, Kind, u32)>) -> Tree {
        let mut layer = Layer::default();
        for (path, kind, mode) in entries {
            let entry = Entry::of_root(kind, mode, 1_600_000_000);
            layer.entries.insert(TreePath::new(path).unwrap(), entry);
        }
        merge([(&layer, &MergePolicy::AddOnly)], 1_700_000_000).unwrap()
    }

    fn file(bytes: impl Into<Vec<u8>>) -> Kind {
        Kind::File(Content::from_bytes(bytes))
    }

    fn seed() -> Tree {
        tree(vec![
            ("curtin/curtin-hooks", file([7; 300_000]), 0o755),
            ("etc/hosts", Kind::Symlink(b"../a b".to_vec()), 0o777),
            ("a b", file("spaced"), 0o600),
            ("secret", Kind::Dir, 0o700),
        ])
    }

    fn options() -> Options {
        Options {
            size: 16 << 20,
            label: "seed".into(),
            uuid: Uuid::from_u128(0x1234),
        }
    }

    fn debugfs(request: &str, image: &Path) -> String {
        let command = Command::new("debugfs").args(["-R", request]).arg(image);
        String::from_utf8(command.run().unwrap()).unwrap()
    }

    #[test]
    fn the_image_is_sound_and_holds_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("seed.ext4");
        write(&seed(), &image, &options(), &Tools::of_host()).unwrap();
        assert_eq!(fs_err::metadata(&image).unwrap().len(), 16 << 20);
        Command::new("e2fsck").arg("-fn").arg(&image).run().unwrap();
        let listing = debugfs("ls -p /", &image) + &debugfs("ls -p /curtin", &image);
        let names: Vec<_> = listing.lines().filter(|line| !line.is_empty()).collect();
        insta::assert_snapshot!(names.join("\n"), @r"
        /2/040755/0/0/.//
        /2/040755/0/0/..//
        /11/040700/0/0/lost+found//
        /12/100600/0/0/a b/6/
        /13/040755/0/0/curtin//
        /15/040755/0/0/etc//
        /17/040700/0/0/secret//
        /13/040755/0/0/.//
        /2/040755/0/0/..//
        /14/100755/0/0/curtin-hooks/300000/
        ");
        assert_eq!(debugfs("cat \"/a b\"", &image), "spaced");
        assert!(debugfs("stat /etc/hosts", &image).contains("Fast link dest: \"../a b\""));
        let stat = debugfs("stat /curtin/curtin-hooks", &image);
        assert!(stat.contains("Size: 300000"), "{stat}");
        assert!(stat.contains("mtime: 0x5f5e1000"), "{stat}");
        assert!(stat.contains("ctime: 0x6553f100"), "{stat}");
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let image = dir.path().join(name);
            write(&seed(), &image, &options(), &Tools::of_host()).unwrap();
            fs_err::read(image).unwrap()
        };
        let first = make("a");
        // Long enough apart for a real clock to show in whole seconds.
        let start = postern_contract::host::clock::now();
        while postern_contract::host::clock::now().as_second() == start.as_second() {
            std::thread::yield_now();
        }
        assert!(make("b") == first);
    }

    #[test]
    fn too_small_says_how_much_is_needed_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("seed.ext4");
        let big = || tree(vec![("big", file(vec![1; 20 << 20]), 0o644)]);
        let error = write(&big(), &image, &options(), &Tools::of_host()).unwrap_err();
        let FsReason::TooSmall { needed, .. } = error.reason else {
            panic!("{error}")
        };
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 0);
        let options = Options {
            size: needed,
            ..options()
        };
        write(&big(), &image, &options, &Tools::of_host()).unwrap();
    }

    #[test]
    fn refuses_what_it_cannot_write() {
        let image = Path::new("unmade");
        for (path, kind, says) in [
            ("pipe", Kind::Fifo, "is a named pipe"),
            ("a\"b", file("x"), "plain ASCII"),
            ("soft", Kind::Symlink("\n".into()), "plain ASCII"),
        ] {
            let error = write(
                &tree(vec![(path, kind, 0o644)]),
                image,
                &options(),
                &Tools::of_host(),
            )
            .unwrap_err();
            assert!(error.reason.to_string().contains(says), "{error:?}");
        }
    }
}
