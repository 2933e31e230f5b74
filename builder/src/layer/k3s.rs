//! k3s: one binary under four names, and the images it starts without a registry.

use std::path::Path;

use postern_contract::digest::Digest;
use postern_contract::paths;

use super::{Inputs, LayerBuilder, LayerError, SiteLayer};

const NAME: &str = "k3s";
/// What k3s is when called by these names (k3s, `cmd/k3s/main.go`).
const COMMANDS: [&str; 3] = ["kubectl", "crictl", "ctr"];

/// A download in the store, its digest checked.
#[derive(Clone, Copy, Debug)]
pub struct StoredFile<'a> {
    /// Where it is on this machine.
    pub path: &'a Path,
    /// Of its bytes, for which it stands.
    pub sha256: Digest,
}

/// The air-gap image bundle.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    /// The bundle.
    pub bundle: StoredFile<'a>,
    /// Its file name; k3s tells the compression by the extension.
    pub file_name: &'a str,
}

/// The layer of the static `k3s` binary and, if any, its images.
///
/// # Errors
/// If a file cannot be opened or the bundle's name is not one.
pub fn layer(
    binary: StoredFile<'_>,
    images: Option<Images<'_>>,
    epoch: u64,
) -> Result<SiteLayer, LayerError> {
    let mut inputs = Inputs::new(NAME, epoch).with("binary", binary.sha256.to_string());
    let mut layer = LayerBuilder::new(NAME, epoch);
    layer.add_file_from(paths::K3S, 0o755, binary.path)?;
    let dir = paths::K3S.strip_suffix("k3s").unwrap_or_default();
    for command in COMMANDS {
        layer.add_symlink(format!("{dir}{command}"), "k3s")?;
    }
    if let Some(Images { bundle, file_name }) = images {
        if file_name.contains('/') {
            return Err(LayerError::Input {
                layer: NAME.to_owned(),
                what: format!("`{file_name}` is not a file name"),
                help: "name the image bundle as k3s' release does".to_owned(),
            });
        }
        inputs.add("images", bundle.sha256.to_string());
        inputs.add("images name", file_name);
        let path = format!("{}/{file_name}", paths::K3S_IMAGES);
        layer.add_file_from(path, 0o644, bundle.path)?;
    }
    Ok(layer.finish(inputs))
}

#[cfg(test)]
#[path = "k3s_in_place_tests.rs"]
mod in_place;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{MergePolicy, merge};

    #[test]
    fn installs_k3s_under_all_its_names() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), "k3s").unwrap();
        let fetched = |digit: &str| StoredFile {
            path: file.path(),
            sha256: digit.repeat(64).parse().unwrap(),
        };
        let images = Images {
            bundle: fetched("2"),
            file_name: "k3s-airgap-images-amd64.tar.zst",
        };
        let site = layer(fetched("1"), Some(images), 9).unwrap();
        let tree = merge([(&site.layer, &MergePolicy::AddOnly)], 9).unwrap();
        insta::assert_snapshot!(tree.to_text().unwrap(), @r"
        drwxr-xr-x 0:0 - /usr
        drwxr-xr-x 0:0 - /usr/lib
        drwxr-xr-x 0:0 - /usr/lib/postern
        drwxr-xr-x 0:0 - /usr/lib/postern/k3s-images
        -rw-r--r-- 0:0 3 /usr/lib/postern/k3s-images/k3s-airgap-images-amd64.tar.zst sha256:86bd33ebf64e
        drwxr-xr-x 0:0 - /usr/local
        drwxr-xr-x 0:0 - /usr/local/bin
        lrwxrwxrwx 0:0 - /usr/local/bin/crictl → k3s
        lrwxrwxrwx 0:0 - /usr/local/bin/ctr → k3s
        -rwxr-xr-x 0:0 3 /usr/local/bin/k3s sha256:86bd33ebf64e
        lrwxrwxrwx 0:0 - /usr/local/bin/kubectl → k3s
        ");
        let keys = [
            layer(fetched("1"), None, 9).unwrap().inputs,
            layer(fetched("3"), Some(images), 9).unwrap().inputs,
            layer(fetched("1"), Some(images), 8).unwrap().inputs,
        ];
        assert!(!keys.contains(&site.inputs));
        let bad = Images {
            file_name: "a/b",
            ..images
        };
        assert!(layer(fetched("1"), Some(bad), 9).is_err());
    }
}
