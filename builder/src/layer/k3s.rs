//! k3s: one binary under four names, and the images it starts without a registry.

use std::path::Path;

use postern_contract::paths;

use super::{LayerBuilder, LayerError, SiteLayer};

const NAME: &str = "k3s";
/// What k3s is when called by these names (k3s, `cmd/k3s/main.go`).
const COMMANDS: [&str; 3] = ["kubectl", "crictl", "ctr"];

/// The air-gap image bundle.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    /// Where the bundle is on this machine.
    pub bundle: &'a Path,
    /// Its file name; k3s tells the compression by the extension.
    pub file_name: &'a str,
}

/// The layer of the static `k3s` binary and, if any, its images.
///
/// # Errors
/// If a file cannot be opened or the bundle's name is not one.
pub fn layer(
    binary: &Path,
    images: Option<Images<'_>>,
    epoch: u64,
) -> Result<SiteLayer, LayerError> {
    let mut layer = LayerBuilder::new(NAME, epoch);
    layer.add_file_from(paths::K3S, 0o755, binary)?;
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
        let path = format!("{}/{file_name}", paths::K3S_IMAGES);
        layer.add_file_from(path, 0o644, bundle)?;
    }
    Ok(layer.finish())
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
        let images = Images {
            bundle: file.path(),
            file_name: "k3s-airgap-images-amd64.tar.zst",
        };
        let site = layer(file.path(), Some(images), 9).unwrap();
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
        let bad = Images {
            file_name: "a/b",
            ..images
        };
        assert!(layer(file.path(), Some(bad), 9).is_err());
    }
}
