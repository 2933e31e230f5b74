//! Network namespaces of pods: where they are kept, and going into one.
//!
//! containerd makes the namespace of each pod with an own network and keeps it
//! as a file `cni-…` under `/run/netns`, whatever the network plugin
//! (containerd, `pkg/netns`).

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use fs_err as fs;
use nix::ifaddrs::getifaddrs;
use nix::sched::{CloneFlags, setns};

use super::network::ip;

/// Where namespaces are kept (ip-netns(8)).
pub const FOLDER: &str = "/run/netns";

/// The namespaces of pods in `folder`, by name; none if there is no such folder.
///
/// # Errors
/// If the folder cannot be read.
pub fn of_pods(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("cni-") {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Moves the calling thread into the namespace kept at `path`: to be called
/// before there are other threads. Only the network is another then.
///
/// # Errors
/// If it is gone, or this process may not.
pub fn enter(path: &Path) -> io::Result<()> {
    let file = fs::File::open(path)?;
    setns(file.file(), CloneFlags::CLONE_NEWNET)?;
    Ok(())
}

/// Every address of every interface that this thread sees.
///
/// # Errors
/// If the system does not list them.
pub fn addresses() -> io::Result<Vec<IpAddr>> {
    let interfaces = getifaddrs()?;
    Ok(interfaces.filter_map(|i| ip(i.address.as_ref()?)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_that_containerd_gives() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["cni-b", "cni-a", "vpn", "xcni-1"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let found = of_pods(dir.path()).unwrap();
        assert_eq!(found, ["cni-a", "cni-b"].map(|name| dir.path().join(name)));
        assert_eq!(
            of_pods(&dir.path().join("absent")).unwrap(),
            [""; 0].map(PathBuf::from)
        );
    }

    #[test]
    fn what_is_no_namespace_is_not_entered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cni-a");
        assert!(enter(&path).is_err());
        fs::write(&path, "").unwrap();
        assert!(enter(&path).is_err());
    }
}
