//! The checks of preflight drawn for a person.

use std::fmt::Write as _;

use crate::preflight::{Check, Verdict};

/// A table of name, verdict and evidence, each remedy below its line; ends
/// with a line that sums it up. Nothing in it can move the cursor.
pub fn table(checks: &[Check]) -> String {
    let widest = checks.iter().map(|check| check.name.len()).max();
    let width = widest.unwrap_or_default();
    let mut text = String::new();
    for check in checks {
        let verdict = check.verdict.name();
        let mut evidence = check.evidence.lines().map(plain);
        let first = evidence.next().unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:width$}  {verdict}  {first}", check.name);
        let remedy = check.remedy.iter().flat_map(|text| text.lines());
        let remedy = remedy.map(|line| format!("help: {}", plain(line)));
        for line in evidence.chain(remedy) {
            let _ = writeln!(text, "{:width$}        {line}", "");
        }
    }
    let _ = writeln!(text, "{}", summary(checks));
    text
}

fn summary(checks: &[Check]) -> String {
    let count = |verdict| checks.iter().filter(|c| c.verdict == verdict).count();
    format!(
        "{} checks: {} passed, {} warned, {} failed",
        checks.len(),
        count(Verdict::Pass),
        count(Verdict::Warn),
        count(Verdict::Fail)
    )
}

fn plain(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_every_check_and_what_to_do() {
        let checks = [
            Check::pass("capacity", "4 CPUs"),
            Check::warn("name", "two answers\x1b[2J\nthe first counts", "ask DNS"),
            Check::fail("tls", "not trusted", "add the CA"),
        ];
        insta::assert_snapshot!(table(&checks), @"
        capacity  pass  4 CPUs
        name      warn  two answers[2J
                        the first counts
                        help: ask DNS
        tls       fail  not trusted
                        help: add the CA
        3 checks: 1 passed, 1 warned, 1 failed
        ");
    }
}
