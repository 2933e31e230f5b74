//! apt's source entries, both forms (sources.list(5)).

use super::deb822::{self, Stanza};

/// One enabled source of binary packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Addresses, as written; may hold passwords.
    pub uris: Vec<String>,
    /// Suites.
    pub suites: Vec<String>,
    /// Keyring or fingerprint that must have signed it, as written.
    pub signed_by: Option<String>,
}

/// Entries of the one-line form. Lines that are not sources are ignored: apt
/// itself complains about them.
pub fn parse_list(text: &str) -> Vec<Entry> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Entry> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t', '[']) {
        return None; // deb-src
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(inside) => inside.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let signed_by = options
        .split_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="));
    Some(Entry {
        uris: vec![words.next()?.to_owned()],
        suites: vec![words.next()?.to_owned()],
        signed_by: signed_by.map(str::to_owned),
    })
}

/// Entries of the deb822 form.
pub fn parse_deb822(text: &str) -> Vec<Entry> {
    deb822::stanzas(text).iter().filter_map(entry).collect()
}

fn entry(stanza: &Stanza) -> Option<Entry> {
    let off = stanza
        .get("Enabled")
        .is_some_and(|v| ["no", "false", "0", "off"].contains(&v));
    if off || !stanza.words("Types").iter().any(|kind| kind == "deb") {
        return None;
    }
    Some(Entry {
        uris: stanza.words("URIs"),
        suites: stanza.words("Suites"),
        signed_by: stanza.get("Signed-By").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(uris: &[&str], suites: &[&str], signed_by: Option<&str>) -> Entry {
        let owned = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        Entry {
            uris: owned(uris),
            suites: owned(suites),
            signed_by: signed_by.map(str::to_owned),
        }
    }

    #[test]
    fn reads_lines() {
        let text = "\
# deb http://commented.example/debian trixie main
deb http://a.example/debian trixie main contrib # trailing
deb-src http://a.example/debian trixie main
deb [arch=amd64 signed-by=/k.gpg] https://b.example/x/debian/ trixie-updates main
deb\t[trusted=yes]\tfile:/srv/debian ./
nonsense
deb http://c.example
";
        assert_eq!(
            parse_list(text),
            [
                entry(&["http://a.example/debian"], &["trixie"], None),
                entry(
                    &["https://b.example/x/debian/"],
                    &["trixie-updates"],
                    Some("/k.gpg")
                ),
                entry(&["file:/srv/debian"], &["./"], None),
            ]
        );
    }

    #[test]
    fn reads_stanzas() {
        let text = "\
# a comment
Types: deb deb-src
URIs: http://a.example/ubuntu http://b.example/ubuntu
# a comment inside
Suites: noble
 noble-updates
Components: main
Signed-By: /usr/share/keyrings/k.gpg

Enabled: no
Types: deb
URIs: http://off.example/ubuntu
Suites: noble

Types: deb-src
URIs: http://source.example/ubuntu
Suites: noble


types: deb
uris: http://c.example/ubuntu
suites: noble-security
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQ
";
        let entries = parse_deb822(text);
        assert_eq!(
            entries[0],
            entry(
                &["http://a.example/ubuntu", "http://b.example/ubuntu"],
                &["noble", "noble-updates"],
                Some("/usr/share/keyrings/k.gpg")
            )
        );
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[1].suites, ["noble-security"]);
        assert!(entries[1].signed_by.as_ref().unwrap().contains("BEGIN PGP"));
    }
}
