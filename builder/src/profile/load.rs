//! From files, and what is built in, to a profile: read, follow `extends`, merge, validate.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use jiff::Timestamp;
use postern_contract::document::{
    self, Complaint, Entry, Findings, Item, Node, Severity, Sources, Value, shape,
};
use postern_contract::host::clock;
use postern_contract::problem::Problems;

use super::model::Profile;
use super::{built_in, merge, schema, validate};

/// Why there is no profile, or no gateway file.
#[derive(Debug)]
pub enum LoadError {
    /// The file itself cannot be read; the error names it.
    Read(io::Error),
    /// It is none of those that are built in.
    Unknown(Complaint),
    /// What is written in it, or in what it extends, breaks rules.
    Invalid {
        /// Every problem, in the order of the files.
        problems: Problems,
        /// The files they are in.
        sources: Sources,
    },
}

impl LoadError {
    /// For a person at a terminal: with the lines at fault, in colour if `styled`.
    pub fn render(&self, styled: bool) -> String {
        match self {
            LoadError::Read(_) | LoadError::Unknown(_) => format!("error: {self}"),
            LoadError::Invalid { problems, sources } => {
                document::render(&problems.0, Severity::Error, sources, styled)
            }
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Read(error) => write!(f, "{error}"),
            LoadError::Unknown(Complaint { what, remedy }) => {
                write!(f, "{what}\n  help: {remedy}")
            }
            LoadError::Invalid { problems, .. } => problems.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

impl Profile {
    /// Reads the profile at `path` and everything it extends. Paths in it are
    /// relative to the file they are written in, must exist, and come out absolute.
    ///
    /// # Errors
    /// An unreadable file, or every problem in the files at once.
    pub fn load(path: &Path) -> Result<Profile, LoadError> {
        load_at(path, clock::now())
    }
}

/// The text of a file that a person wrote, in UTF-8 or UTF-16.
///
/// # Errors
/// If it cannot be read or is no text; the message names it.
pub fn read_text(path: &Path) -> io::Result<String> {
    document::decode(&fs::read(path)?).ok_or_else(|| {
        let what = format!(
            "{} is not text in UTF-8\n  help: save it as UTF-8",
            path.display()
        );
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}

/// [`Profile::load`] at a given time, which certificates must be valid at.
pub(super) fn load_at(path: &Path, now: Timestamp) -> Result<Profile, LoadError> {
    let file = path.display().to_string();
    let text = read_text(path).map_err(LoadError::Read)?;
    let absolute = fs::canonicalize(path).map_err(LoadError::Read)?;
    let mut reading = Reading::default();
    let root = reading.document(&file, Source::File(absolute.clone()), text);
    let Reading {
        mut findings,
        sources,
        ..
    } = reading;
    let profile = root.and_then(|root| validate::profile(absolute, root, now, &mut findings));
    match findings.finish(profile) {
        Ok((profile, warnings)) => Ok(Profile {
            warnings,
            ..profile
        }),
        Err(problems) => Err(LoadError::Invalid { problems, sources }),
    }
}

/// Where the text of a profile is.
#[derive(PartialEq, Eq)]
enum Source {
    /// In the file with this absolute path.
    File(PathBuf),
    /// In this program, under this name.
    BuiltIn(&'static str),
}

/// What another profile extends.
struct Extended {
    /// Its name for people.
    shown: String,
    source: Source,
    text: String,
}

impl Extended {
    /// What `name` means in `file`.
    fn find(file: &str, name: &str) -> Result<Self, Complaint> {
        if built_in::name(name).is_some() {
            let profile = built_in::find(name)?;
            return Ok(Self {
                shown: built_in::full_name(profile),
                source: Source::BuiltIn(profile.name),
                text: profile.text.to_owned(),
            });
        }
        let path = Path::new(file).parent().unwrap_or(Path::new("")).join(name);
        let read = fs::canonicalize(&path).and_then(|absolute| {
            let text = read_text(&path)?;
            Ok((absolute, text))
        });
        let (absolute, text) = read.map_err(|error| {
            let remedy = format!(
                "name a file, relative to the one that extends it, or a built-in profile: {}",
                built_in::names()
            );
            Complaint::new(format!("cannot be read: {error}"), remedy)
        })?;
        Ok(Self {
            shown: path.display().to_string(),
            source: Source::File(absolute),
            text,
        })
    }
}

/// The profiles read so far.
#[derive(Default)]
struct Reading {
    findings: Findings,
    sources: Sources,
    /// What is being read, each extended by the one before it.
    open: Vec<Source>,
}

impl Reading {
    /// The tree of one profile over what it extends.
    fn document(&mut self, file: &str, source: Source, text: String) -> Option<Node> {
        let root = document::read(file, &text, &mut self.findings);
        self.sources.insert(file.to_owned(), text);
        let mut root = root?;
        shape::check(&schema::HEADER, &mut root, &mut self.findings);
        self.open.push(source);
        let extends = Item::root(&root).at("extends").pop();
        let base = extends.and_then(|item| self.extended(file, &item));
        self.open.pop();
        if let Value::Map(entries) = &mut root.value {
            entries.retain(|entry| !is_header(entry));
        }
        Some(match base {
            Some(base) => merge::over(base, root),
            None => root,
        })
    }

    /// The tree of the profile that `item` names.
    fn extended(&mut self, file: &str, item: &Item<'_>) -> Option<Node> {
        let found = Extended::find(file, item.node.value.as_text()?);
        let complaint = match found {
            Ok(found) if !self.open.contains(&found.source) => {
                return self.document(&found.shown, found.source, found.text);
            }
            Ok(found) => Complaint::new(
                format!("{} extends itself in a circle", found.shown),
                "remove one `extends` of the circle",
            ),
            Err(complaint) => complaint,
        };
        self.findings.add(item.problem(complaint));
        None
    }
}

/// Keys about the file, not about the image.
fn is_header(entry: &Entry) -> bool {
    matches!(entry.key.as_str(), "apiVersion" | "extends")
}
