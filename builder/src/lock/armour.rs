//! Keyrings in armour (RFC 9580, section 6.2).

const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
const END: &str = "-----END PGP PUBLIC KEY BLOCK-----";

/// The keys in armour that `content` has, without what stands around them;
/// `None` if it has none, as a keyring in binary form.
pub fn keys(content: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(content);
    let mut keys = String::new();
    let mut within = false;
    for line in text.lines().map(str::trim_end) {
        within |= line == BEGIN;
        if within {
            keys.push_str(line);
            keys.push('\n');
        }
        within &= line != END;
    }
    (!keys.is_empty()).then(|| keys.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_keys_are_taken() {
        let text = format!(
            "\u{feff}# of Acme\r\n{BEGIN}\r\n\r\nmQ==\r\n{END}\r\nand\n{BEGIN}\n\nmR==\n{END}\n"
        );
        let expected = format!("{BEGIN}\n\nmQ==\n{END}\n{BEGIN}\n\nmR==\n{END}\n");
        assert_eq!(keys(text.as_bytes()), Some(expected.into_bytes()));
        assert_eq!(keys(b"\x99\x02\x0d"), None);
    }
}
