//! The Markdown of the repository: links, anchors and code.

use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A Markdown file, taken apart.
#[derive(Debug)]
pub struct Document {
    /// Its path below the repository.
    pub path: PathBuf,
    /// Where its links and images lead, as written.
    pub links: Vec<String>,
    /// The anchors of its headings.
    pub anchors: Vec<String>,
    /// Its code blocks, each with its language.
    pub blocks: Vec<(String, String)>,
    /// Code in running text.
    pub spans: Vec<String>,
}

/// Every Markdown file below `root`, by path; nothing that builds make.
///
/// # Errors
/// If a file or directory cannot be read.
pub fn documents(root: &Path) -> std::io::Result<Vec<Document>> {
    let mut paths = Vec::new();
    walk(root, &mut paths)?;
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs_err::read_to_string(&path)?;
        let path = path.strip_prefix(root).unwrap_or(&path);
        Ok(parse(path, &text))
    };
    paths.into_iter().map(read).collect()
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs_err::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let skip = name.starts_with('.') || ["target", "dist"].contains(&&*name);
        if !skip && path.is_dir() {
            walk(&path, found)?;
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
    Ok(())
}

fn parse(path: &Path, text: &str) -> Document {
    let mut document = Document {
        path: path.to_owned(),
        links: Vec::new(),
        anchors: Vec::new(),
        blocks: Vec::new(),
        spans: Vec::new(),
    };
    let mut heading: Option<String> = None;
    let mut in_block = false;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        if let (Some(title), Event::Text(text) | Event::Code(text)) = (&mut heading, &event) {
            title.push_str(text);
        }
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                document.links.push(dest_url.into_string());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let title = heading.take().unwrap_or_default();
                document.anchors.push(anchor(&title));
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                in_block = true;
                let language = match kind {
                    CodeBlockKind::Fenced(language) => language.into_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                document.blocks.push((language, String::new()));
            }
            Event::End(TagEnd::CodeBlock) => in_block = false,
            Event::Text(text) if in_block => {
                if let Some((_, block)) = document.blocks.last_mut() {
                    *block += &text;
                }
            }
            Event::Code(code) => document.spans.push(code.into_string()),
            _ => {}
        }
    }
    document
}

/// The anchor that GitHub and mdbook give a heading.
pub fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || "-_".contains(*c);
    let dashed = heading.trim().to_lowercase().replace(' ', "-");
    dashed.chars().filter(kept).collect()
}
