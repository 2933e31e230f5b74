//! Every command that a page shows is one that the programs take.

use clap::error::ErrorKind;
use postern_docs::markdown::{Document, documents};
use postern_docs::{programs, repository};

/// A command as it stands in a page.
struct Shown {
    page: String,
    words: Vec<String>,
    /// In a code block it is complete; in a sentence only its beginning may be named.
    complete: bool,
}

/// The words of a shell line up to a comment, a pipe or a redirection. What a page
/// writes for its reader (`[--json]`, `<name>-<version>`) stays one word.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        if word.starts_with(['#', '>', '|', '<', '&', '→']) && !word.starts_with("<name>") {
            break;
        }
        let word = word.trim_matches(['[', ']', '"', '\'', '(', ')']);
        // A number for its reader to choose.
        words.push(if word == "N" { "1" } else { word }.to_owned());
    }
    words
}

/// The commands of our programs in `text`, which may set variables first.
fn commands(document: &Document, text: &str, complete: bool) -> Vec<Shown> {
    let names = ["postern", "postern-agent"];
    let mut shown = Vec::new();
    for line in text.replace("\\\n", " ").lines() {
        let words = words(line);
        let start = words.iter().position(|word| !word.contains('='));
        let Some(start) = start.filter(|&at| names.contains(&words[at].as_str())) else {
            continue;
        };
        shown.push(Shown {
            page: document.path.display().to_string(),
            words: words[start..].to_vec(),
            complete,
        });
    }
    shown
}

#[test]
fn every_command_in_the_docs_is_one_that_the_programs_take() {
    let all = documents(&repository()).unwrap();
    let pages = all.iter().filter(|d| !d.path.starts_with("docs/reference"));
    let shown: Vec<_> = pages
        .flat_map(|document| {
            let blocks = document
                .blocks
                .iter()
                .filter(|(language, _)| language != "yaml");
            let blocks = blocks.flat_map(|(_, text)| commands(document, text, true));
            let spans = document.spans.iter();
            blocks.chain(spans.flat_map(|text| commands(document, text, false)))
        })
        .collect();
    assert!(shown.len() > 100, "{}", shown.len());
    let mut wrong = Vec::new();
    for Shown {
        page,
        words,
        complete,
    } in &shown
    {
        let program = programs().into_iter().find(|p| p.get_name() == words[0]);
        let Err(error) = program.unwrap().try_get_matches_from(words) else {
            continue;
        };
        let named_only = match error.kind() {
            ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => true,
            ErrorKind::InvalidValue => words.last().is_some_and(|word| word.starts_with("--")),
            _ => false,
        };
        if !(named_only && !complete || error.exit_code() == 0) {
            wrong.push(format!("{page}: {}\n{error}", words.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
