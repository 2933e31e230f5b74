//! Which package a file is from: dpkg's own lists.

use crate::tree::TreePath;

/// Where dpkg keeps the list of each package's files.
pub(super) const INFO: &str = "/var/lib/dpkg/info";

/// Directories that are links into `/usr` by now, but not yet in every list
/// (Debian policy, "merged /usr").
const MERGED: [&str; 6] = ["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// The package that a file in [`INFO`] lists the files of: `libc6:amd64.list`
/// is of `libc6`.
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

/// A file that a package's scripts made, or that dpkg keeps about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// Python's compiled form of this file.
    From(TreePath),
    /// dpkg's, about this package.
    By(String),
}

/// What a file that no package lists was made for, if its name tells.
pub(super) fn made_for(path: &TreePath) -> Option<Made> {
    let (dir, name) = (path.parent()?, std::str::from_utf8(path.name()).ok()?);
    if name.ends_with(".pyc") && dir.name() == b"__pycache__" {
        let module = name.split('.').next()?;
        let source = dir.parent()?.join(format!("{module}.py")).ok()?;
        return Some(Made::From(source));
    }
    if dir.as_bytes() == INFO.trim_start_matches('/').as_bytes() {
        let (package, _) = name.rsplit_once('.')?;
        let package = package.split(':').next().unwrap_or(package);
        return Some(Made::By(package.to_owned()));
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
        let made = |path: &str| made_for(&TreePath::new(path).unwrap());
        let source = Made::From(TreePath::new("/a/x.py").unwrap());
        assert_eq!(made("/a/__pycache__/x.cpython-313.pyc"), Some(source));
        let about = Some(Made::By("libc6".to_owned()));
        assert_eq!(made("/var/lib/dpkg/info/libc6:amd64.symbols"), about);
        assert_eq!(made("/var/lib/dpkg/status"), None);
        assert_eq!(made("/x.pyc"), None);
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
