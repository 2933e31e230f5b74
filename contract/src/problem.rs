//! Problems in what a person wrote: what, where, and what to do about it.

use std::fmt;

/// One mistake in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File as the person named it.
    pub file: String,
    /// Line and column, both from 1; `None` when the whole file is at fault.
    pub at: Option<Position>,
    /// The key, dotted (`network.pod-cidr`); empty for the document itself.
    pub key: String,
    /// What is wrong, one clause, no full stop.
    pub what: String,
    /// What to do, one clause, no full stop.
    pub remedy: String,
}

/// What a rule has against a value: the problem without its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// What is wrong, one clause, no full stop, never a secret.
    pub what: String,
    /// What to do, one clause, no full stop.
    pub remedy: String,
}

impl Complaint {
    /// What is wrong and what to do about it.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

/// A place in a file; both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(at) = self.at {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        write!(f, ": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        write!(f, "{}\n  help: {}", self.what, self.remedy)
    }
}

/// Every problem found, in the order of the file. Never empty when returned as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
