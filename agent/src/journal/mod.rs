//! What this machine did so far: written whole at every step, read at every boot.
//!
//! The journal holds facts ("asked Palette to register at …"), not wishes. An
//! act that must not happen twice is written down before it is done and again
//! with its outcome: a power cut in between leaves [`Registration::Asked`],
//! and then the cluster is asked for evidence before Palette is asked again.
//!
//! [`condition`] is why a machine stands still, [`contact`] when Palette was heard.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use jiff::Timestamp;
use postern_contract::host::files::write_atomic;
use postern_contract::state::State;
use serde::{Deserialize, Serialize};

pub mod condition;
pub mod contact;

use contact::Contact;

/// Version of the format that this agent writes and reads.
const SCHEMA: u32 = 1;

/// Lines of history that are kept, newest last.
const HISTORY: usize = 100;

/// `/var/lib/postern/journal.json`, mode 0600. Keys of a newer agent are passed over:
/// an older one reads it after a version was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Journal {
    /// Version of this format; 1.
    pub schema: u32,
    /// How far the machine is in this boot.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// `/proc/sys/kernel/random/boot_id` of the boot that wrote this.
    pub boot_id: String,
    /// Boots that the agent saw, this one included.
    pub boots: u32,
    /// Tries that failed, by the state they were made in; a success clears its entry.
    #[serde(default)]
    pub attempts: BTreeMap<State, u32>,
    /// SHA-256 of what the gateway pairs with (its strategy's fingerprint), hex.
    /// Never the code or key.
    #[serde(default)]
    pub pairing_code_sha256: Option<String>,
    /// SHA-256 of the manifest as Palette sent it, hex.
    #[serde(default)]
    pub manifest_sha256: Option<String>,
    /// When the cluster took the manifest.
    #[serde(default)]
    pub applied: Option<Timestamp>,
    /// The gateway's uid in Palette, from ConfigMap `jet-system/overlord-config`.
    #[serde(default)]
    pub overlord_uid: Option<String>,
    /// What is known about the registration.
    #[serde(default)]
    pub registration: Registration,
    /// When the pairing code and MAAS' credentials left this disk.
    #[serde(default)]
    pub scrubbed: Option<Timestamp>,
    /// What is known of Palette.
    #[serde(default)]
    pub contact: Contact,
    /// When Palette may be asked first: machines that boot together take turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<Timestamp>,
    /// Refusals in a row because too many requests come from this address.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u32,
    /// What happened, oldest first.
    #[serde(default)]
    pub history: Vec<Entry>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// What is known about the registration with Palette.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Registration {
    /// Palette was not asked.
    #[default]
    NotAsked,
    /// Palette was asked, or may have been, and the answer is not known.
    Asked {
        /// When.
        at: Timestamp,
    },
    /// Palette said yes.
    Done {
        /// When.
        at: Timestamp,
        /// The `AuditUid` header of the answer.
        audit_uid: Option<String>,
    },
    /// The answer was lost, but the cluster shows that it was yes.
    Proven {
        /// When the evidence was seen.
        at: Timestamp,
    },
}

impl Registration {
    /// Whether Palette need not be asked any more.
    pub const fn is_settled(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Proven { .. })
    }

    /// Whether it may have gone through, and proof of that may still come: Palette
    /// was asked less than `patience` before `now`.
    pub fn is_open(&self, now: Timestamp, patience: Duration) -> bool {
        let Self::Asked { at } = self else {
            return false;
        };
        Duration::try_from(now.duration_since(*at)).is_ok_and(|since| since < patience)
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Which boot, from 1.
    pub boot: u32,
    /// The state the machine was in afterwards.
    pub state: State,
    /// One line.
    pub what: String,
}

impl Journal {
    /// The journal of a machine that did nothing yet.
    pub fn new(boot_id: &str, now: Timestamp) -> Self {
        Self {
            schema: SCHEMA,
            state: State::Unconfigured,
            since: now,
            boot_id: boot_id.to_owned(),
            boots: 1,
            attempts: BTreeMap::new(),
            pairing_code_sha256: None,
            manifest_sha256: None,
            applied: None,
            overlord_uid: None,
            registration: Registration::NotAsked,
            scrubbed: None,
            contact: Contact::default(),
            turn: None,
            refused: 0,
            history: Vec::new(),
        }
    }

    /// The agent starts: from the first state on, with everything known kept.
    #[must_use]
    pub fn begun(mut self, boot_id: &str, now: Timestamp) -> Self {
        self.state = self.state.boot();
        self.since = now;
        self.attempts.clear();
        if self.boot_id != boot_id {
            boot_id.clone_into(&mut self.boot_id);
            self.boots += 1;
            // Others boot at the same time again.
            self.turn = None;
            self.refused = 0;
        }
        self
    }

    /// Enters `state`.
    pub fn enter(&mut self, state: State, now: Timestamp) {
        self.attempts.remove(&self.state);
        if state == State::Registered {
            self.turn = None;
        }
        self.state = state;
        self.since = now;
        self.note(now, state.name());
    }

    /// Adds a line to the history.
    pub fn note(&mut self, now: Timestamp, what: &str) {
        self.history.push(Entry {
            at: now,
            boot: self.boots,
            state: self.state,
            what: what.to_owned(),
        });
        let excess = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..excess);
    }

    /// Counts a try that failed in this state; returns how many there were.
    pub fn failed(&mut self) -> u32 {
        let count = self.attempts.entry(self.state).or_default();
        *count = count.saturating_add(1);
        *count
    }
}

/// Reads a journal.
///
/// # Errors
/// One line on why this is no journal of this agent.
pub fn parse(text: &[u8]) -> Result<Journal, String> {
    #[derive(Deserialize)]
    struct Version {
        schema: u32,
    }
    let version: Version = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    if version.schema != SCHEMA {
        return Err(format!(
            "it has format {}, this agent reads format {SCHEMA}",
            version.schema
        ));
    }
    serde_json::from_slice(text).map_err(|e| e.to_string())
}

/// What was found where the journal is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: a machine that never ran the agent.
    Nothing,
    /// A journal.
    Good(Box<Journal>),
    /// Something unreadable, now renamed: what was done must be asked of the cluster.
    Broken {
        /// Where it is put.
        aside: PathBuf,
        /// Why it could not be read.
        why: String,
    },
}

/// Keeps the journal. A trait so that a test can cut the power at any write.
pub trait JournalStore {
    /// Reads the journal; puts an unreadable one aside as `.broken-N`.
    ///
    /// # Errors
    /// Any I/O error but "not found".
    fn load(&self) -> io::Result<Found>;

    /// Reads the journal and touches nothing: for programs beside the agent.
    ///
    /// # Errors
    /// Any I/O error but "not found".
    fn peek(&self) -> io::Result<Found>;

    /// Writes the journal, whole or not at all.
    ///
    /// # Errors
    /// Any I/O error; the old journal is then untouched.
    fn save(&self, journal: &Journal) -> io::Result<()>;
}

/// The journal in a file.
#[derive(Clone, Debug)]
pub struct JournalFile(pub PathBuf);

impl JournalStore for JournalFile {
    fn load(&self) -> io::Result<Found> {
        let found = self.peek()?;
        if let Found::Broken { aside, .. } = &found {
            fs::rename(&self.0, aside)?;
        }
        Ok(found)
    }

    fn peek(&self) -> io::Result<Found> {
        let text = match fs::read(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        Ok(match parse(&text) {
            Ok(journal) => Found::Good(Box::new(journal)),
            Err(why) => Found::Broken {
                aside: free_name(&self.0, "broken"),
                why,
            },
        })
    }

    fn save(&self, journal: &Journal) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(journal)?;
        text.push(b'\n');
        write_atomic(&self.0, &text, 0o600)
    }
}

/// `journal.json.broken-1` for the word "broken", or the first number that is free.
pub fn free_name(path: &Path, word: &str) -> PathBuf {
    let named = |n: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{word}-{n}"));
        PathBuf::from(name)
    };
    let mut n = 1;
    while named(n).exists() {
        n += 1;
    }
    named(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn kept() -> (tempfile::TempDir, JournalFile) {
        let dir = tempfile::tempdir().unwrap();
        let file = JournalFile(dir.path().join("postern/journal.json"));
        (dir, file)
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let (_dir, file) = kept();
        let mut journal = Journal::new("boot-1", at(1));
        journal.enter(State::Configured, at(2));
        journal.failed();
        journal.registration = Registration::Done {
            at: at(3),
            audit_uid: Some("audit".into()),
        };
        file.save(&journal).unwrap();
        assert_eq!(file.load().unwrap(), Found::Good(Box::new(journal)));
    }

    #[test]
    fn what_a_newer_agent_added_is_passed_over() {
        let journal = Journal::new("boot-1", at(1));
        let text = serde_json::to_string(&journal).unwrap();
        let newer = text.replacen('{', r#"{"of-a-newer-agent":[1],"#, 1);
        assert_eq!(parse(newer.as_bytes()).unwrap(), journal);
    }

    #[test]
    fn nothing_is_not_an_error() {
        assert_eq!(kept().1.load().unwrap(), Found::Nothing);
    }

    #[test]
    fn the_unreadable_is_put_aside_and_never_overwritten() {
        let whole = serde_json::to_string(&Journal::new("b", at(1))).unwrap();
        let foreign = whole.replacen("\"schema\":1", "\"schema\":9", 1);
        let cases = [
            "",
            "{",
            &whole[..whole.len() / 2],
            &foreign,
            "[]",
            "\0\0\0\0",
        ];
        let (_dir, file) = kept();
        for (i, text) in cases.iter().enumerate() {
            write_atomic(&file.0, text.as_bytes(), 0o600).unwrap();
            let Found::Broken { aside, why } = file.load().unwrap() else {
                panic!("{text:?} was taken for a journal");
            };
            assert!(aside.ends_with(format!("journal.json.broken-{}", i + 1)));
            assert_eq!(fs::read(&aside).unwrap(), text.as_bytes());
            assert!(!why.is_empty() && !file.0.exists());
        }
    }

    #[test]
    fn a_new_boot_counts_and_a_restart_does_not() {
        let mut journal = Journal::new("one", at(1));
        journal.enter(State::Healthy, at(2));
        let restarted = journal.clone().begun("one", at(3));
        assert_eq!((restarted.boots, restarted.state), (1, State::Unconfigured));
        let booted = journal.begun("two", at(3));
        assert_eq!((booted.boots, booted.boot_id.as_str()), (2, "two"));
    }

    #[test]
    fn history_keeps_the_newest_lines() {
        let mut journal = Journal::new("one", at(1));
        for i in 0..300 {
            journal.note(at(i), &format!("line {i}"));
        }
        assert_eq!(journal.history.len(), HISTORY);
        assert_eq!(journal.history.last().unwrap().what, "line 299");
    }

    #[test]
    fn a_success_clears_the_count_of_its_failures() {
        let mut journal = Journal::new("one", at(1));
        assert_eq!((journal.failed(), journal.failed()), (1, 2));
        journal.enter(State::Configured, at(2));
        assert!(journal.attempts.is_empty());
    }
}
