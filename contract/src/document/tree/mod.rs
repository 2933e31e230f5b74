//! YAML text as a tree that remembers where everything was written.
//!
//! Scalars keep the text a person wrote: `1.10` stays `1.10`, whatever YAML
//! thinks of numbers. Aliases are expanded within small limits, since a file
//! written by hand needs few of them and an "alias bomb" needs many.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, Location, Spanned};
use url::Url;
use zeroize::Zeroizing;

use crate::problem::{Complaint, Position, Problem};

/// A profile or gateway file beyond this many bytes was not written by hand.
const MAX_BYTES: usize = 1 << 20;

/// A place in a named file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// File as the person named it.
    pub file: Arc<str>,
    /// Where in it.
    pub at: Position,
}

/// One value and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where the value begins.
    pub place: Place,
    /// The value.
    pub value: Value,
}

/// What a person wrote; any scalar could be a secret, so it is zeroed when dropped.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Anything YAML would call a number, as written.
    Number(Zeroizing<String>),
    /// Text.
    Text(Zeroizing<String>),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order written.
    Map(Vec<Entry>),
    /// Something wrong, which is reported already.
    Refused,
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text.into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Value::Number(number.to_string().into())
    }
}

impl From<Url> for Value {
    fn from(url: Url) -> Self {
        String::from(url).into()
    }
}

/// One key of a mapping and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key is.
    pub place: Place,
    /// Its value.
    pub node: Node,
}

/// Shows the shape only: any value could be a secret.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::List(nodes) => f.debug_list().entries(nodes).finish(),
            Value::Map(entries) => f.debug_list().entries(entries).finish(),
            scalar => f.write_str(scalar.kind()),
        }
    }
}

impl Value {
    /// What this is, for people: `text`, `a list`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Value::Null | Value::Refused => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The text, or the number as it was written.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) | Value::Number(text) => Some(text),
            _ => None,
        }
    }
}

impl Place {
    /// A problem with what is here, under its dotted key.
    pub fn problem(&self, key: String, complaint: Complaint) -> Problem {
        Problem {
            file: self.file.to_string(),
            at: Some(self.at),
            key,
            what: complaint.what,
            remedy: complaint.remedy,
        }
    }
}

impl Node {
    /// The value of `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.node),
            _ => None,
        }
    }
}

/// Reads `text`. When only a key is written twice, the tree comes back all the
/// same (the first one counts), so that the rest of the file is still checked.
pub(super) fn read(file: &str, text: &str) -> (Option<Node>, Option<Problem>) {
    if text.len() > MAX_BYTES {
        let what = format!("is {} bytes long", text.len());
        let remedy = format!("keep it under {MAX_BYTES} bytes; is it the right file?");
        return (None, Some(problem(file, None, what, remedy)));
    }
    match parse(text, DuplicateKeyPolicy::Error) {
        Ok(root) => (Some(root.into_node(&file.into(), text)), None),
        Err(error) => {
            let found = syntax_problem(file, &error);
            let twice = matches!(error.without_snippet(), Error::DuplicateMappingKey { .. });
            let again = twice.then(|| parse(text, DuplicateKeyPolicy::FirstWins).ok());
            let node = again.flatten().map(|r| r.into_node(&file.into(), text));
            (node, Some(found))
        }
    }
}

fn parse(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Located, Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: 50_000, max_depth: 32, max_documents: 1 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
        duplicate_keys: duplicate_keys,
        strict_booleans: true,
        reject_unsupported_tags: true,
        // A code such as 38E72331 is a number of YAML's, too large for any: it is
        // taken as it was written.
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map(Located)
}

fn syntax_problem(file: &str, error: &Error) -> Problem {
    let at = error.location().map(position);
    let (what, remedy) = match innermost(error) {
        Error::DuplicateMappingKey { key: Some(key), .. } => (
            format!("the key `{key}` is written twice"),
            "keep one of the two",
        ),
        Error::Budget { .. } | Error::AliasReplayLimitExceeded { .. } => (
            "has more nesting, aliases or documents than such a file needs".to_owned(),
            "write one document, with the values in place of aliases",
        ),
        Error::RecursiveReferencesRequireWeakTypes { .. } => (
            "an alias refers to a value that it is part of".to_owned(),
            "write the value in place of the alias",
        ),
        other => (
            format!("is not valid YAML: {}", brief(&other.to_string())),
            "correct the YAML here or just above: indentation, quotes, colons",
        ),
    };
    problem(file, at, what, remedy.to_owned())
}

fn innermost(error: &Error) -> &Error {
    match error.without_snippet() {
        Error::AliasError { error, .. } => innermost(error),
        error => error,
    }
}

/// What the parser says, without the position: that is ours to print.
fn brief(message: &str) -> &str {
    let first = message.lines().next().unwrap_or_default();
    let what = first.split(" at line ").next().unwrap_or(first);
    what.trim_end_matches('.')
}

fn problem(file: &str, at: Option<Position>, what: String, remedy: String) -> Problem {
    Problem {
        file: file.to_owned(),
        at,
        key: String::new(),
        what,
        remedy,
    }
}

fn position(location: Location) -> Position {
    let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).max(1);
    Position {
        line: number(location.line()),
        column: number(location.column()),
    }
}

/// A [`Node`] before its scalars got the text they were written with.
struct Located(Spanned<Raw>);

enum Raw {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl Located {
    fn into_node(self, file: &Arc<str>, text: &str) -> Node {
        let Spanned { value, defined, .. } = self.0;
        let place = |location| Place {
            file: Arc::clone(file),
            at: position(location),
        };
        let value = match value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Number(value) => Value::Number(as_written(text, defined).unwrap_or(value).into()),
            Raw::Text(value) => Value::Text(value.into()),
            Raw::List(nodes) => {
                let node = |n| Located(n).into_node(file, text);
                Value::List(nodes.into_iter().map(node).collect())
            }
            Raw::Map(entries) => {
                let entry = |(key, node): (Spanned<String>, _)| Entry {
                    place: place(key.defined),
                    key: key.value,
                    node: Located(node).into_node(file, text),
                };
                Value::Map(entries.into_iter().map(entry).collect())
            }
        };
        Node {
            place: place(defined),
            value,
        }
    }
}

/// The source of a plain scalar.
fn as_written(text: &str, location: Location) -> Option<String> {
    let span = location.span();
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let len = usize::try_from(span.byte_len()?).ok()?;
    text.get(start..start.checked_add(len)?)
        .map(|word| word.trim().to_owned())
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = seq.next_element()? {
            nodes.push(node);
        }
        Ok(Raw::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests;
