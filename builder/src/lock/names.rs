//! Names of packages: which ones can be, and which one was perhaps meant.

use std::collections::BTreeSet;

/// Most letters by which a name may differ from the one that was meant.
const MAX_DISTANCE: usize = 2;

/// The name that differs least from `name`, if it differs little.
pub(super) fn nearest<'a>(name: &str, names: &'a BTreeSet<String>) -> Option<&'a str> {
    let close = names
        .iter()
        .filter(|other| other.len().abs_diff(name.len()) <= MAX_DISTANCE);
    let distances = close.map(|other| {
        let longer = other.len().abs_diff(name.len());
        (strsim::levenshtein(name, other), longer, other.as_str())
    });
    let (distance, _, near) = distances.min()?;
    (distance <= MAX_DISTANCE).then_some(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let names: BTreeSet<String> = ["htop", "hto", "bash"].map(str::to_owned).into();
        assert_eq!(nearest("htip", &names), Some("htop"));
        assert_eq!(nearest("firefox", &names), None);
    }
}
