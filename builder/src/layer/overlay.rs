//! A directory that mirrors the root and is laid over it.
//!
//! Files are 0644, or 0755 if they are executable on disk; `*.tera` are
//! rendered and lose that ending; symbolic links stay as they are; `.wh.NAME`
//! removes `NAME` below. Directories say nothing about their mode, so `/tmp` stays
//! what it is; empty ones are made where there are none. `.gitkeep` and a
//! `README.md` at the top are for people and left out; what an editor or a system
//! left behind is refused, and so is a set-user-ID bit or a capability, which no
//! checkout keeps. An optional `overlay.yaml` at the top gives other modes and names
//! what may be replaced:
//!
//! ```yaml
//! modes: { etc/postern/secret.d: "0700" }
//! replaces: [ /etc/motd ]
//! ```

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use postern_contract::problem::{Position, Problem, Problems};
use serde::Deserialize;
use walkdir::{DirEntry, WalkDir};

use super::template::Vars;
use super::{LayerBuilder, LayerError, SiteLayer};
use crate::builtin::{Content, Overlay};
use crate::tree::TreePath;

/// The file that says how, at the overlay's top; not installed.
const SETTINGS: &str = "overlay.yaml";
/// Ending of templates.
const TEMPLATE: &str = ".tera";
/// Beginning of a name that removes.
const WHITEOUT: &[u8] = b".wh.";
/// At the top for people, not for the machine.
const README: &[u8] = b"README.md";
/// Makes git keep a directory that is empty.
const GIT_KEEP: &[u8] = b".gitkeep";
/// Names that nobody means to install.
const LEFT_BEHIND: [&[u8]; 4] = [b".git", b".svn", b".DS_Store", b"Thumbs.db"];
/// Their endings: backups and swap files of editors.
const LEFT_BEHIND_ENDINGS: [&[u8]; 3] = [b"~", b".swp", b".orig"];
/// Set-user-ID, set-group-ID and sticky.
const SPECIAL_BITS: u32 = 0o7000;
/// The extended attribute that holds capabilities (capabilities(7)).
const CAPABILITY: &str = "security.capability";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    modes: BTreeMap<String, String>,
    replaces: Vec<String>,
}

/// `overlay.yaml`, checked. Modes are taken out as they are used.
#[derive(Debug, Default)]
struct Settings {
    modes: BTreeMap<TreePath, u32>,
    replaces: Vec<TreePath>,
}

/// The layer of the overlay at `dir`, its templates rendered with `vars`, to be laid
/// over what has the directories that `below` knows. Named after the overlay.
///
/// # Errors
/// Every mistake in the overlay at once, or the first I/O error.
pub fn layer(
    dir: &Path,
    vars: &Vars,
    below: &dyn Fn(&TreePath) -> bool,
    epoch: u64,
) -> Result<SiteLayer, LayerError> {
    let base = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy();
    let name = format!("overlay {base}");
    let mut reader = Reader {
        dir,
        vars,
        below,
        layer: LayerBuilder::new(&name, epoch),
        settings: Settings::default(),
        problems: Vec::new(),
    };
    reader
        .settings()
        .map_err(|source| reader.layer.io(source))?;
    // Sorted, so that problems come in an order a person can follow.
    let mut walk = WalkDir::new(dir)
        .min_depth(1)
        .sort_by_file_name()
        .into_iter();
    while let Some(entry) = walk.next() {
        let entry = entry.map_err(|e| reader.layer.io(e.into()))?;
        if is_left_behind(entry.file_name().as_bytes()) {
            let what = "is not meant for a machine";
            reader.problem(entry.path(), what, "remove it from the overlay");
            if entry.file_type().is_dir() {
                walk.skip_current_dir();
            }
            continue;
        }
        reader.entry(&entry)?;
    }
    reader.finish()
}

/// The layer of an overlay that comes with the program; ours have no `overlay.yaml` and
/// remove nothing.
///
/// # Errors
/// If a template has no value for a name.
pub fn built_in(overlay: &Overlay, vars: &Vars, epoch: u64) -> Result<SiteLayer, LayerError> {
    let mut layer = LayerBuilder::new(&format!("overlay {}", overlay.name), epoch);
    for entry in overlay.entries {
        let (path, template) = match entry.path.strip_suffix(TEMPLATE) {
            Some(path) => (path, true),
            None => (entry.path, false),
        };
        match entry.content {
            Content::Symlink(target) => layer.add_symlink(path, target)?,
            Content::File { executable, bytes } => {
                let bytes = match template {
                    true => {
                        let shown = format!("postern:{}/{}", overlay.name, entry.path);
                        let text = String::from_utf8_lossy(bytes);
                        let text = vars.render(&shown, &text);
                        text.map_err(|problem| Problems(vec![problem]))?.into()
                    }
                    false => bytes.to_vec(),
                };
                layer.add_file(path, Content::mode(executable), bytes)?;
            }
        }
    }
    Ok(layer.finish())
}

struct Reader<'a> {
    dir: &'a Path,
    vars: &'a Vars,
    below: &'a dyn Fn(&TreePath) -> bool,
    layer: LayerBuilder,
    settings: Settings,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn settings(&mut self) -> io::Result<()> {
        let file = self.dir.join(SETTINGS);
        let text = match fs_err::read_to_string(&file) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e),
        };
        match parse(&file.to_string_lossy(), &text) {
            Ok(settings) => self.settings = settings,
            Err(problems) => self.problems.extend(problems),
        }
        Ok(())
    }

    fn entry(&mut self, entry: &DirEntry) -> Result<(), LayerError> {
        let host = entry.path();
        let inside = host
            .strip_prefix(self.dir)
            .unwrap_or(host)
            .as_os_str()
            .as_bytes();
        let name = entry.file_name().as_bytes();
        let kind = entry.file_type();
        if inside == SETTINGS.as_bytes() || inside == README || name == GIT_KEEP {
            return Ok(());
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            let at = [&inside[..inside.len() - name.len()], hidden].concat();
            return self.layer.whiteout(at);
        }
        if kind.is_dir() {
            return self.dir(host, inside);
        }
        if kind.is_symlink() {
            let target = fs_err::read_link(host).map_err(|e| self.layer.io(e))?;
            return self
                .layer
                .add_symlink(inside, target.as_os_str().as_bytes());
        }
        if kind.is_file() {
            return self.file(host, inside);
        }
        self.problem(
            host,
            "is neither a file, a directory nor a symbolic link",
            "remove it from the overlay",
        );
        Ok(())
    }

    fn dir(&mut self, host: &Path, inside: &[u8]) -> Result<(), LayerError> {
        if let Some(mode) = self.settings.modes.remove(inside) {
            return self.layer.add_dir(inside, mode);
        }
        let within = fs_err::read_dir(host).map_err(|e| self.layer.io(e))?;
        let mut names = within.filter_map(Result::ok).map(|entry| entry.file_name());
        let is_empty = names.all(|name| name.as_bytes() == GIT_KEEP);
        let is_there = TreePath::new(inside).is_ok_and(|path| (self.below)(&path));
        match is_empty && !is_there {
            true => self.layer.add_dir(inside, 0o755),
            false => Ok(()),
        }
    }

    fn file(&mut self, host: &Path, inside: &[u8]) -> Result<(), LayerError> {
        let bytes = fs_err::read(host).map_err(|e| self.layer.io(e))?;
        let metadata = fs_err::metadata(host).map_err(|e| self.layer.io(e))?;
        let executable = metadata.permissions().mode() & 0o111 != 0;
        let (inside, bytes) = match inside.strip_suffix(TEMPLATE.as_bytes()) {
            Some(inside) => match self.rendered(host, bytes) {
                Some(text) => (inside, text.into_bytes()),
                None => return Ok(()),
            },
            None => (inside, bytes),
        };
        let explicit = self.settings.modes.remove(inside);
        if explicit.is_none() && metadata.permissions().mode() & SPECIAL_BITS != 0 {
            let what = "has a set-user-ID, set-group-ID or sticky bit, which a checkout loses";
            self.problem(
                host,
                what,
                "write its mode under `modes` in the overlay's overlay.yaml",
            );
        }
        if xattr::get(host, CAPABILITY).is_ok_and(|value| value.is_some()) {
            let what = "has capabilities, which a checkout loses";
            let remedy =
                "give them to its unit with `AmbientCapabilities=`, or bring it in a package";
            self.problem(host, what, remedy);
        }
        let mode = explicit.unwrap_or(if executable { 0o755 } else { 0o644 });
        self.layer.add_file(inside, mode, bytes)
    }

    fn rendered(&mut self, host: &Path, bytes: Vec<u8>) -> Option<String> {
        let Ok(text) = String::from_utf8(bytes) else {
            self.problem(host, "is a template but not UTF-8", "save it as UTF-8");
            return None;
        };
        match self.vars.render(&host.to_string_lossy(), &text) {
            Ok(text) => Some(text),
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn problem(&mut self, file: &Path, what: &str, remedy: &str) {
        self.problems.push(Problem {
            file: file.to_string_lossy().into_owned(),
            at: None,
            key: String::new(),
            what: what.to_owned(),
            remedy: remedy.to_owned(),
        });
    }

    fn finish(mut self) -> Result<SiteLayer, LayerError> {
        let file = self.dir.join(SETTINGS);
        // With mistakes elsewhere the overlay is not complete, so these would be guesses.
        if self.problems.is_empty() {
            for path in std::mem::take(&mut self.settings.modes).into_keys() {
                let what = format!("modes: the overlay has no {path}");
                self.problem(&file, &what, "correct the path or remove the line");
            }
            for path in std::mem::take(&mut self.settings.replaces) {
                if !self.layer.has(&path) {
                    let what = format!("replaces: the overlay has no {path}");
                    self.problem(&file, &what, "correct the path or remove the line");
                }
                self.layer.may_replace(path.as_bytes())?;
            }
        }
        if !self.problems.is_empty() {
            return Err(Problems(self.problems).into());
        }
        Ok(self.layer.finish())
    }
}

fn is_left_behind(name: &[u8]) -> bool {
    // Of a container's layers: "nothing of the directory below" (OCI image layer).
    let opaque = name == b".wh..wh..opq";
    let ending = |ending: &&[u8]| name.ends_with(ending);
    opaque || LEFT_BEHIND.contains(&name) || LEFT_BEHIND_ENDINGS.iter().any(ending)
}

fn parse(file: &str, text: &str) -> Result<Settings, Vec<Problem>> {
    let problem = |at, key: &str, what: String, remedy: &str| Problem {
        file: file.to_owned(),
        at,
        key: key.to_owned(),
        what,
        remedy: remedy.to_owned(),
    };
    if text.trim().is_empty() {
        return Ok(Settings::default());
    }
    let written: Written = serde_saphyr::from_str(text).map_err(|error| {
        let at = error.location().map(|at| Position {
            line: at.line() as usize,
            column: at.column() as usize,
        });
        let first = error.to_string();
        let what = first.lines().next().unwrap_or_default().to_owned();
        vec![problem(at, "", what, "it has `modes` and `replaces` only")]
    })?;
    let mut settings = Settings::default();
    let mut problems = Vec::new();
    let path = |key: &str, text: &str, problems: &mut Vec<Problem>| {
        let path = TreePath::new(text);
        path.map_err(|e| {
            problems.push(problem(None, key, e.to_string(), "name a path in the root"))
        })
        .ok()
    };
    for (name, mode) in &written.modes {
        let key = format!("modes.{name}");
        let bits = u32::from_str_radix(mode, 8)
            .ok()
            .filter(|bits| *bits <= 0o7777);
        if bits.is_none() {
            let what = format!("`{mode}` is not a mode");
            problems.push(problem(
                None,
                &key,
                what,
                "write four octal digits in quotes: \"0644\"",
            ));
        }
        if let (Some(path), Some(bits)) = (path(&key, name, &mut problems), bits) {
            settings.modes.insert(path, bits);
        }
    }
    for name in &written.replaces {
        settings
            .replaces
            .extend(path("replaces", name, &mut problems));
    }
    if problems.is_empty() {
        Ok(settings)
    } else {
        Err(problems)
    }
}

#[cfg(test)]
#[path = "overlay_tests.rs"]
mod tests;
