//! What is known of Palette since this machine has something to do with it: when it
//! answered last, since when it does not, how it shows the gateway.
//!
//! A gateway goes on without Palette, so none of this moves a machine; it is
//! for a person who looks.

use std::time::Duration;

use jiff::Timestamp;
use postern_contract::palette::View;
use serde::{Deserialize, Serialize};

/// Between two calls to a Palette that answers.
pub const CALL: Duration = Duration::from_secs(600);
/// Longest time between two calls to one that does not.
const RARELY: Duration = Duration::from_secs(3600);

/// Palette, as this machine knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Contact {
    /// When it answered last.
    pub answered: Option<Timestamp>,
    /// That it does not answer now.
    pub silent: Option<Silent>,
    /// How it showed this gateway, if an API key let this machine look.
    pub seen: Option<Seen>,
}

/// Palette does not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Silent {
    /// When that was found first.
    pub since: Timestamp,
    /// Calls that failed since then.
    pub calls: u32,
    /// What the last one met, one line.
    pub why: String,
}

/// How Palette showed this gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// What it showed.
    pub view: View,
}

impl Contact {
    /// Palette answered; returns since when it had not.
    pub fn heard(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.answered = Some(now);
        self.silent.take().map(|silent| silent.since)
    }

    /// Palette did not answer; returns whether that is new.
    pub fn missed(&mut self, now: Timestamp, why: &str) -> bool {
        let before = self.silent.take();
        let first = before.is_none();
        let (since, calls) = before.map_or((now, 0), |silent| (silent.since, silent.calls));
        let why = why.lines().next().unwrap_or_default().to_owned();
        let calls = calls.saturating_add(1);
        self.silent = Some(Silent { since, calls, why });
        first
    }

    /// Palette showed this gateway.
    pub fn shown(&mut self, now: Timestamp, view: View) {
        self.heard(now);
        self.seen = Some(Seen { at: now, view });
    }

    /// How long to leave Palette alone, `usually` if it answers.
    pub fn rest(&self, usually: Duration) -> Duration {
        match &self.silent {
            None => usually,
            Some(silent) => {
                let doublings = silent.calls.min(6);
                usually.max((usually * (1 << doublings)).min(RARELY))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_counted_from_its_first_call_and_ends_with_an_answer() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut contact = Contact::default();
        assert_eq!(contact.heard(at(1)), None);
        assert!(contact.missed(at(2), "no route\nmore"));
        assert!(!contact.missed(at(3), "refused"));
        let silent = contact.silent.clone().unwrap();
        assert_eq!((silent.since, silent.calls), (at(2), 2));
        assert_eq!(silent.why, "refused");
        assert_eq!(contact.answered, Some(at(1)));
        assert_eq!(contact.heard(at(9)), Some(at(2)));
        assert_eq!(contact.silent, None);
    }

    #[test]
    fn a_silent_palette_is_called_less_often_up_to_an_hour() {
        let mut contact = Contact::default();
        let mut rests = vec![contact.rest(CALL).as_secs()];
        for _ in 0..9 {
            contact.missed(Timestamp::UNIX_EPOCH, "");
            rests.push(contact.rest(CALL).as_secs());
        }
        assert_eq!(rests[..4], [600, 1200, 2400, 3600]);
        assert_eq!(rests.last(), Some(&3600));
    }
}
