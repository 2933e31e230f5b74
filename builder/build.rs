//! What of the repository is in the program: the tables of `builtin`, and for the
//! constants of `cache::code` digests of the code behind each result that a store keeps,
//! because what other code made is another result.

use std::fmt::Write;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

/// The overlays that are compiled in, and where the base profiles are.
const OVERLAYS: [&str; 2] = ["appliance", "initrd"];
const BASES: &str = "../profiles/base";

/// What decides the bytes of a result, as constant and paths beside this file.
const CODE: [(&str, &[&str]); 6] = [
    ("TOOLS", &["src/tools.rs", "src/source/deb.rs", "src/tree"]),
    (
        "BASE",
        &[
            "src/base/capture.rs",
            "src/base/install.rs",
            "src/base/jail.rs",
            "src/base/make.rs",
            "src/base/mounts.rs",
            "src/base/order.rs",
            "src/base/plan.rs",
            "src/base/sandbox.rs",
            "src/base/scrub.rs",
            "src/source/deb.rs",
            "src/source/deb822.rs",
            "src/tree",
        ],
    ),
    ("IMAGES", &["src/artifact/sbom/bundle.rs"]),
    (
        "INITRD",
        &[
            "src/base",
            "src/builtin.rs",
            "src/initramfs.rs",
            "src/tree",
            "../overlays/initrd",
        ],
    ),
    (
        "ROOT",
        &[
            "src/build/apparmor.rs",
            "src/build/shipped.rs",
            "src/fs/mod.rs",
            "src/fs/squashfs.rs",
            "src/tree",
        ],
    ),
    ("VERITY", &["src/extent.rs", "src/verity"]),
];

fn main() -> io::Result<()> {
    for (name, paths) in CODE {
        let digest = digest(paths)?;
        println!("cargo::rustc-env=POSTERN_CODE_{name}={digest}");
        println!(
            "cargo::rustc-env=POSTERN_CODE_{name}_PATHS={}",
            paths.join(" ")
        );
    }
    for overlay in OVERLAYS {
        generate(overlay, entries(&Path::new("../overlays").join(overlay))?)?;
    }
    generate("profiles", bases()?)
}

/// Writes a list, which `src/builtin.rs` includes.
fn generate(name: &str, list: String) -> io::Result<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "cargo says this way where generated code belongs"
    )]
    let out = std::env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(
        PathBuf::from(out).join(format!("{name}.rs")),
        format!("&[{list}]"),
    )
}

/// An `Entry` for every file and symbolic link of the overlay at `dir`.
fn entries(dir: &Path) -> io::Result<String> {
    println!("cargo::rerun-if-changed={}", dir.display());
    let mut list = String::new();
    for entry in WalkDir::new(dir).sort_by_file_name() {
        let entry = entry.map_err(io::Error::other)?;
        let (path, kind) = (entry.path(), entry.file_type());
        let content = if kind.is_symlink() {
            format!("Content::Symlink({:?})", fs::read_link(path)?)
        } else if kind.is_file() {
            // Group and world bits follow the umask of whoever checked out.
            let executable = fs::metadata(path)?.permissions().mode() & 0o100 != 0;
            let bytes = included("include_bytes", path);
            format!("Content::File {{ executable: {executable}, bytes: {bytes} }}")
        } else {
            continue;
        };
        let inside = path.strip_prefix(dir).map_err(io::Error::other)?;
        write!(list, "Entry {{ path: {inside:?}, content: {content} }},")
            .map_err(io::Error::other)?;
    }
    Ok(list)
}

/// A `BaseProfile` for every one in the repository.
fn bases() -> io::Result<String> {
    println!("cargo::rerun-if-changed={BASES}");
    let mut paths = fs::read_dir(BASES)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "yaml"));
    paths.sort();
    let base = |path: &PathBuf| {
        let name = path.file_stem().unwrap_or_default();
        let text = included("include_str", path);
        format!("BaseProfile {{ name: {name:?}, text: {text} }},")
    };
    Ok(paths.iter().map(base).collect())
}

/// The content of `path`, which is relative to this file's directory.
fn included(how: &str, path: &Path) -> String {
    let path = format!("/{}", path.display());
    format!("{how}!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {path:?}))")
}

/// Of every file at or below `paths`, tests left out, with its name.
fn digest(paths: &[&str]) -> io::Result<String> {
    let mut digest = Sha256::new();
    for path in paths {
        println!("cargo::rerun-if-changed={path}");
        for entry in WalkDir::new(path).sort_by_file_name() {
            let entry = entry.map_err(io::Error::other)?;
            if entry.file_type().is_file() && !is_test(entry.path()) {
                let text = fs::read(entry.path())?;
                digest.update(format!("{} {}\n", entry.path().display(), text.len()));
                digest.update(text);
            }
        }
    }
    Ok(digest
        .finalize()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect())
}

fn is_test(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem.ends_with("_tests") || path.components().any(|part| part.as_os_str() == "tests")
}
