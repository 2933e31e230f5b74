//! The generated pages of `docs/reference`: [`command_line`] from clap's command
//! trees, [`schema`] from the two JSON schemas. `just reference` writes them; the
//! tests of this crate say when they are stale, and check links, anchors and the
//! commands that the guide shows.

pub mod command_line;
pub mod markdown;
pub mod schema;

use std::path::{Path, PathBuf};

use clap::CommandFactory;

/// A file of `docs/reference`.
#[derive(Debug)]
pub struct Page {
    /// Its name in that folder.
    pub name: String,
    /// Its whole content.
    pub text: String,
}

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The command trees of the two programs, complete with what clap adds.
pub fn programs() -> [clap::Command; 2] {
    [
        postern::cli::Cli::command(),
        postern_agent::cli::Cli::command(),
    ]
    .map(|mut program| {
        program.build();
        program
    })
}

/// All generated pages.
///
/// # Errors
/// If a schema is no JSON document.
pub fn pages() -> serde_json::Result<Vec<Page>> {
    let mut pages = Vec::new();
    for program in programs() {
        pages.push(Page {
            name: format!("{}.md", program.get_name()),
            text: command_line::render(&program),
        });
    }
    let schemas = [
        (
            "profile",
            "Profile keys",
            postern::profile::schema::profile(),
        ),
        (
            "gateway",
            "Gateway file keys",
            postern::profile::schema::gateway(),
        ),
    ];
    for (name, title, schema) in schemas {
        // As `postern schema` prints it; a `Value` has its keys in another order.
        pages.push(Page {
            name: format!("{name}.schema.json"),
            text: serde_json::to_string_pretty(&schema)? + "\n",
        });
        pages.push(Page {
            name: format!("{name}.md"),
            text: schema::render(name, title, &schema.into()),
        });
    }
    Ok(pages)
}

/// `text` as Markdown: what looks like HTML outside of code is none.
fn prose(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(n, part)| match n % 2 {
        0 => part.replace('<', "&lt;"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

/// `text` as the content of one cell of a Markdown table.
fn cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    prose(&line).replace('|', "\\|")
}

/// `text` as code in a cell of a Markdown table.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('|', "\\|"))
}

/// A Markdown table; nothing if it has no rows.
fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(&head.map(str::to_owned));
    text += &line(&["---"; N].map(str::to_owned));
    for row in rows {
        text += &line(row);
    }
    text + "\n"
}
