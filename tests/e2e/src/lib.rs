//! What the end-to-end tests share: the built programs, the demo image, and a
//! look into a machine's disk.

pub mod ubuntu;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::Context;
use fs_err as fs;
use postern::artifact::Artifacts;
use postern_contract::host::Command;

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A program that `just build` made; it lies one directory above this test's own.
///
/// # Panics
/// If it is not built.
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a test is a program");
    let path = own
        .parent()
        .and_then(Path::parent)
        .map(|dir| dir.join(name));
    let path = path.expect("a test lies in target/…/deps");
    assert!(
        path.exists(),
        "{} is not built: run `just build`",
        path.display()
    );
    path
}

/// The demo image, built once and then found built.
///
/// # Panics
/// If it cannot be built.
pub fn demo() -> &'static Path {
    static DEMO: OnceLock<PathBuf> = OnceLock::new();
    DEMO.get_or_init(|| {
        let out = program("postern").with_file_name("e2e-dist");
        build(&["--formats", "ddgz,raw", "--out", &out.to_string_lossy()]).expect("the demo image")
    })
}

/// Runs `postern build profiles/demo.yaml` with more arguments; returns the
/// directory it names.
///
/// # Errors
/// If the build fails.
pub fn build(args: &[&str]) -> anyhow::Result<PathBuf> {
    let built = Command::new(program("postern"))
        .with_environment()
        .cwd(repository())
        .args(["build", "profiles/demo.yaml", "--progress", "plain"])
        .args(args)
        .run()?;
    let dir = String::from_utf8(built)?;
    Ok(repository().join(dir.trim()))
}

/// A file of the ext4 partition named `label` on the raw disk `disk`.
///
/// # Errors
/// If the disk has no such partition, or it has no such file.
pub fn read_from_disk(disk: &Path, label: &str, path: &str) -> anyhow::Result<Vec<u8>> {
    let table = postern::disk::inspect(&mut fs::File::open(disk)?)?;
    let partition = table.partitions.iter().find(|p| p.label == label);
    let partition = partition.with_context(|| format!("the disk has no partition {label}"))?;
    let image = format!("{}?offset={}", disk.display(), partition.offset);
    let output = Command::new("debugfs")
        .args(["-R", &format!("cat {path}"), &image])
        .run_unchecked()?;
    let message = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(!message.contains("File not found"), "{label} has no {path}");
    Ok(output.stdout)
}

/// The image's root, unpacked into `dir`.
///
/// # Errors
/// If `unsquashfs` fails.
pub fn unpack_root(image: &Artifacts, dir: &Path) -> anyhow::Result<PathBuf> {
    let (_, squashfs) = image
        .get(postern::artifact::Kind::Root)
        .context("the image has a root")?;
    let root = dir.join("root");
    // Owners and devices are not needed, so that no root rights are.
    let unpack = Command::new("unsquashfs").args(["-no-progress", "-quiet", "-no-xattrs", "-d"]);
    unpack.arg(&root).arg(squashfs).run()?;
    Ok(root)
}

/// The store that `postern` uses when nobody names one.
///
/// # Panics
/// If there is no home directory.
#[expect(
    clippy::disallowed_methods,
    reason = "what the tests build with by default"
)]
pub fn everyday_store() -> PathBuf {
    let var = |name| std::env::var(name).map(PathBuf::from);
    let cache = var("XDG_CACHE_HOME").or_else(|_| var("HOME").map(|home| home.join(".cache")));
    var("POSTERN_STORE").unwrap_or_else(|_| cache.expect("HOME is set").join("postern"))
}

/// A directory as `postern build` leaves it, with a disk of the four bytes
/// `test`: the image `edge` 1.2. Gives its path as text.
///
/// # Panics
/// If it cannot be written.
pub fn an_image(dir: &Path) -> String {
    fs::write(dir.join("disk.raw.gz"), b"test").expect("the disk");
    let sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let zeros = "0".repeat(64);
    let manifest = format!(
        r#"{{"schema":1,"name":"edge","version":"1.2","arch":"amd64","distro":"debian",
        "release":"trixie","root_hash":"{zeros}","artifacts":[{{"kind":"ddgz",
        "path":"disk.raw.gz","size":4,"sha256":"{sha256}","uncompressed_size":4}}],
        "partitions":[],"lock_sha256":"{zeros}","tools":{{}},"source_date_epoch":0}}"#
    );
    fs::write(dir.join("manifest.json"), manifest).expect("the manifest");
    dir.to_string_lossy().into_owned()
}
