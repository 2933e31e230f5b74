//! The package of a file, from dpkg's own lists.

use crate::tree::TreePath;

/// Directory with dpkg's list of each package's files.
pub(super) const INFO: &str = "/var/lib/dpkg/info";

/// Directories that are links into `/usr`, but not yet in every list (Debian
/// policy, "merged /usr").
const MERGED: [&str; 6] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// The package whose files a file in [`INFO`] lists: `libc6` for
/// `libc6:amd64.list`.
pub(super) fn package_of(file_name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(file_name).ok()?.strip_suffix(".list")?;
    Some(name.split(':').next().unwrap_or(name).to_owned())
}

/// The paths in a list, each as dpkg wrote it and as it is in a merged `/usr`.
pub(super) fn paths(list: &str) -> impl Iterator<Item = [Option<TreePath>; 2]> + '_ {
    list.lines().map(|line| {
        let path = TreePath::new(line).ok();
        let first = line.trim_start_matches('/').split('/').next();
        let merged = first.is_some_and(|first| MERGED.contains(&first));
        let merged = merged.then(|| TreePath::new(format!("/usr{line}")).ok());
        [path, merged.flatten()]
    })
}

/// The origin of a file that no package lists.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Python compiled this file.
    CompiledFrom(TreePath),
    /// dpkg wrote it about this package.
    DpkgOf(String),
}

/// The origin of a file that no package lists, if its name shows it.
pub(super) fn origin(path: &TreePath) -> Option<Origin> {
    let (dir, name) = (path.parent()?, std::str::from_utf8(path.name()).ok()?);
    if name.ends_with(".pyc") && dir.name() == b"__pycache__" {
        let module = name.split('.').next()?;
        let source = dir.parent()?.join(format!("{module}.py")).ok()?;
        return Some(Origin::CompiledFrom(source));
    }
    if dir.as_bytes() == INFO.trim_start_matches('/').as_bytes() {
        let (package, _) = name.rsplit_once('.')?;
        let package = package.split(':').next().unwrap_or(package);
        return Some(Origin::DpkgOf(package.to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_lists() {
        assert_eq!(package_of(b"libc6:amd64.list").unwrap(), "libc6");
        assert_eq!(package_of(b"base-files.list").unwrap(), "base-files");
        assert_eq!(package_of(b"base-files.md5sums"), None);
        let origin_of = |path: &str| origin(&TreePath::new(path).unwrap());
        let source = Origin::CompiledFrom(TreePath::new("/a/x.py").unwrap());
        assert_eq!(origin_of("/a/__pycache__/x.cpython-313.pyc"), Some(source));
        let about = Some(Origin::DpkgOf("libc6".to_owned()));
        assert_eq!(origin_of("/var/lib/dpkg/info/libc6:amd64.symbols"), about);
        assert_eq!(origin_of("/var/lib/dpkg/status"), None);
        assert_eq!(origin_of("/x.pyc"), None);
        let shown: Vec<_> = paths("/.\n/lib\n/lib/x\n/etc/y\n")
            .map(|p| format!("{p:?}"))
            .collect();
        assert_eq!(
            shown,
            [
                "[None, None]",
                "[Some(/lib), Some(/usr/lib)]",
                "[Some(/lib/x), Some(/usr/lib/x)]",
                "[Some(/etc/y), None]",
            ]
        );
    }
}
