//! Licences, as a package's copyright file names them.

use std::collections::BTreeSet;

/// First words of a copyright file that programs can read
/// (Debian policy, "Machine-readable debian/copyright file").
const FORMAT: &str = "Format:";
/// Most bytes of a licence's name; a longer one is not a name.
const MAX_NAME_BYTES: usize = 80;

/// The short names in the `License` fields of a copyright file; none if it is
/// written for people only.
pub(super) fn names(copyright: &str) -> BTreeSet<String> {
    if !copyright.trim_start().starts_with(FORMAT) {
        return BTreeSet::new();
    }
    let field = |line: &str| {
        let (key, value) = line.split_once(':')?;
        let name = key.eq_ignore_ascii_case("License").then(|| value.trim())?;
        let plain = |c: char| c.is_ascii_graphic() || c == ' ';
        let good = !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.chars().all(plain);
        good.then(|| name.to_owned())
    };
    copyright.lines().filter_map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_only_what_is_written_for_programs() {
        let file = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
                    Files: *\nLicense: GPL-2+ and LGPL-2.1+\nFiles: x\nlicense: Expat\n Some\n\
                    License: GPL-2+ and LGPL-2.1+\n text\nLicense:\n";
        let names: Vec<_> = names(file).into_iter().collect();
        assert_eq!(names, ["Expat", "GPL-2+ and LGPL-2.1+"]);
        assert!(super::names("License: GPL-2\n").is_empty());
    }
}
