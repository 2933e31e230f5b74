//! A crate's modules and what each imports, read from its source.
//!
//! Enough of Rust for imports: words, `::` and punctuation. Comments, literals and
//! everything under `#[cfg(test)]` are left out.

use std::collections::{BTreeMap, BTreeSet};

/// Files of one crate by their paths below `src`.
pub type Files = BTreeMap<String, String>;

/// A path in a crate: `["site", "settings", "Settings"]`.
pub type Path = Vec<String>;

/// One file.
#[derive(Debug, Default)]
pub struct Module {
    /// Its path below `src`.
    pub file: String,
    /// The modules it declares that are files of their own.
    children: BTreeSet<String>,
    /// What it takes from elsewhere and hands on: the name here, and where it is from.
    exports: BTreeMap<String, Path>,
    /// What its code names: absolute paths.
    names: BTreeSet<Path>,
}

/// All modules of a crate by their paths; the crate's root has the empty one.
#[derive(Debug, Default)]
pub struct Crate(pub BTreeMap<Path, Module>);

impl Crate {
    /// Reads the modules that `lib.rs` declares, and theirs.
    pub fn read(files: &Files) -> Self {
        let mut modules = Self::default();
        modules.add(files, Vec::new(), "lib.rs".to_owned());
        modules
    }

    fn add(&mut self, files: &Files, path: Path, file: String) {
        let text = files.get(&file).unwrap_or_else(|| panic!("no {file}"));
        let module = Reader::read(&without_tests(words(text)), &path, file);
        let children = module.children.clone();
        self.0.insert(path.clone(), module);
        for child in children {
            let path: Path = path.iter().cloned().chain([child]).collect();
            let name = path.join("/");
            let file = [format!("{name}.rs"), format!("{name}/mod.rs")];
            let file = file.into_iter().find(|file| files.contains_key(file));
            let file = file.unwrap_or_else(|| panic!("module {name} has no file"));
            self.add(files, path, file);
        }
    }

    /// What each module takes from another: the module that defines it, and its names.
    pub fn imports(&self) -> BTreeMap<&Path, BTreeMap<&Path, BTreeSet<String>>> {
        let mut all = BTreeMap::new();
        for (from, module) in &self.0 {
            let mut imports: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
            for name in &module.names {
                if let Some((to, item)) = self.defined(name)
                    && to != from
                {
                    imports.entry(to).or_default().insert(item);
                }
            }
            all.insert(from, imports);
        }
        all
    }

    /// The module that defines what `name` names, through whatever hands it on.
    fn defined(&self, name: &[String]) -> Option<(&Path, String)> {
        let deepest = (0..=name.len())
            .rev()
            .find(|n| self.0.contains_key(&name[..*n]))?;
        let (path, module) = self.0.get_key_value(&name[..deepest])?;
        // A module that is only named, as in `use crate::site;`, is not used by that.
        let item = name.get(deepest)?;
        match module.exports.get(item) {
            Some(from) => {
                let rest = &name[deepest + 1..];
                self.defined(&[from, rest].concat())
            }
            None => Some((path, item.clone())),
        }
    }
}

/// Reads one file.
struct Reader<'w> {
    words: &'w [String],
    /// The module that is being read; inline ones are parts of it.
    scope: Path,
    /// Words that stand for a path in this file, by what `use` says.
    aliases: BTreeMap<String, Path>,
    module: Module,
}

impl<'w> Reader<'w> {
    fn read(words: &'w [String], path: &Path, file: String) -> Module {
        let mut reader = Self {
            words,
            scope: path.clone(),
            aliases: BTreeMap::new(),
            module: Module {
                file,
                ..Module::default()
            },
        };
        // In turns: each needs all of those before, wherever they stand.
        reader.walk(Self::child);
        reader.walk(Self::import);
        reader.walk(Self::name);
        reader.module
    }

    /// Calls `visit` at each word, in the scope of that word's inline module; it
    /// returns where to go on.
    fn walk(&mut self, visit: impl Fn(&mut Self, usize) -> usize) {
        let outside = self.scope.len();
        let (mut depth, mut inline) = (0, Vec::new());
        let mut at = 0;
        while let Some(word) = self.words.get(at) {
            match word.as_str() {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if inline.last() == Some(&depth) {
                        inline.pop();
                        self.scope.pop();
                    }
                }
                "mod" if self.word(at + 2) == "{" => {
                    inline.push(depth);
                    let name = self.word(at + 1).to_owned();
                    self.scope.push(name);
                }
                _ => {}
            }
            at = visit(self, at).max(at + 1);
        }
        assert_eq!(self.scope.len(), outside, "{}: braces", self.module.file);
    }

    fn word(&self, at: usize) -> &'w str {
        self.words.get(at).map_or("", String::as_str)
    }

    /// `mod name;`
    fn child(&mut self, at: usize) -> usize {
        if (self.word(at), self.word(at + 2)) == ("mod", ";") {
            self.module.children.insert(self.word(at + 1).to_owned());
        }
        at + 1
    }

    /// `use …;`
    fn import(&mut self, at: usize) -> usize {
        if self.word(at) != "use" {
            return at + 1;
        }
        let handed_on = at > 0 && matches!(self.word(at - 1), "pub" | ")");
        let mut found = Vec::new();
        let end = self.tree(at + 1, &[], &mut found);
        for (name, path) in found {
            let Some(path) = self.absolute(&path) else {
                continue;
            };
            assert_ne!(name, "*", "{} hides what it takes", self.module.file);
            if handed_on {
                self.module.exports.insert(name.clone(), path.clone());
            }
            self.aliases.insert(name, path);
        }
        end
    }

    /// Reads the tree of a `use` into names here and their paths; returns its end.
    fn tree(&self, mut at: usize, before: &[String], found: &mut Vec<(String, Path)>) -> usize {
        let mut path = before.to_vec();
        loop {
            match self.word(at) {
                "::" => at += 1,
                "{" => {
                    at += 1;
                    while self.word(at) != "}" {
                        at = self.tree(at, &path, found);
                        at += usize::from(self.word(at) == ",");
                    }
                    return at + 1;
                }
                "as" => {
                    found.push((self.word(at + 1).to_owned(), path));
                    return at + 2;
                }
                "," | "}" | ";" => {
                    path.pop_if(|last| last == "self");
                    found.push((path.last().cloned().unwrap_or_default(), path));
                    return at;
                }
                word => {
                    path.push(word.to_owned());
                    at += 1;
                }
            }
        }
    }

    /// A path that is named in code. What a `use` takes is used somewhere (the
    /// compiler sees to that), so only the uses count, and a `pub use` does not.
    fn name(&mut self, at: usize) -> usize {
        if self.word(at) == "use" {
            return self.tree(at + 1, &[], &mut Vec::new());
        }
        let is_word = |word: &str| word.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !is_word(self.word(at)) || self.is_part(at) {
            return at + 1;
        }
        let mut path = vec![self.word(at).to_owned()];
        let mut end = at + 1;
        while self.word(end) == "::" && is_word(self.word(end + 1)) {
            path.push(self.word(end + 1).to_owned());
            end += 2;
        }
        let known = match self.aliases.get(&path[0]) {
            Some(alias) => Some([alias, &path[1..]].concat()),
            None if path.len() > 1 => self.absolute(&path),
            None => None,
        };
        self.module.names.extend(known);
        end
    }

    /// Whether the word is a field, a method or the rest of a path.
    fn is_part(&self, at: usize) -> bool {
        let before = |n| at.checked_sub(n).map_or("", |at| self.word(at));
        before(1) == "::" || before(1) == "." && before(2) != "."
    }

    /// From the crate's root; `None` if it is not this crate's.
    fn absolute(&self, path: &[String]) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        let mut from = match first.as_str() {
            "crate" => Vec::new(),
            "self" => self.scope.clone(),
            "super" => self.scope[..self.scope.len().checked_sub(1)?].to_vec(),
            child if self.module.children.contains(child) => {
                [self.scope.as_slice(), &[child.to_owned()]].concat()
            }
            _ => return None,
        };
        for word in rest {
            match word.as_str() {
                "super" => drop(from.pop()),
                word => from.push(word.to_owned()),
            }
        }
        Some(from)
    }
}

/// Leaves out what is compiled for tests only.
fn without_tests(words: Vec<String>) -> Vec<String> {
    const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < words.len() {
        if words[at..].iter().take(TEST.len()).eq(TEST.iter()) {
            at = end_of_item(&words, at + TEST.len());
        } else {
            kept.push(words[at].clone());
            at += 1;
        }
    }
    kept
}

/// Where the item that begins at `at` ends: after its `;` or its block.
fn end_of_item(words: &[String], mut at: usize) -> usize {
    let mut depth = 0;
    while at < words.len() {
        match words[at].as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth -= 1,
            "}" => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Words, `::` and single marks; no comments, no literals but numbers.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '"' => quoted(rest),
            '\'' => character(rest),
            _ if raw(rest).is_some() => raw(rest).unwrap_or(1),
            ':' if rest.starts_with("::") => {
                words.push("::".to_owned());
                2
            }
            c if c.is_alphanumeric() || c == '_' => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                let end = end.unwrap_or(rest.len());
                words.push(rest[..end].to_owned());
                end
            }
            c => {
                if !c.is_whitespace() {
                    words.push(c.to_string());
                }
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    words
}

/// The length of the string that `text` begins with.
fn quoted(text: &str) -> usize {
    let mut escaped = true;
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return at + 1,
            '\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    text.len()
}

/// The length of a raw string, if `text` begins with one.
fn raw(text: &str) -> Option<usize> {
    let start = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = start
        .find(|c| c != '#')
        .filter(|at| start[*at..].starts_with('"'))?;
    let end = format!("\"{}", &start[..hashes]);
    let body = &start[hashes + 1..];
    let length = body.find(&end)?;
    Some(text.len() - body.len() + length + end.len())
}

/// The length of a character, or of the quote that begins a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => text[3..].find('\'').map_or(1, |at| at + 4),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 1,
    }
}
