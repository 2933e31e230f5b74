//! Every link of every Markdown file leads somewhere, here and on the site.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use postern_docs::markdown::{Document, documents};
use postern_docs::repository;

const SUMMARY: &str = "docs/SUMMARY.md";

/// Whether `just docs` copies `path` to the site.
fn on_site(path: &Path) -> bool {
    let above = path.parent().unwrap_or(path);
    path.starts_with("docs") || above == Path::new("") || above == Path::new("overlays")
}

/// `path` without `.` and `..`, as links are resolved.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                assert!(normal.pop(), "{} leaves the repository", path.display())
            }
            part => normal.push(part),
        }
    }
    normal
}

/// The file that `link` leads to, unless it is on the network, and the anchor there.
fn target<'a>(from: &Document, link: &'a str) -> Option<(PathBuf, Option<&'a str>)> {
    if link.contains("://") {
        return None;
    }
    let (file, anchor) = match link.split_once('#') {
        Some((file, anchor)) => (file, Some(anchor)),
        None => (link, None),
    };
    let path = match file {
        "" => from.path.clone(),
        file => normal(&from.path.parent().unwrap_or(Path::new("")).join(file)),
    };
    Some((path, anchor))
}

/// What is wrong with the links of `from`.
fn dead(from: &Document, all: &[Document]) -> Vec<String> {
    let mut dead = Vec::new();
    for link in &from.links {
        let Some((path, anchor)) = target(from, link) else {
            continue;
        };
        let page = all.iter().find(|document| document.path == path);
        let problem = if !repository().join(&path).is_file() {
            "is no file"
        } else if on_site(&from.path) && !on_site(&path) {
            "is not on the site"
        } else if anchor.is_some_and(|a| page.is_none_or(|p| !p.anchors.iter().any(|b| b == a))) {
            "has no such heading"
        } else {
            continue;
        };
        dead.push(format!("{}: {link} {problem}", from.path.display()));
    }
    dead
}

#[test]
fn no_link_is_dead() {
    let all = documents(&repository()).unwrap();
    assert!(
        all.iter()
            .map(|document| document.links.len())
            .sum::<usize>()
            > 50
    );
    let dead: Vec<_> = all
        .iter()
        .flat_map(|document| dead(document, &all))
        .collect();
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

#[test]
fn every_page_is_in_the_summary() {
    let all = documents(&repository()).unwrap();
    let summary = all.iter().find(|d| d.path == Path::new(SUMMARY)).unwrap();
    let linked = |link: &String| target(summary, link).map(|(path, _)| path);
    let listed: BTreeSet<_> = summary.links.iter().filter_map(linked).collect();
    let pages = all.iter().map(|document| document.path.clone());
    let pages: BTreeSet<_> = pages
        .filter(|path| on_site(path) && path != Path::new(SUMMARY))
        .collect();
    assert_eq!(listed, pages);
}

#[test]
fn every_path_of_the_repository_exists() {
    let folders = [
        "agent", "builder", "contract", "docs", "overlays", "profiles", "tests",
    ];
    let mut missing = Vec::new();
    for document in documents(&repository()).unwrap() {
        let path = |span: &&String| {
            let (first, rest) = span.split_once('/').unwrap_or_default();
            folders.contains(&first) && !rest.contains(['*', '…'])
        };
        let paths = document.spans.iter().filter(path);
        let gone = paths.filter(|path| !repository().join(path).exists());
        missing.extend(gone.map(|path| format!("{}: {path}", document.path.display())));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
