//! Digests of the code behind each result that a store keeps, for the constants of
//! `cache::code`: what other code made is another result.

use std::io;
use std::path::Path;

use fs_err as fs;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

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
    Ok(())
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
