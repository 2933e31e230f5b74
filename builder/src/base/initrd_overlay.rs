//! `overlays/initrd`, compiled in: these files are one with the initrd's
//! recipe and the agent, not something a profile chooses.

use std::path::Path;

use fs_err as fs;
use fs_err::os::unix::fs::symlink;

/// Path in the initrd, mode, content.
pub const FILES: [(&str, u32, &str); 8] = [
    (
        "usr/lib/postern/mounts",
        0o755,
        include_str!("../../../overlays/initrd/usr/lib/postern/mounts"),
    ),
    (
        "usr/lib/postern/refuse",
        0o755,
        include_str!("../../../overlays/initrd/usr/lib/postern/refuse"),
    ),
    (
        "usr/lib/systemd/system/initrd-switch-root.service.d/10-postern.conf",
        0o644,
        include_str!(
            "../../../overlays/initrd/usr/lib/systemd/system/initrd-switch-root.service.d/10-postern.conf"
        ),
    ),
    (
        "usr/lib/systemd/system/postern-mounts.service",
        0o644,
        include_str!("../../../overlays/initrd/usr/lib/systemd/system/postern-mounts.service"),
    ),
    (
        "usr/lib/systemd/system/postern-refuse.service",
        0o644,
        include_str!("../../../overlays/initrd/usr/lib/systemd/system/postern-refuse.service"),
    ),
    (
        "usr/lib/systemd/system/sysroot.mount.d/10-postern.conf",
        0o644,
        include_str!(
            "../../../overlays/initrd/usr/lib/systemd/system/sysroot.mount.d/10-postern.conf"
        ),
    ),
    (
        "usr/lib/systemd/system/systemd-repart.service.d/10-postern.conf",
        0o644,
        include_str!(
            "../../../overlays/initrd/usr/lib/systemd/system/systemd-repart.service.d/10-postern.conf"
        ),
    ),
    (
        "usr/lib/systemd/system/systemd-veritysetup@root.service.d/10-postern.conf",
        0o644,
        include_str!(
            "../../../overlays/initrd/usr/lib/systemd/system/systemd-veritysetup@root.service.d/10-postern.conf"
        ),
    ),
];
/// Path in the initrd, target.
pub const LINKS: [(&str, &str); 1] = [(
    "usr/lib/systemd/system/initrd-fs.target.requires/postern-mounts.service",
    "../postern-mounts.service",
)];

/// Lays them into the directory `root`.
pub fn write(root: &Path) -> std::io::Result<()> {
    let place = |path: &str| {
        let path = root.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        std::io::Result::Ok(path)
    };
    for (path, mode, content) in FILES {
        let path = place(path)?;
        fs::write(&path, content)?;
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
    }
    for (path, target) in LINKS {
        symlink(target, place(path)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn nothing_of_the_directory_is_left_out() {
        let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../overlays/initrd");
        let found: BTreeSet<_> = walkdir::WalkDir::new(dir)
            .into_iter()
            .map(Result::unwrap)
            .filter(|e| !e.file_type().is_dir())
            .map(|e| e.path().strip_prefix(dir).unwrap().display().to_string())
            .collect();
        let files = super::FILES.iter().map(|(path, ..)| path.to_string());
        let links = super::LINKS.iter().map(|(path, _)| path.to_string());
        assert_eq!(found, files.chain(links).collect());
    }
}
