//! A change as the fields of one entry in the system's journal, for
//! `journalctl POSTERN_STATE=healthy` and the like.

use super::model::Status;
use crate::host::journald::Field;
use crate::journal::condition::Condition;

/// Kinds of entries, for `journalctl MESSAGE_ID=…` (systemd.journal-fields(7)).
mod id {
    /// The machine moved, and nothing holds it.
    pub const MOVED: &str = "5c2f6d0b8f0d4a7e9b1c3a60d2e47f18";
    /// It waits.
    pub const WAITING: &str = "a81e03c95b6f4d0f8c27e94d51b3a672";
    /// It stands still until a person acts.
    pub const BLOCKED: &str = "e37b90d4126c4c55a3f8071bd96e2c84";
    /// Anything else.
    pub const NOTE: &str = "19d84ae76c3b4f21b05f6e8ac17d3390";
}

/// syslog(3): warning, notice, information.
const WARNING: &str = "4";
const NOTICE: &str = "5";
const INFO: &str = "6";

/// The entry for a change; `line` is what the console shows.
pub fn change<'a>(status: &'a Status, line: &'a str) -> Vec<Field<'a>> {
    match &status.condition {
        None => entry(status, line, id::MOVED, NOTICE),
        Some(Condition::Waiting(waiting)) => {
            let mut fields = entry(status, line, id::WAITING, INFO);
            fields.push(("POSTERN_WAITING", waiting.on.name().into()));
            fields.push(("POSTERN_DETAIL", waiting.detail.as_str().into()));
            fields
        }
        Some(Condition::Blocked(blocked)) => {
            let mut fields = entry(status, line, id::BLOCKED, WARNING);
            fields.push(("POSTERN_BLOCKED", blocked.reason.name().into()));
            fields.push(("POSTERN_DETAIL", blocked.detail.as_str().into()));
            fields.push(("POSTERN_REMEDY", blocked.remedy.as_str().into()));
            fields
        }
    }
}

/// The entry for a line that changes nothing.
pub fn note<'a>(status: &'a Status, line: &'a str) -> Vec<Field<'a>> {
    entry(status, line, id::NOTE, INFO)
}

fn entry<'a>(status: &'a Status, line: &'a str, id: &'a str, priority: &'a str) -> Vec<Field<'a>> {
    let mut fields: Vec<Field<'a>> = vec![
        ("MESSAGE", line.into()),
        ("MESSAGE_ID", id.into()),
        ("PRIORITY", priority.into()),
        ("SYSLOG_IDENTIFIER", "postern-agent".into()),
        ("POSTERN_STATE", status.state.name().into()),
        ("POSTERN_BOOT", status.boot.to_string().into()),
    ];
    if let Some(gateway) = &status.gateway {
        fields.push(("POSTERN_GATEWAY", gateway.as_str().into()));
    }
    if let Some(uid) = &status.overlord_uid {
        fields.push(("POSTERN_UID", uid.as_str().into()));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::condition::{Blocked, Reason};
    use jiff::Timestamp;

    #[test]
    fn a_stop_has_fields_of_its_own() {
        let mut status = Status::new(Timestamp::UNIX_EPOCH);
        status.condition = Some(Condition::Blocked(Blocked {
            reason: Reason::Refused,
            since: Timestamp::UNIX_EPOCH,
            detail: "no\nreally".into(),
            remedy: "ask".into(),
        }));
        let fields = change(&status, "postern: line");
        let shown: Vec<_> = fields.iter().map(|(k, v)| format!("{k}={v}")).collect();
        insta::assert_snapshot!(shown.join("\n"), @"
        MESSAGE=postern: line
        MESSAGE_ID=e37b90d4126c4c55a3f8071bd96e2c84
        PRIORITY=4
        SYSLOG_IDENTIFIER=postern-agent
        POSTERN_STATE=unconfigured
        POSTERN_BOOT=1
        POSTERN_BLOCKED=refused
        POSTERN_DETAIL=no
        really
        POSTERN_REMEDY=ask
        ");
    }

    #[test]
    fn an_id_is_128_bits_in_small_hex_and_its_own() {
        let ids = std::collections::BTreeSet::from([id::MOVED, id::WAITING, id::BLOCKED, id::NOTE]);
        assert_eq!(ids.len(), 4);
        for id in ids {
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            assert!(id.len() == 32 && id.bytes().all(hex), "{id}");
        }
    }
}
