//! Debian's paragraphs of `Key: value` (deb-control(5)).
//!
//! Read here and not with a crate: those refuse what is around the paragraphs
//! of a signed release file, and a person's mistakes in `sources.list.d`.

/// One paragraph.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stanza(Vec<(String, String)>);

impl Stanza {
    /// The value of a field, whatever the case of its name. Continuation lines
    /// are joined by `\n`, without their indentation.
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        let (_, value) = fields.find(|(name, _)| name.eq_ignore_ascii_case(key))?;
        Some(value)
    }

    /// The words of a field; none when it is missing.
    pub fn words(&self, key: &str) -> Vec<String> {
        let words = self.get(key).unwrap_or_default().split_whitespace();
        words.map(str::to_owned).collect()
    }
}

/// All paragraphs of a text that have a field. Comments and lines that are
/// neither field nor continuation are ignored.
pub fn stanzas(text: &str) -> Vec<Stanza> {
    let mut stanzas = vec![Stanza::default()];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some(stanza) = stanzas.last_mut().filter(|_| !line.trim().is_empty()) else {
            stanzas.push(Stanza::default());
            continue;
        };
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.0.last_mut() {
                value.push('\n');
                value.push_str(line.trim());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            stanza
                .0
                .push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    stanzas.retain(|stanza| !stanza.0.is_empty());
    stanzas
}

/// The names in a relation field (deb-control(5)): `a (>= 1) | b:any, c` →
/// `[[a, b], [c]]`. Versions are left out: the solver has minded them.
pub fn relations(field: &str) -> Vec<Vec<String>> {
    let name = |alternative: &str| {
        let word = alternative
            .split(['(', '[', '<'])
            .next()
            .unwrap_or_default();
        let name = word.split(':').next().unwrap_or_default().trim();
        (!name.is_empty()).then(|| name.to_owned())
    };
    field
        .split(',')
        .map(|group| group.split('|').filter_map(name).collect::<Vec<_>>())
        .filter(|group| !group.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_paragraphs() {
        let text = "Package: a\nDepends: b,\n c\n# comment\nTag: x\nnonsense\n\n\n  \nPackage: z\n";
        let all = stanzas(text);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].get("depends"), Some("b,\nc"));
        assert_eq!(all[0].words("Tag"), ["x"]);
        assert_eq!(all[1].get("Package"), Some("z"));
        assert_eq!(all[1].get("Depends"), None);
        assert!(stanzas("\n\n").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[ -~\n\t]{0,200}") {
            stanzas(&text);
        }
    }
}
