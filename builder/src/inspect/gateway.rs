//! What makes an image a gateway: k3s and the proxy.

use std::io;

use postern_contract::gateway::masked;
use postern_contract::image::ImageFacts;
use postern_contract::paths;
use serde::Serialize;

use super::Root;

/// First bytes of a program.
const ELF: &[u8] = b"\x7fELF";

/// The proxy that the image uses unless a gateway file says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proxy {
    /// For `http://` addresses; a password shows as `***`.
    pub http: String,
    /// For `https://` addresses; a password shows as `***`.
    pub https: String,
    /// What the profile excludes from the proxy.
    pub no_proxy: Vec<String>,
}

/// The k3s of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct K3s {
    /// As the profile names it.
    pub version: String,
    /// Whether it is the stand-in for tests and demos, which runs no containers.
    pub stand_in: bool,
    /// Bytes of the binary.
    pub size: u64,
    /// File names of the air-gap image bundles.
    pub images: Vec<String>,
}

/// Whether a k3s is the stand-in: its version says so, or it is not even a program. `head` is the beginning of the file.
pub fn is_stand_in(version: &str, head: &[u8]) -> bool {
    version.contains("stand-in") || !head.starts_with(ELF)
}

/// Proxy and k3s of a root, if it has them.
pub(super) fn read(root: &Root<'_>) -> io::Result<(Option<Proxy>, Option<K3s>)> {
    let facts = match root.read(paths::IMAGE_FACTS)? {
        Some(json) => Some(serde_json::from_slice::<ImageFacts>(&json)?),
        None => None,
    };
    let proxy = facts.as_ref().and_then(|facts| facts.proxy.as_ref());
    let proxy = proxy.map(|proxy| Proxy {
        http: masked(&proxy.http),
        https: masked(&proxy.https),
        no_proxy: proxy.no_proxy.clone(),
    });
    let (Some(head), Some(entry)) = (root.head(paths::K3S, 4)?, root.get(paths::K3S)) else {
        return Ok((proxy, None));
    };
    let version = facts.map(|facts| facts.k3s_version).unwrap_or_default();
    let names = root
        .children(paths::K3S_IMAGES)
        .map(|(path, _)| path.name());
    let k3s = K3s {
        stand_in: is_stand_in(&version, &head),
        version,
        size: entry.size(),
        images: names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect(),
    };
    Ok((proxy, Some(k3s)))
}

#[cfg(test)]
mod tests {
    use super::super::root::tests::with_root;
    use super::*;
    use postern_contract::gateway::ProxySettings;

    #[test]
    fn a_stand_in_is_recognised() {
        for (version, head, expected) in [
            ("v1.31.8+k3s1", &b"\x7fELF"[..], false),
            ("v1.31.8+k3s1-stand-in", b"\x7fELF", true),
            ("v1.31.8+k3s1", b"#!/u", true),
            ("v1.31.8+k3s1", b"", true),
        ] {
            assert_eq!(is_stand_in(version, head), expected, "{version} {head:?}");
        }
    }

    #[test]
    fn shows_k3s_and_the_proxy_without_its_password() {
        let url = |text: &str| text.parse().unwrap();
        let facts = ImageFacts {
            schema: 1,
            name: "edge".to_owned(),
            version: "1".to_owned(),
            k3s_version: "v1.31.8+k3s1".to_owned(),
            proxy: Some(ProxySettings {
                http: url("http://me:hush@proxy:3128"),
                https: url("http://proxy:3128"),
                no_proxy: vec![".corp".to_owned()],
            }),
        };
        let fill = |layer: &mut crate::layer::LayerBuilder| {
            let json = serde_json::to_vec(&facts).unwrap();
            layer.add_file(paths::IMAGE_FACTS, 0o644, json).unwrap();
            layer
                .add_file(paths::K3S, 0o755, "\x7fELF and more")
                .unwrap();
            let bundle = format!("{}/images.tar.zst", paths::K3S_IMAGES);
            layer.add_file(bundle, 0o644, "").unwrap();
        };
        let (proxy, k3s) = with_root(fill, |root| read(root).unwrap());
        let (proxy, k3s) = (proxy.unwrap(), k3s.unwrap());
        assert!(!proxy.http.contains("hush") && proxy.http.contains("***"));
        assert_eq!(k3s.images, ["images.tar.zst"]);
        assert_eq!((k3s.size, k3s.stand_in), (13, false));
        let nothing = with_root(|_| {}, |root| read(root).unwrap());
        assert_eq!(nothing, (None, None));
    }
}
