//! Why dpkg did not install: which package, and its script's last words.

use std::fmt;

/// How many lines of a script are shown.
const LAST_WORDS: usize = 12;

/// dpkg's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpkgFault {
    /// The first package that failed; empty if dpkg names none.
    package: String,
    /// dpkg's reason.
    reason: String,
    /// What was said before.
    said: Vec<String>,
}

impl DpkgFault {
    /// Reads what dpkg and the scripts said, in the order in which they did.
    pub fn read(said: &str) -> Self {
        let lines: Vec<&str> = said.lines().filter(|l| !l.trim().is_empty()).collect();
        let at = lines.iter().position(|l| l.starts_with(ERROR));
        let Some(at) = at else {
            return Self {
                package: String::new(),
                reason: "dpkg failed".to_owned(),
                said: last(&lines),
            };
        };
        let named = lines[at].trim_start_matches(ERROR);
        let named = named.trim_start_matches("package ");
        let named = named.trim_start_matches("archive ");
        let named = named.split(" (--").next().unwrap_or(named);
        Self {
            package: named.rsplit('/').next().unwrap_or(named).to_owned(),
            reason: lines.get(at + 1).map_or("", |l| l.trim()).to_owned(),
            said: last(&lines[..at]),
        }
    }
}

/// How dpkg begins to tell of a failure (dpkg's `lib/dpkg/…/errors.c`).
const ERROR: &str = "dpkg: error processing ";

/// The end of what was said, without dpkg's own progress.
fn last(lines: &[&str]) -> Vec<String> {
    let progress = |line: &&&str| {
        let words = [
            "Setting up ",
            "Unpacking ",
            "Selecting previously ",
            "Preparing to ",
        ];
        !words.iter().any(|word| line.starts_with(word)) && !line.starts_with("(Reading database")
    };
    let lines: Vec<_> = lines.iter().filter(progress).collect();
    let from = lines.len().saturating_sub(LAST_WORDS);
    lines[from..]
        .iter()
        .map(|line| (**line).to_owned())
        .collect()
}

impl fmt::Display for DpkgFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.package.is_empty() {
            true => write!(f, "installing packages: {}", self.reason)?,
            false => write!(f, "installing package `{}`: {}", self.package, self.reason)?,
        }
        for line in &self.said {
            write!(f, "\n  | {line}")?;
        }
        write!(
            f,
            "\n  help: the package does not install in a build sandbox (no network, no services): \
             remove it in `packages.remove`, or lock another version"
        )
    }
}

impl std::error::Error for DpkgFault {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_package_and_its_last_words() {
        let said = "(Reading database ... 10 files)\nSetting up fails (1) ...\nlast words\nto stderr\n\
            dpkg: error processing package fails (--configure):\n \
            installed fails package post-installation script subprocess returned error exit status 7\n\
            Errors were encountered while processing:\n fails\n";
        insta::assert_snapshot!(DpkgFault::read(said).to_string(), @r"
        installing package `fails`: installed fails package post-installation script subprocess returned error exit status 7
          | last words
          | to stderr
          help: the package does not install in a build sandbox (no network, no services): remove it in `packages.remove`, or lock another version
        ");
    }

    #[test]
    fn names_an_archive_that_cannot_be_unpacked() {
        let said = "dpkg: error processing archive /.postern/debs/b_1_all.deb (--unpack):\n \
            trying to overwrite '/usr/bin/a', which is also in package a 1\n";
        let fault = DpkgFault::read(said);
        assert_eq!(fault.package, "b_1_all.deb");
        assert!(fault.reason.starts_with("trying to overwrite"));
    }

    #[test]
    fn without_a_name_the_end_is_shown() {
        let said = (0..40).map(|i| format!("line {i}\n")).collect::<String>();
        let fault = DpkgFault::read(&said);
        assert_eq!((fault.said.len(), fault.said[11].as_str()), (12, "line 39"));
    }
}
