//! Which image and version this is, in the root's `os-release` and so in the
//! kernel image that is made from the root.

use super::{LayerBuilder, LayerError, SiteLayer};
use crate::tree::Tree;

const NAME: &str = "os-release";
/// The file; `/etc/os-release` is a link to it (os-release(5)).
pub const PATH: &str = "/usr/lib/os-release";

/// The layer that puts `IMAGE_ID` and `IMAGE_VERSION` into the `os-release` of
/// `below`, all that it is laid over.
///
/// # Errors
/// If there is no `os-release`, or it is not text.
pub fn layer(below: &Tree, image: (&str, &str), epoch: u64) -> Result<SiteLayer, LayerError> {
    let text = below.read_file(PATH).map_err(|source| LayerError::Base {
        layer: NAME.to_owned(),
        source,
    })?;
    let text = String::from_utf8(text).map_err(|_| LayerError::Input {
        layer: NAME.to_owned(),
        what: format!("{PATH} is not UTF-8"),
        help: "repair it in the package or overlay that brings it".to_owned(),
    })?;
    let mut layer = LayerBuilder::new(NAME, epoch);
    layer.may_replace(PATH)?;
    layer.add_file(PATH, 0o644, for_image(&text, image))?;
    Ok(layer.finish())
}

/// The distribution's `os-release` with `IMAGE_ID` and `IMAGE_VERSION` set.
///
/// systemd-boot sorts entries by `IMAGE_ID` and then by `IMAGE_VERSION`
/// (UAPI group, Boot Loader Specification, type 2 entries), so these two
/// decide that the newest version boots first.
fn for_image(distribution: &str, (name, version): (&str, &str)) -> String {
    let mut text: String = distribution
        .lines()
        .filter(|line| !line.starts_with("IMAGE_ID=") && !line.starts_with("IMAGE_VERSION="))
        .map(|line| format!("{line}\n"))
        .collect();
    text.push_str(&format!("IMAGE_ID={name}\nIMAGE_VERSION={version}\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::merge;

    #[test]
    fn sets_the_image_once() {
        let text = "ID=debian\nIMAGE_ID=old\nPRETTY_NAME=\"D\"";
        let mut base = LayerBuilder::new("base", 9);
        base.add_file(PATH, 0o644, text).unwrap();
        let base = base.finish();
        let below = merge([(&base.layer, &base.policy)], 9).unwrap();
        let site = layer(&below, ("edge", "1.2"), 9).unwrap();
        let layers = [&base, &site].map(|site| (&site.layer, &site.policy));
        let tree = merge(layers, 9).unwrap();
        assert_eq!(
            String::from_utf8(tree.read_file(PATH).unwrap()).unwrap(),
            "ID=debian\nPRETTY_NAME=\"D\"\nIMAGE_ID=edge\nIMAGE_VERSION=1.2\n"
        );
        let again = layer(&tree, ("edge", "1.2"), 9).unwrap();
        assert_eq!(again.layer.digest().unwrap(), site.layer.digest().unwrap());
    }
}
