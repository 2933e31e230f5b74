//! The proxy that the image uses before there is a gateway file.

use postern_contract::gateway::ProxySettings;
use postern_contract::proxy::{Proxy, Surroundings};
use secrecy::ExposeSecret;

use super::{LayerBuilder, LayerError, SiteLayer};

const NAME: &str = "proxy";

/// The layer of the profile's proxy: for systemd, login shells and apt. Not for
/// k3s: its environment needs the networks of the gateway file, so the
/// agent writes it at boot.
///
/// # Errors
/// If an address holds a password: an image is the same for everybody who has it.
pub fn layer(settings: &ProxySettings, epoch: u64) -> Result<SiteLayer, LayerError> {
    let proxy = Proxy::new(settings, &Surroundings::default());
    if proxy.has_password() {
        return Err(LayerError::Input {
            layer: NAME.to_owned(),
            what: "the proxy of the profile has a password, and everybody with the image could read it".to_owned(),
            help: "put the password into the gateway file".to_owned(),
        });
    }
    let mut layer = LayerBuilder::new(NAME, epoch);
    for file in [
        proxy.systemd_environment(),
        proxy.profile_script(),
        proxy.apt_conf(),
    ] {
        let path = file.path.to_string_lossy();
        let text = file.text.expose_secret();
        layer.add_file(path.as_bytes(), file.mode, text)?;
    }
    Ok(layer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{MergePolicy, merge};

    fn settings(url: &str) -> ProxySettings {
        ProxySettings {
            http: url.parse().unwrap(),
            https: url.parse().unwrap(),
            no_proxy: vec![".corp.example".into()],
        }
    }

    #[test]
    fn configures_every_consumer() {
        let site = layer(&settings("http://proxy:3128"), 9).unwrap();
        let tree = merge([(&site.layer, &MergePolicy::AddOnly)], 9).unwrap();
        let files: Vec<_> = tree
            .iter()
            .filter(|(_, n)| !n.entry.kind.is_dir())
            .collect();
        assert_eq!(files.len(), 3);
        for (path, node) in files {
            let bytes = tree.read_file(path.as_bytes()).unwrap();
            let text = std::str::from_utf8(&bytes).unwrap();
            assert!(text.contains("http://proxy:3128"), "{path}: {text}");
            assert_eq!(node.entry.mode, 0o644);
        }
    }

    #[test]
    fn refuses_a_password_without_showing_it() {
        let error = layer(&settings("http://me:hush@proxy:3128"), 9)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("gateway file") && !error.contains("hush"),
            "{error}"
        );
    }
}
