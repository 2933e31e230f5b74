//! Site layers: what makes an appliance of a distribution, one reason each.
//!
//! Every layer is a pure function of typed inputs and takes milliseconds: no
//! namespace, no chroot, no program.
//!
//! - [`agent`]: the agent and what the image tells it
//! - [`k3s`]: Kubernetes and its images
//! - [`proxy`]: the way out
//! - [`trust`]: private CAs
//! - [`users`]: who may log in
//! - [`overlay`]: directories laid over the root, with [`template`]s in them
//! - [`os_release`]: which image and version it is

pub mod agent;
pub mod k3s;
pub mod os_release;
pub mod overlay;
pub mod proxy;
pub mod template;
pub mod trust;
pub mod users;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use postern_contract::problem::Problems;

use crate::tree::{
    Content, Entry, Kind, Layer, MergePolicy, PathError, Printable, ReadError, TreePath,
};

/// A layer, and what it may replace.
#[derive(Clone, Debug)]
pub struct SiteLayer {
    /// The changes.
    pub layer: Layer,
    /// What it replaces of the layers below.
    pub policy: MergePolicy,
}

/// Why a layer cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A path that cannot be.
    #[error("layer {layer} cannot have {path}")]
    Path {
        /// The layer.
        layer: String,
        /// The path as given.
        path: String,
        /// What is wrong with it.
        source: PathError,
    },
    /// The same path twice.
    #[error("layer {layer} has {path} twice")]
    Twice {
        /// The layer.
        layer: String,
        /// The path.
        path: TreePath,
    },
    /// A file on this machine.
    #[error("making layer {layer}")]
    Io {
        /// The layer.
        layer: String,
        /// The cause; it names the file.
        source: io::Error,
    },
    /// A file of the base.
    #[error("making layer {layer} from the base")]
    Base {
        /// The layer.
        layer: String,
        /// What cannot be read.
        source: ReadError,
    },
    /// Inputs that cannot be used.
    #[error("making layer {layer}: {what}\n  help: {help}")]
    Input {
        /// The layer.
        layer: String,
        /// What is wrong.
        what: String,
        /// What to do.
        help: String,
    },
    /// Mistakes in files that a person wrote.
    #[error(transparent)]
    Problems(#[from] Problems),
}

/// Builds a layer entry by entry; everything is root's and has one time.
#[derive(Clone, Debug)]
pub struct LayerBuilder {
    layer: Layer,
    replaces: BTreeSet<TreePath>,
    epoch: u64,
}

impl LayerBuilder {
    /// An empty layer whose entries all have the time `epoch`.
    pub fn new(name: &str, epoch: u64) -> Self {
        let layer = Layer {
            name: name.to_owned(),
            ..Layer::default()
        };
        Self {
            layer,
            replaces: BTreeSet::new(),
            epoch,
        }
    }

    /// Adds a file with these bytes.
    ///
    /// # Errors
    /// If the path cannot be or is there already.
    pub fn add_file(
        &mut self,
        path: impl AsRef<[u8]>,
        mode: u32,
        bytes: impl Into<Vec<u8>>,
    ) -> Result<(), LayerError> {
        self.add(path, Kind::File(Content::from_bytes(bytes)), mode)
    }

    /// Adds a file with the bytes of `host`, which are read when the tree is written.
    ///
    /// # Errors
    /// If the path cannot be or is there already, or `host` cannot be opened.
    pub fn add_file_from(
        &mut self,
        path: impl AsRef<[u8]>,
        mode: u32,
        host: &Path,
    ) -> Result<(), LayerError> {
        let content = Content::from_file(host).map_err(|source| self.io(source))?;
        self.add(path, Kind::File(content), mode)
    }

    /// Adds a directory: only where its mode matters, the others come by themselves.
    ///
    /// # Errors
    /// If the path cannot be or is there already.
    pub fn add_dir(&mut self, path: impl AsRef<[u8]>, mode: u32) -> Result<(), LayerError> {
        self.add(path, Kind::Dir, mode)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// If the path cannot be or is there already.
    pub fn add_symlink(
        &mut self,
        path: impl AsRef<[u8]>,
        target: impl AsRef<[u8]>,
    ) -> Result<(), LayerError> {
        self.add(path, Kind::Symlink(target.as_ref().to_owned()), 0o777)
    }

    /// Removes `path`, and all below it, from the layers below.
    ///
    /// # Errors
    /// If the path cannot be.
    pub fn whiteout(&mut self, path: impl AsRef<[u8]>) -> Result<(), LayerError> {
        let path = self.path(path)?;
        self.layer.whiteouts.insert(path);
        Ok(())
    }

    /// Lets the layer replace `path` of the layers below.
    ///
    /// # Errors
    /// If the path cannot be.
    pub fn may_replace(&mut self, path: impl AsRef<[u8]>) -> Result<(), LayerError> {
        let path = self.path(path)?;
        self.replaces.insert(path);
        Ok(())
    }

    /// Sets the group of what the layer has at `path`.
    ///
    /// # Errors
    /// If the path cannot be. Nothing happens to one that is not there.
    pub fn set_group(&mut self, path: impl AsRef<[u8]>, gid: u32) -> Result<(), LayerError> {
        let path = self.path(path)?;
        if let Some(entry) = self.layer.entries.get_mut(&path) {
            entry.gid = gid;
        }
        Ok(())
    }

    /// Whether the layer has an entry at `path`.
    pub fn has(&self, path: &TreePath) -> bool {
        self.layer.entries.contains_key(path)
    }

    /// The layer.
    pub fn finish(self) -> SiteLayer {
        SiteLayer {
            layer: self.layer,
            policy: MergePolicy::MayReplace(self.replaces),
        }
    }

    fn add(&mut self, path: impl AsRef<[u8]>, kind: Kind, mode: u32) -> Result<(), LayerError> {
        let path = self.path(path)?;
        if self.layer.entries.contains_key(&path) {
            let layer = self.layer.name.clone();
            return Err(LayerError::Twice { layer, path });
        }
        let entry = Entry::of_root(kind, mode, self.epoch);
        self.layer.entries.insert(path, entry);
        Ok(())
    }

    fn path(&self, path: impl AsRef<[u8]>) -> Result<TreePath, LayerError> {
        TreePath::new(path.as_ref()).map_err(|source| LayerError::Path {
            layer: self.layer.name.clone(),
            path: Printable(path.as_ref()).to_string(),
            source,
        })
    }

    fn io(&self, source: io::Error) -> LayerError {
        let layer = self.layer.name.clone();
        LayerError::Io { layer, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::merge;

    #[test]
    fn the_order_of_adding_does_not_show() {
        let tar = |names: [&str; 3]| {
            let mut builder = LayerBuilder::new("site", 7);
            for name in names {
                builder.add_file(name, 0o644, name).unwrap();
            }
            builder.whiteout("etc/motd").unwrap();
            let mut tar = Vec::new();
            let site = builder.finish();
            site.layer.write_tar(&mut tar).unwrap();
            tar
        };
        assert!(tar(["b", "/a", "c/d"]) == tar(["c/d", "b", "/a"]));
    }

    #[test]
    fn mistakes_name_the_layer() {
        let mut builder = LayerBuilder::new("site", 0);
        builder.add_dir("a", 0o755).unwrap();
        let twice = builder.add_symlink("/a", "b").unwrap_err();
        assert_eq!(twice.to_string(), "layer site has /a twice");
        let outside = builder.add_file("../x", 0o644, "").unwrap_err();
        assert!(outside.to_string().contains("site cannot have ../x"));
        let missing = builder.add_file_from("x", 0o644, Path::new("/no/file"));
        let missing = format!("{:#}", anyhow::Error::from(missing.unwrap_err()));
        assert!(missing.contains("/no/file"), "{missing}");
    }

    #[test]
    fn a_layer_may_replace_what_it_says_only() {
        let mut base = LayerBuilder::new("base", 0);
        base.add_file("etc/a", 0o644, "1").unwrap();
        base.add_file("etc/b", 0o644, "1").unwrap();
        let mut site = base.clone();
        site.may_replace("etc/a").unwrap();
        let base = base.finish();
        let site = site.finish();
        let layers = [&base, &site].map(|l| (&l.layer, &l.policy));
        let error = merge(layers, 0).unwrap_err();
        assert_eq!(error.0.len(), 1);
        assert_eq!(error.0[0].path.to_string(), "/etc/b");
    }
}
