//! One line of a file, fit to be shown: whatever may be a secret is masked.
//!
//! The line may be in a file that YAML cannot parse or under a misspelt key, so
//! this looks at the text alone and rather hides too much.

/// What stands where a secret was; its length says nothing.
const MASK: &str = "********";

/// A key that holds one of these holds secrets, and so does all below it.
const SECRET_WORDS: [&str; 8] = [
    "pairing", "api-key", "api_key", "apikey", "passw", "secret", "token", "private",
];

/// The lines below a key that holds secrets.
struct Below {
    /// Indentation of that key; the secret ends where it comes again.
    outer: usize,
    /// Whether keys right below are no secret: `pairing` is a mapping.
    mapping: bool,
    /// Indentation of the first line below.
    inner: Option<usize>,
}

/// Line `number` (from 1) of `text`, with secrets masked.
pub(super) fn masked_line(text: &str, number: usize) -> Option<String> {
    let mut below: Option<Below> = None;
    for (i, line) in text.lines().enumerate().take(number) {
        let indent = line.len() - line.trim_start().len();
        let blank = line.trim().is_empty();
        below = below.filter(|below| blank || indent > below.outer);
        let secret_from = match &mut below {
            Some(below) => {
                let key_shown = below.mapping && *below.inner.get_or_insert(indent) == indent;
                Some(
                    indent
                        + if key_shown {
                            key_length(&line[indent..])
                        } else {
                            0
                        },
                )
            }
            None => secret_key(line),
        };
        if below.is_none() && secret_from.is_some() {
            below = Some(Below {
                outer: indent,
                mapping: line.trim() == "pairing:",
                inner: None,
            });
        }
        if i + 1 == number {
            return Some(masked_from(line, secret_from));
        }
    }
    None
}

/// Where the value of a secret key begins on this line.
fn secret_key(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let starts = |word: &&str| lower.match_indices(*word).map(|(at, _)| at).min();
    let mut candidates: Vec<usize> = SECRET_WORDS.iter().filter_map(starts).collect();
    candidates.sort_unstable();
    let leading = |at: usize| lower[..at].trim_matches([' ', '\t', '-', '{', '"', '\'', '?']);
    candidates.into_iter().find_map(|at| {
        let length = key_length(&lower[at..]);
        if length > 0 {
            return Some(at + length);
        }
        let first = leading(at).is_empty();
        let word = lower[at..].find([' ', '=']).unwrap_or(lower.len() - at);
        first.then_some(at + word)
    })
}

/// The bytes up to and including the colon, if `text` begins with a key.
fn key_length(text: &str) -> usize {
    let word = |c: char| c.is_alphanumeric() || "-_.\"'".contains(c);
    let dashes = text.len() - text.trim_start_matches(['-', ' ', '{']).len();
    let key = text[dashes..]
        .find(|c: char| !word(c))
        .unwrap_or(text.len() - dashes);
    let rest = &text[dashes + key..];
    let blanks = rest.len() - rest.trim_start().len();
    match rest.trim_start().starts_with(':') {
        true if key > 0 => dashes + key + blanks + 1,
        _ => 0,
    }
}

fn masked_from(line: &str, secret_from: Option<usize>) -> String {
    let Some(at) = secret_from else {
        return without_user_info(line);
    };
    let (shown, secret) = line.split_at(at);
    let blank = &secret[..secret.len() - secret.trim_start().len()];
    if secret.trim().is_empty() {
        return line.to_owned();
    }
    format!("{shown}{blank}{MASK}")
}

/// Hides what a URL, or what is meant to be one, says before its `@`.
fn without_user_info(line: &str) -> String {
    let Some(end) = line.rfind('@') else {
        return line.to_owned();
    };
    let proxy_key = ["http", "https", "endpoint", "mirror", "url"]
        .iter()
        .any(|key| {
            line.trim_start_matches([' ', '-', '{', '"', '\''])
                .starts_with(key)
        });
    let start = match line[..end].find("://") {
        Some(scheme) => scheme + 3,
        None if proxy_key => key_length(line.trim_start()) + line.len() - line.trim_start().len(),
        None => return line.to_owned(),
    };
    format!("{}{MASK}{}", &line[..start], &line[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_are_written() {
        for (text, number) in [
            ("  pairing-code: SESAME", 1),
            ("  pairing-code:SESAME", 1),
            ("  pairing-code SESAME", 1),
            ("- pairing_cod: \"SESAME\" # c", 1),
            ("palette: {endpoint: x, pairing: {pairing-code: SESAME}}", 1),
            ("palette: {endpoint: x, pairing: {pin: SESAME}}", 1),
            ("pairing:\n  code: SESAME", 2),
            ("pairing:\n\n  SESAME", 3),
            ("pairing-code: |\n  SESAME", 2),
            ("pairing-code: >-\n  x\n  SESAME: y", 3),
            ("http: http://user:SESAME@proxy:3128", 1),
            ("http: http://user:p@SESAME@proxy:3128", 1),
            ("http: \"http://user:SES AME@proxy\"", 1),
            ("https: user:SESAME@proxy:3128", 1),
            (
                "proxy: {http: http://a:SESAME@b, https: http://a:SESAME@b}",
                1,
            ),
            ("\"pairing-code\": SESAME", 1),
            ("API_KEY: SESAME", 1),
        ] {
            let shown = masked_line(text, number).unwrap();
            assert!(
                !shown.contains("SESAME") && !shown.contains("AME"),
                "{shown}"
            );
            assert!(shown.contains(MASK), "{shown}");
        }
    }

    #[test]
    fn everything_else_is_shown() {
        let text = "pairing:\n  pairing-code: X\nname: pairing-gateway\nhttp: http://proxy:3128\n\
                    keys:\n- ssh-ed25519 AAAA me@home\n";
        for (number, shown) in [
            (1, "pairing:"),
            (2, "  pairing-code: ********"),
            (3, "name: pairing-gateway"),
            (4, "http: http://proxy:3128"),
            (6, "- ssh-ed25519 AAAA me@home"),
        ] {
            assert_eq!(masked_line(text, number).unwrap(), shown);
        }
        assert_eq!(masked_line(text, 7), None);
    }
}
