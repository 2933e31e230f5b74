//! The user-data that makes a machine a gateway.
//!
//! It is a plain `#cloud-config` that only writes the gateway file, for root alone;
//! the agent does the rest. MAAS stores user-data, and so does the machine until
//! the agent erases it, so it is as secret as its content.

mod explain;

use std::path::Path;

use postern_contract::document::Sources;
use postern_contract::gateway::{GatewayFile, Node, Nodes, Pairing, Undeliverable};
use postern_contract::host::clock;
use postern_contract::host::secrets::HostSecrets;
use postern_contract::palette::manifest::{self, ManifestError};
use postern_contract::paths;
use secrecy::{ExposeSecret, SecretString};

use crate::profile::{LoadError, read_text};

pub use explain::explain;

/// Reads a gateway file on the operator's machine: secrets may be given as
/// `{file: …}`, relative to it, or `{env: …}`.
///
/// # Errors
/// An unreadable file, or every problem in it at once.
pub fn load(path: &Path) -> Result<GatewayFile, LoadError> {
    let text = read_text(path).map_err(LoadError::Read)?;
    read(&path.display().to_string(), &text)
}

/// Reads the text of a gateway file named `file`.
///
/// # Errors
/// Every problem in it at once.
pub fn read(file: &str, text: &str) -> Result<GatewayFile, LoadError> {
    let secrets = HostSecrets::beside(Path::new(file));
    GatewayFile::parse(file, text, clock::now(), &secrets).map_err(|problems| LoadError::Invalid {
        problems,
        sources: Sources::from([(file.to_owned(), text.to_owned())]),
    })
}

/// A missing or wrong machine number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// A gateway of three, and no number.
    #[error(
        "the gateway has three machines with different user-data\n  help: choose one with `--node 1`, `--node 2` or `--node 3`"
    )]
    NotGiven,
    /// A number out of range.
    #[error(
        "there is no machine {number}: the gateway has {nodes}\n  help: use a number from 1 to {nodes}"
    )]
    OutOfRange {
        /// The number.
        number: u8,
        /// How many machines there are.
        nodes: u8,
    },
}

/// The machine that `number` or the file itself names; `None` if it may be any of
/// three.
///
/// # Errors
/// [`NodeError::OutOfRange`].
pub fn chosen(file: &GatewayFile, number: Option<u8>) -> Result<Option<Node>, NodeError> {
    let cluster = &file.gateway.cluster;
    match number {
        Some(number) => match cluster.nodes.node(number.into()) {
            Some(node) => Ok(Some(node)),
            None => Err(NodeError::OutOfRange {
                number,
                nodes: cluster.nodes.count(),
            }),
        },
        None if cluster.nodes == Nodes::One => Ok(Some(Node::FIRST)),
        None => Ok(cluster.node),
    }
}

/// Longest user-data. MAAS takes it base64-encoded in a form, and the web server in
/// front of it accepts 10 MiB (`client_max_body_size` in its nginx configuration);
/// base64 in a form is up to 1.42 times as long.
const MAX_USER_DATA_BYTES: usize = 7 << 20;

/// Why user-data cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The file lacks what Palette provides.
    #[error("{0}\n  help: set SPECTROCLOUD_APIKEY to an API key of a tenant administrator")]
    NotObtained(Undeliverable),
    /// The file has no token.
    #[error("{0}\n  help: add `cluster-token: {{file: token}}`, made with `openssl rand -hex 32`")]
    NoToken(Undeliverable),
    /// The manifests may not be applied to a gateway's cluster.
    #[error(
        "the manifests are not accepted\n  help: fetch the manifests from Palette again, and ask the vendor about these objects"
    )]
    Manifest(#[from] ManifestError),
    /// MAAS would not accept it.
    #[error(
        "the user-data has {0} bytes, and MAAS accepts at most {MAX_USER_DATA_BYTES}\n  help: remove certificates and manifests that the gateway does not need"
    )]
    TooLarge(usize),
}

impl From<Undeliverable> for RenderError {
    fn from(why: Undeliverable) -> Self {
        match why {
            Undeliverable::NotObtained(_) => Self::NotObtained(why),
            Undeliverable::NoToken => Self::NoToken(why),
        }
    }
}

/// The user-data for one machine of a gateway. It is reproducible.
///
/// # Errors
/// [`RenderError`]; manifests are checked as on the machine.
pub fn render(gateway: &GatewayFile, node: Node) -> Result<SecretString, RenderError> {
    if let Some(Pairing::Manifests(manifests)) = &gateway.gateway.pairing {
        manifest::parse(&manifest::sources(manifests))?;
    }
    let content = gateway.deliverable(node)?;
    let mut text = format!(
        "#cloud-config\n\
         write_files:\n\
         - path: {}\n\
         \x20 owner: root:root\n\
         \x20 permissions: '0600'\n\
         \x20 content: |\n",
        paths::GATEWAY_FILE
    );
    // A literal block keeps every character but needs each line indented.
    for line in content.expose_secret().lines() {
        if !line.is_empty() {
            text.push_str("    ");
            text.push_str(line);
        }
        text.push('\n');
    }
    match text.len() {
        size if size > MAX_USER_DATA_BYTES => Err(RenderError::TooLarge(size)),
        _ => Ok(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use postern_contract::document::{self, Findings, Value, read};
    use postern_contract::gateway::{LiteralOnly, parse};

    use super::*;

    const GATEWAY: &str = "\
apiVersion: postern/v1
name: edge-1
palette:
  endpoint: https://palette.example
  pairing: {pairing-code: 'SESAME: \"#1\"'}
certificates: [{file: ca.pem}]
maas: {zone: z1}
";

    fn gateway() -> GatewayFile {
        let pem = include_str!("../../../tests/fixtures/rehearsal-ca.pem");
        let indented = pem.replace('\n', "\n    ");
        let text = GATEWAY.replace("[{file: ca.pem}]", &format!("\n- |\n    {indented}"));
        let text = text.replace("SESAME: \"#1\"", "SESAME:\"#1\"");
        let now = "2027-01-01T00:00:00Z".parse().unwrap();
        GatewayFile::parse("edge.yaml", &text, now, &LiteralOnly).unwrap()
    }

    fn tree(text: &str) -> document::Node {
        let mut findings = Findings::default();
        let node = read("user-data", text, &mut findings);
        findings.finish(node).unwrap().0
    }

    #[test]
    fn delivers_one_file_for_root_alone() {
        let rendered = render(&gateway(), Node::FIRST).unwrap();
        let text = rendered.expose_secret();
        assert!(text.starts_with("#cloud-config\n"), "{text}");
        let root = tree(text);
        let Value::Map(keys) = &root.value else {
            panic!("a mapping");
        };
        assert_eq!(keys.len(), 1, "nothing but write_files");
        let Value::List(files) = &root.get("write_files").unwrap().value else {
            panic!("a list");
        };
        let [file] = &files[..] else {
            panic!("one file");
        };
        let value = |key| match &file.get(key).unwrap().value {
            Value::Text(text) => text.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(value("path"), "/etc/postern/gateway.yaml");
        assert_eq!(value("permissions"), "0600");
        assert_eq!(value("owner"), "root:root");
        let content = value("content");
        assert_eq!(
            content,
            gateway().deliverable(Node::FIRST).unwrap().expose_secret()
        );
        let now = "2027-01-01T00:00:00Z".parse().unwrap();
        let (read, _) = parse("gateway.yaml", &content, now, &LiteralOnly).unwrap();
        assert_eq!(read.certificates, gateway().gateway.certificates);
    }

    #[test]
    fn the_same_gateway_gives_the_same_bytes() {
        let (one, two) = (
            render(&gateway(), Node::FIRST).unwrap(),
            render(&gateway(), Node::FIRST).unwrap(),
        );
        assert_eq!(one.expose_secret(), two.expose_secret());
        assert!(!format!("{one:?}").contains("SESAME"));
    }
}
