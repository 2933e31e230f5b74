//! The agent, and the facts about the image that it reads.

use std::path::Path;

use postern_contract::proxy::has_password;
use postern_contract::{image::ImageFacts, paths};

use super::{LayerBuilder, LayerError, SiteLayer};

const NAME: &str = "agent";
/// The name under which people run it.
const COMMAND: &str = "/usr/bin/postern-agent";

/// The layer of the static binary at `binary` and of `facts`.
///
/// # Errors
/// If the binary cannot be read, or the facts hold a proxy password: an image
/// is the same for everybody who has it.
pub fn layer(binary: &Path, facts: &ImageFacts, epoch: u64) -> Result<SiteLayer, LayerError> {
    if facts.proxy.as_ref().is_some_and(has_password) {
        return Err(LayerError::Input {
            layer: NAME.to_owned(),
            what: "the proxy of the profile has a password, and everybody with the image could read it".to_owned(),
            help: "put the password into the gateway file".to_owned(),
        });
    }
    let io = |source| LayerError::Io {
        layer: NAME.to_owned(),
        source,
    };
    let bytes = fs_err::read(binary).map_err(io)?;
    let mut text = serde_json::to_string_pretty(facts).map_err(|e| io(e.into()))?;
    text.push('\n');
    let mut layer = LayerBuilder::new(NAME, epoch);
    layer.add_file(paths::AGENT, 0o755, bytes)?;
    layer.add_symlink(COMMAND, relative(paths::AGENT))?;
    layer.add_file(paths::IMAGE_FACTS, 0o644, text)?;
    Ok(layer.finish())
}

/// `path` as seen from `/usr/bin`: relative links hold under any root.
fn relative(path: &str) -> String {
    path.replacen("/usr/", "../", 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{MergePolicy, merge};

    fn facts(proxy: Option<&str>) -> ImageFacts {
        let proxy = proxy.map(|url| {
            let text = format!(r#"{{"http": "{url}", "https": "{url}", "no-proxy": []}}"#);
            serde_json::from_str(&text).unwrap()
        });
        ImageFacts {
            schema: 1,
            name: "demo".into(),
            version: "1.0".into(),
            k3s_version: "v1.31.8+k3s1".into(),
            proxy,
        }
    }

    #[test]
    fn installs_the_agent() {
        let binary = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(binary.path(), "elf").unwrap();
        let site = layer(binary.path(), &facts(None), 9).unwrap();
        let tree = merge([(&site.layer, &MergePolicy::AddOnly)], 9).unwrap();
        insta::assert_snapshot!(tree.to_text().unwrap(), @r"
        drwxr-xr-x 0:0 - /usr
        drwxr-xr-x 0:0 - /usr/bin
        lrwxrwxrwx 0:0 - /usr/bin/postern-agent → ../lib/postern/postern-agent
        drwxr-xr-x 0:0 - /usr/lib
        drwxr-xr-x 0:0 - /usr/lib/postern
        -rw-r--r-- 0:0 89 /usr/lib/postern/image.json sha256:933fa1065774
        -rwxr-xr-x 0:0 3 /usr/lib/postern/postern-agent sha256:780d84b20d7a
        ");
        let text = tree.read_file(paths::IMAGE_FACTS).unwrap();
        assert_eq!(
            serde_json::from_slice::<ImageFacts>(&text).unwrap(),
            facts(None)
        );
    }

    #[test]
    fn refuses_a_password_without_showing_it() {
        let binary = tempfile::NamedTempFile::new().unwrap();
        let facts = facts(Some("http://me:hush@proxy:3128"));
        let error = layer(binary.path(), &facts, 9).unwrap_err().to_string();
        assert!(
            error.contains("gateway file") && !error.contains("hush"),
            "{error}"
        );
        assert!(layer(binary.path(), &self::facts(Some("http://me@proxy:3128")), 9).is_ok());
    }
}
