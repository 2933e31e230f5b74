//! Removes what tells when, where or in which order packages were installed,
//! and what no two machines may share.

use std::io;
use std::path::Path;

use fs_err as fs;

/// Files and directories that are removed.
const REMOVED: [&str; 24] = [
    "etc/.pwd.lock",
    "etc/group-",
    "etc/gshadow-",
    "etc/passwd-",
    "etc/shadow-",
    "etc/subgid-",
    "etc/subuid-",
    "etc/machine-info",
    "etc/resolv.conf.dpkg-new",
    "root/.cache",
    "var/cache/debconf/config.dat-old",
    "var/cache/debconf/passwords.dat-old",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/available",
    "var/lib/dpkg/available-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/statoverride-old",
    "var/lib/systemd/catalog/database",
    "var/lib/systemd/credential.secret",
    "var/lib/systemd/random-seed",
    "var/log/journal",
];

/// Directories that are emptied.
const EMPTIED: [&str; 7] = [
    "run",
    "tmp",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/lib/cloud",
    "var/tmp",
    "var/cache/man",
];

/// Scrubs the installed root.
pub fn scrub(root: &Path) -> io::Result<()> {
    for path in REMOVED {
        remove(&root.join(path))?;
    }
    for dir in EMPTIED {
        for entry in entries(&root.join(dir))? {
            remove(&entry)?;
        }
    }
    logs(&root.join("var/log"))?;
    host_keys(&root.join("etc/ssh"))?;
    // Empty, not absent: systemd then fills it in without treating every boot
    // as a first boot (machine-id(5), "First Boot Semantics").
    fs::write(root.join("etc/machine-id"), "")
}

/// Removes logs; the directories that packages made for them stay.
fn logs(dir: &Path) -> io::Result<()> {
    for path in entries(dir)? {
        if path.is_dir() && !path.is_symlink() {
            logs(&path)?;
        } else {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Every machine makes its own at first boot.
fn host_keys(dir: &Path) -> io::Result<()> {
    for path in entries(dir)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("ssh_host_") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn entries(dir: &Path) -> io::Result<Vec<std::path::PathBuf>> {
    if !dir.is_dir() || dir.is_symlink() {
        return Ok(Vec::new());
    }
    fs::read_dir(dir)?.map(|e| e.map(|e| e.path())).collect()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_logs_and_identity_go_and_the_rest_stays() {
        let root = tempfile::tempdir().unwrap();
        let at = |p: &str| root.path().join(p);
        for dir in [
            "etc/ssh",
            "var/log/apt",
            "var/cache/apt/archives",
            "tmp/x",
            "usr/bin",
        ] {
            fs::create_dir_all(at(dir)).unwrap();
        }
        let files = [
            "etc/ssh/ssh_host_rsa_key",
            "etc/ssh/sshd_config",
            "etc/machine-id",
            "var/log/apt/term.log",
            "var/cache/apt/archives/lock",
            "usr/bin/true",
        ];
        for file in files {
            fs::write(at(file), "x").unwrap();
        }
        scrub(root.path()).unwrap();
        assert!(at("etc/ssh/sshd_config").exists() && at("usr/bin/true").exists());
        assert!(at("var/log/apt").is_dir() && at("var/cache/apt").is_dir());
        for gone in ["etc/ssh/ssh_host_rsa_key", "var/log/apt/term.log", "tmp/x"] {
            assert!(!at(gone).exists(), "{gone}");
        }
        assert!(!at("var/cache/apt/archives").exists());
        assert_eq!(fs::read(at("etc/machine-id")).unwrap(), b"");
    }
}
