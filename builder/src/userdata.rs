//! The user-data that makes a machine a gateway.
//!
//! It is a plain `#cloud-config` that does one thing: write the gateway file,
//! for root alone. Everything else is the agent's. MAAS keeps user-data, and so
//! does the machine until the agent scrubs it, so it is as secret as its content.

use postern_agent::contract::gateway::GatewayFile;
use postern_agent::contract::paths;
use secrecy::{ExposeSecret, SecretString};

/// The user-data for one gateway. The same gateway gives the same bytes.
pub fn render(gateway: &GatewayFile) -> SecretString {
    let content = gateway.deliverable();
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
    text.into()
}

#[cfg(test)]
mod tests {
    use postern_agent::contract::document::{Findings, Node, Value, read};
    use postern_agent::contract::gateway::{LiteralOnly, parse};

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
        let pem = include_str!("../../tests/fixtures/rehearsal-ca.pem");
        let indented = pem.replace('\n', "\n    ");
        let text = GATEWAY.replace("[{file: ca.pem}]", &format!("\n- |\n    {indented}"));
        let text = text.replace("SESAME: \"#1\"", "SESAME:\"#1\"");
        let now = "2027-01-01T00:00:00Z".parse().unwrap();
        GatewayFile::parse("edge.yaml", &text, now, &LiteralOnly).unwrap()
    }

    fn tree(text: &str) -> Node {
        let mut findings = Findings::default();
        let node = read("user-data", text, &mut findings);
        findings.finish(node).unwrap().0
    }

    #[test]
    fn delivers_one_file_for_root_alone() {
        let rendered = render(&gateway());
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
            Value::Text(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(value("path"), "/etc/postern/gateway.yaml");
        assert_eq!(value("permissions"), "0600");
        assert_eq!(value("owner"), "root:root");
        let content = value("content");
        assert_eq!(content, gateway().deliverable().expose_secret());
        let now = "2027-01-01T00:00:00Z".parse().unwrap();
        let (read, _) = parse("gateway.yaml", &content, now, &LiteralOnly).unwrap();
        assert_eq!(read.certificates, gateway().gateway.certificates);
    }

    #[test]
    fn the_same_gateway_gives_the_same_bytes() {
        let (one, two) = (render(&gateway()), render(&gateway()));
        assert_eq!(one.expose_secret(), two.expose_secret());
        assert!(!format!("{one:?}").contains("SESAME"));
    }
}
