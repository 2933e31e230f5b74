//! What takes up the space: packages, directories, partitions.
//!
//! Sizes of files are as they are read; on the disk the root is compressed, to
//! some third of that.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use postern_contract::partitions::Role;
use postern_contract::paths;
use serde::Serialize;

use super::dpkg::{self, Origin};
use super::requests::{self, Request};
use super::weight::{Weight, largest_first};
use super::{Disk, InspectError, Root, failed, fill};
use crate::artifact::{Manifest, Package, Partition};
use crate::extent::Window;
use crate::tree::{Kind, ReadError, Tree, TreePath};

/// The name for files that are in no package and not of k3s or the agent.
pub const NO_PACKAGE: &str = "(in no package)";
/// How many of the largest an error names.
const MAX_NAMED: usize = 5;
/// How many of the largest files are listed.
const MAX_LARGEST_FILES: usize = 15;

/// What takes up the space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// The partitions, in disk order.
    pub partitions: Vec<Fill>,
    /// The packages that the profile asks for, and what only they bring.
    pub requests: Vec<Request>,
    /// The files of the root.
    #[serde(flatten)]
    pub weights: Weights,
}

/// How much of a partition is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fill {
    /// GPT name.
    pub label: String,
    /// Bytes of the partition.
    pub size: u64,
    /// Bytes in use; `None` without a disk.
    pub used: Option<u64>,
}

/// Packages, directories and files of a root, the largest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Weights {
    /// Bytes in all files.
    pub files: u64,
    /// Packages; with `k3s`, `k3s images`, `postern-agent`, and [`NO_PACKAGE`] for
    /// the rest.
    pub packages: Vec<Weight>,
    /// Directories up to two levels deep.
    pub directories: Vec<Weight>,
    /// The largest files.
    pub largest: Vec<Weight>,
}

/// Weighs files (hard links counted once) by dpkg's lists: a package and its
/// list each.
fn weigh(files: &BTreeMap<TreePath, u64>, lists: &[(String, String)]) -> Weights {
    let mut owners: BTreeMap<&TreePath, &str> = BTreeMap::new();
    for (package, list) in lists {
        for path in dpkg::paths(list).flatten().flatten() {
            // A file that several list, such as a diverted one, counts once.
            if let Some((path, _)) = files.get_key_value(&path) {
                owners.entry(path).or_insert(package);
            }
        }
    }
    let packages: BTreeSet<&str> = lists.iter().map(|(package, _)| package.as_str()).collect();
    let mut by_package: BTreeMap<String, u64> = BTreeMap::new();
    let mut by_directory: BTreeMap<String, u64> = BTreeMap::new();
    for (path, size) in files {
        let of_origin = || match dpkg::origin(path)? {
            Origin::CompiledFrom(source) => owners.get(&source).copied(),
            Origin::DpkgOf(package) => packages.get(package.as_str()).copied(),
        };
        let owner = owners.get(path).copied().or_else(of_origin);
        let owner = owner.or_else(|| gateway_component(path));
        *by_package
            .entry(owner.unwrap_or(NO_PACKAGE).to_owned())
            .or_default() += size;
        let directory = path.ancestors().take(2).last();
        let directory = directory.map_or("/".to_owned(), |d| d.to_string());
        *by_directory.entry(directory).or_default() += size;
    }
    let by_file = files.iter().map(|(path, size)| (path.to_string(), *size));
    let mut largest = largest_first(by_file.collect());
    largest.truncate(MAX_LARGEST_FILES);
    Weights {
        files: files.values().sum(),
        packages: largest_first(by_package),
        directories: largest_first(by_directory),
        largest,
    }
}

/// The component of a file that the gateway's layers add.
fn gateway_component(path: &TreePath) -> Option<&'static str> {
    let own = [
        (paths::K3S, "k3s"),
        (paths::K3S_IMAGES, "k3s images"),
        (paths::AGENT, "postern-agent"),
    ];
    let found = own.iter().find(|(own, _)| {
        let own = TreePath::new(own);
        own.is_ok_and(|own| *path == own || path.is_below(&own))
    });
    found.map(|(_, name)| *name)
}

/// Weighs a tree before it becomes an image.
///
/// # Errors
/// If one of dpkg's lists cannot be read.
pub fn of_tree(tree: &Tree) -> Result<Weights, ReadError> {
    let mut files = BTreeMap::new();
    let mut lists = Vec::new();
    let info = TreePath::new(dpkg::INFO).ok();
    let mut seen = BTreeSet::new();
    for (path, node) in tree.iter() {
        let Kind::File(content) = &node.entry.kind else {
            continue;
        };
        if seen.insert(content.identity()) {
            files.insert(path.clone(), content.size());
        }
        if path.parent() == info
            && let Some(package) = dpkg::package_of(path.name())
        {
            let list = tree.read_file(path.as_bytes())?;
            lists.push((package, String::from_utf8_lossy(&list).into_owned()));
        }
    }
    Ok(weigh(&files, &lists))
}

/// Weighs the root of a finished image.
fn of_root(root: &Root<'_>) -> io::Result<Weights> {
    let mut seen = BTreeSet::new();
    let files = root
        .iter()
        .filter(|(_, entry)| entry.size() > 0 && seen.insert(entry.inode))
        .map(|(path, entry)| (path.clone(), entry.size()))
        .collect();
    let mut lists = Vec::new();
    for (path, _) in root.children(dpkg::INFO) {
        if let Some(package) = dpkg::package_of(path.name()) {
            lists.push((package, root.text(&path.to_string())?));
        }
    }
    Ok(weigh(&files, &lists))
}

/// The sizes of a finished image; `file` is its root's.
pub(super) fn of_image(
    root: &Root<'_>,
    disk: Option<&Disk>,
    manifest: &Manifest,
    packages: &[Package],
    file: &Path,
) -> Result<Sizes, InspectError> {
    let weights = of_root(root).map_err(failed("read", file))?;
    let status = root.text(requests::STATUS).map_err(failed("read", file))?;
    let partitions = manifest.partitions.iter();
    let partitions = partitions.map(|partition| fill_of(partition, disk, manifest));
    Ok(Sizes {
        partitions: partitions.collect::<Result<_, _>>()?,
        requests: requests::requests(packages, &status, &weights.packages),
        weights,
    })
}

fn fill_of(
    partition: &Partition,
    disk: Option<&Disk>,
    manifest: &Manifest,
) -> Result<Fill, InspectError> {
    let used = match (partition.label.as_str(), disk) {
        ("root-a", _) => artifact_size(manifest, crate::artifact::Kind::Root),
        ("root-a-verity", _) => artifact_size(manifest, crate::artifact::Kind::Verity),
        (label, Some(disk)) => {
            let failed = failed("read", disk.path());
            let window = Window::new(disk.bytes(), partition.offset, partition.size);
            let window = window.map_err(&failed)?;
            let used = match label == Role::Esp.label() {
                true => fill::fat(&window),
                false => fill::ext4(&window),
            };
            Some(used.map_err(failed)?)
        }
        (_, None) => None,
    };
    Ok(Fill {
        label: partition.label.clone(),
        size: partition.size,
        used,
    })
}

fn artifact_size(manifest: &Manifest, kind: crate::artifact::Kind) -> Option<u64> {
    let artifact = manifest.artifacts.iter().find(|a| a.kind == kind);
    artifact.map(|a| a.size)
}

impl Weights {
    /// The largest packages and directories, for an error: indented lines.
    pub fn top(&self) -> String {
        let mut text = String::new();
        for (title, weights) in [
            ("largest packages", &self.packages),
            ("largest directories", &self.directories),
            ("largest files", &self.largest),
        ] {
            let shown = weights.iter().take(MAX_NAMED);
            let shown: Vec<_> = shown
                .map(|w| format!("{} {}", w.name, crate::report::bytes(w.size)))
                .collect();
            text.push_str(&format!("\n  {title}: {}", shown.join(", ")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::root::tests::with_root;
    use super::*;
    use crate::layer::LayerBuilder;
    use crate::tree::{MergePolicy, merge};

    fn fill(layer: &mut LayerBuilder) {
        let list = |files: &str| format!("/.\n/usr\n{files}\n");
        let files = [
            ("/usr/bin/a", vec![1; 3000]),
            ("/usr/lib/b/c/d", vec![2; 2000]),
            ("/usr/lib/shared", vec![3; 700]),
            ("/usr/lib/b/c/d.py", vec![6; 20]),
            ("/usr/lib/b/c/__pycache__/d.cpython-313.pyc", vec![7; 40]),
            ("/usr/lib/b/c/__pycache__/mine.cpython-313.pyc", vec![7; 2]),
            ("/opt/mine", vec![4; 500]),
            ("/usr/lib/postern/k3s-images/i.tar", vec![8; 900]),
            ("/top", vec![5; 10]),
            ("/var/lib/dpkg/info/a.list", list("/bin/a").into_bytes()),
            (
                "/var/lib/dpkg/info/b:amd64.list",
                list("/usr/lib/b/c/d\n/usr/lib/b/c/d.py\n/usr/lib/shared").into_bytes(),
            ),
            (
                "/var/lib/dpkg/info/c.list",
                list("/usr/lib/shared\n/gone").into_bytes(),
            ),
        ];
        for (path, bytes) in files {
            layer.add_file(path, 0o644, bytes).unwrap();
        }
    }

    #[test]
    fn trees_and_images_weigh_the_same() {
        let of_image = with_root(fill, |root| of_root(root).unwrap());
        let mut layer = LayerBuilder::new("test", 9);
        fill(&mut layer);
        let site = layer.finish();
        let tree = merge([(&site.layer, &MergePolicy::AddOnly)], 9).unwrap();
        assert_eq!(of_tree(&tree).unwrap(), of_image);
        let shown = |weights: &[Weight]| {
            let shown: Vec<_> = weights
                .iter()
                .map(|w| format!("{} {}", w.name, w.size))
                .collect();
            shown.join(", ")
        };
        insta::assert_snapshot!(
            shown(&of_image.packages),
            @"a 3015, b 2817, k3s images 900, (in no package) 512, c 30"
        );
        insta::assert_snapshot!(
            shown(&of_image.directories),
            @"/usr/lib 3662, /usr/bin 3000, /opt 500, /var/lib 102, / 10"
        );
        assert_eq!(of_image.files, 7274);
        insta::assert_snapshot!(of_image.top(), @r"
          largest packages: a 2.9 KiB, b 2.8 KiB, k3s images 900 B, (in no package) 512 B, c 30 B
          largest directories: /usr/lib 3.6 KiB, /usr/bin 2.9 KiB, /opt 500 B, /var/lib 102 B, / 10 B
          largest files: /usr/bin/a 2.9 KiB, /usr/lib/b/c/d 2.0 KiB, /usr/lib/postern/k3s-images/i.tar 900 B, /usr/lib/shared 700 B, /opt/mine 500 B
        ");
    }
}
