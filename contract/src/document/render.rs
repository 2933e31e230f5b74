//! Showing problems to a person: the line at fault, a caret, what to do.

use std::collections::BTreeMap;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::problem::{Position, Problem};

use super::excerpt::masked_line;

/// The text of each file, by the name that [`Problem::file`] has.
pub type Sources = BTreeMap<String, String>;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The files cannot be used.
    Error,
    /// The files can be used, but probably not as intended.
    Warning,
}

/// All problems as text for a terminal, in colour if `styled`, with secrets masked.
pub fn render(problems: &[Problem], severity: Severity, sources: &Sources, styled: bool) -> String {
    let renderer = match styled {
        true => Renderer::styled(),
        false => Renderer::plain(),
    };
    let one = |problem| renderer.render(&report(problem, severity, sources));
    problems.iter().map(one).collect::<Vec<_>>().join("\n\n")
}

fn report<'p>(problem: &'p Problem, severity: Severity, sources: &Sources) -> [Group<'p>; 1] {
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = match problem.key.as_str() {
        "" => problem.what.clone(),
        key => format!("{key}: {}", problem.what),
    };
    let group = level.primary_title(title).elements(None::<Origin<'_>>);
    let shown = problem.at.and_then(|at| {
        let line = masked_line(sources.get(&problem.file)?, at.line)?;
        Some((at, line))
    });
    let group = match shown {
        Some((at, line)) => {
            let span = extent(&line, at.column);
            let annotation = AnnotationKind::Primary.span(span);
            let snippet = Snippet::source(line).path(problem.file.as_str());
            group.element(snippet.line_start(at.line).annotation(annotation))
        }
        None => group.element(origin(&problem.file, problem.at)),
    };
    [group.element(Level::HELP.message(problem.remedy.as_str()))]
}

fn origin(file: &str, at: Option<Position>) -> Origin<'_> {
    match at {
        Some(at) => Origin::path(file).line(at.line).char_column(at.column),
        None => Origin::path(file),
    }
}

/// The bytes of `line` that the value or key at `column` (from 1) covers.
fn extent(line: &str, column: usize) -> Range<usize> {
    let indices = line.char_indices().map(|(at, _)| at);
    let start = indices.skip(column - 1).chain([line.len()]).next();
    let start = start.unwrap_or(line.len());
    let rest = &line[start..];
    let quoted = rest.chars().next().filter(|c| "\"'".contains(*c));
    let length = match quoted {
        Some(quote) => rest[1..].find(quote).map_or(rest.len(), |end| end + 2),
        None if rest.starts_with(['[', '{']) => rest.len(),
        None => [": ", " #", ", ", "]", "}"]
            .iter()
            .filter_map(|end| rest.find(end))
            .min()
            .unwrap_or(rest.len()),
    };
    let word = rest[..length].trim_end().trim_end_matches(':');
    start..start + word.len().max(usize::from(!rest.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: usize, column: usize) -> Problem {
        Problem {
            file: "edge.yaml".to_owned(),
            at: Some(Position { line, column }),
            key: "network.pod-cidr".to_owned(),
            what: "is not a network".to_owned(),
            remedy: "write `10.42.0.0/16`".to_owned(),
        }
    }

    #[test]
    fn shows_the_line_the_caret_and_the_help() {
        let source = "network:\n  pod-cidr: 10.42.0.0  # pods\n".to_owned();
        let sources = Sources::from([("edge.yaml".to_owned(), source)]);
        let text = render(&[problem(2, 13)], Severity::Error, &sources, false);
        insta::assert_snapshot!(text, @"
        error: network.pod-cidr: is not a network
         --> edge.yaml:2:13
          |
        2 |   pod-cidr: 10.42.0.0  # pods
          |             ^^^^^^^^^
          |
          = help: write `10.42.0.0/16`
        ");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let source = "palette:\n  pairing: {pin: SESAME}\n".to_owned();
        let sources = Sources::from([("edge.yaml".to_owned(), source)]);
        for column in [1, 3, 13, 18, 25, 80] {
            let text = render(&[problem(2, column)], Severity::Warning, &sources, false);
            assert!(text.contains("edge.yaml:2"), "{text}");
            assert!(!text.contains("SESAME"), "{text}");
        }
    }

    #[test]
    fn without_the_source_it_names_the_place() {
        let text = render(&[problem(2, 13)], Severity::Error, &Sources::new(), false);
        assert!(text.contains("edge.yaml:2:13"), "{text}");
        assert!(text.contains("write `10.42.0.0/16`"), "{text}");
    }

    #[test]
    fn the_caret_covers_the_word() {
        for (line, column, covered) in [
            ("pod-cidr: 10.0.0.0/8 # x", 1, "pod-cidr"),
            ("pod-cidr: 10.0.0.0/8 # x", 11, "10.0.0.0/8"),
            ("list: [one, two]", 8, "one"),
            ("list: [one, two]", 13, "two"),
            ("list: [one, two]", 7, "[one, two]"),
            ("name: \"a: b\"", 7, "\"a: b\""),
            ("é: ü", 4, "ü"),
            ("key:", 1, "key"),
            ("url: http://host:1/", 6, "http://host:1/"),
            ("", 9, ""),
        ] {
            assert_eq!(&line[extent(line, column)], covered, "{line}");
        }
    }
}
