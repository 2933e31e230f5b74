//! Why dpkg failed: which package, and the end of its script's output.

use std::fmt;

/// Lines of a script's output that are shown.
const MAX_OUTPUT_LINES: usize = 12;

/// A failed run of dpkg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpkgError {
    /// The first package that failed; empty if dpkg names none.
    package: String,
    /// dpkg's reason.
    reason: String,
    /// The output before it.
    output: Vec<String>,
}

impl DpkgError {
    /// Reads the output of dpkg and the scripts, in its order.
    pub fn read(output: &str) -> Self {
        let lines: Vec<&str> = output.lines().filter(|l| !l.trim().is_empty()).collect();
        let at = lines.iter().position(|l| l.starts_with(ERROR));
        let Some(at) = at else {
            return Self {
                package: String::new(),
                reason: "dpkg failed".to_owned(),
                output: last(&lines),
            };
        };
        let named = lines[at].trim_start_matches(ERROR);
        let named = named.trim_start_matches("package ");
        let named = named.trim_start_matches("archive ");
        let named = named.split(" (--").next().unwrap_or(named);
        Self {
            package: named.rsplit('/').next().unwrap_or(named).to_owned(),
            reason: lines.get(at + 1).map_or("", |l| l.trim()).to_owned(),
            output: last(&lines[..at]),
        }
    }
}

/// How dpkg's line about a failure begins (dpkg's `lib/dpkg/…/errors.c`).
const ERROR: &str = "dpkg: error processing ";

/// The last lines, without dpkg's own progress.
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
    let from = lines.len().saturating_sub(MAX_OUTPUT_LINES);
    lines[from..]
        .iter()
        .map(|line| (**line).to_owned())
        .collect()
}

impl fmt::Display for DpkgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.package.is_empty() {
            true => write!(f, "installing packages: {}", self.reason)?,
            false => write!(f, "installing package `{}`: {}", self.package, self.reason)?,
        }
        for line in &self.output {
            write!(f, "\n  | {line}")?;
        }
        write!(f, "\n  help: {}", self.remedy())
    }
}

impl DpkgError {
    /// What to do, by what the output shows.
    fn remedy(&self) -> &'static str {
        let shown = |what: &str| {
            let mut lines = self.output.iter().chain([&self.reason]);
            lines.any(|line| line.contains(what))
        };
        if shown("/usr/share/doc/") {
            "a script wants documentation, which images leave out: name the package that \
             brings it in `packages.docs.keep`"
        } else if shown("trying to overwrite") {
            "two packages bring the same file: remove one of them in `packages.remove`"
        } else if shown("No space left on device") {
            "the scratch root is full: it is in memory where 4 GiB are free, otherwise in the \
             store's directory; make room there"
        } else if shown("Invalid argument") && (shown("chown") || shown("ownership")) {
            "an owner is outside the IDs that the build has: build as root, or give your user a \
             range of at least 65536 IDs that covers it in /etc/subuid and /etc/subgid"
        } else {
            "the script has no network and no services here. If it asks a question, answer it in \
             `packages.debconf`; otherwise remove the package in `packages.remove`, or lock \
             another version"
        }
    }
}

impl std::error::Error for DpkgError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_package_and_shows_the_last_lines() {
        let output = "(Reading database ... 10 files)\nSetting up fails (1) ...\nlast words\nto stderr\n\
            dpkg: error processing package fails (--configure):\n \
            installed fails package post-installation script subprocess returned error exit status 7\n\
            Errors were encountered while processing:\n fails\n";
        insta::assert_snapshot!(DpkgError::read(output).to_string(), @r"
        installing package `fails`: installed fails package post-installation script subprocess returned error exit status 7
          | last words
          | to stderr
          help: the script has no network and no services here. If it asks a question, answer it in `packages.debconf`; otherwise remove the package in `packages.remove`, or lock another version
        ");
    }

    #[test]
    fn the_help_is_true_of_what_failed() {
        let after = |line: &str| {
            let output = format!(
                "{line}\ndpkg: error processing package a (--configure):\n exit status 1\n"
            );
            DpkgError::read(&output).remedy()
        };
        for (line, says) in [
            (
                "cp: cannot stat '/usr/share/doc/a/x': No such file",
                "packages.docs.keep",
            ),
            (
                "chown: changing ownership of '/a': Invalid argument",
                "/etc/subuid",
            ),
            (
                "cp: error writing '/a': No space left on device",
                "make room",
            ),
            (
                "acme-eula: the licence was not accepted",
                "packages.debconf",
            ),
        ] {
            assert!(after(line).contains(says), "{line}: {}", after(line));
        }
    }

    #[test]
    fn names_an_archive_that_cannot_be_unpacked() {
        let output = "dpkg: error processing archive /.postern/debs/b_1_all.deb (--unpack):\n \
            trying to overwrite '/usr/bin/a', which is also in package a 1\n";
        let error = DpkgError::read(output);
        assert_eq!(error.package, "b_1_all.deb");
        assert!(error.reason.starts_with("trying to overwrite"));
        assert!(error.remedy().contains("same file"));
    }

    #[test]
    fn without_a_name_the_end_is_shown() {
        let output = (0..40).map(|i| format!("line {i}\n")).collect::<String>();
        let error = DpkgError::read(&output);
        assert_eq!(
            (error.output.len(), error.output[11].as_str()),
            (12, "line 39")
        );
    }
}
