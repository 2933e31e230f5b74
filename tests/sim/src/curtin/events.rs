//! What the stand-in reports to the host: one JSON object per line.
//!
//! A status line is exactly the body that curtin's reporter posts to
//! `/MAAS/metadata/status/<system_id>` (curtin `reporter/events.py`), so the
//! host may pass it on as it is. The other line stands for curtin's late
//! command `maas`, which posts `op=netboot_off`.

use serde::{Deserialize, Serialize};

/// One line from the machine that is being installed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InstallEvent {
    /// Something started or finished.
    Status(Status),
    /// `POST op=netboot_off`: from now on MAAS lets the machine boot its disk.
    Operation {
        /// The operation.
        op: Operation,
    },
}

/// Operations of the metadata API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// See [`InstallEvent::Operation`].
    NetbootOff,
}

/// A status event of curtin's webhook reporter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// `cmd-install`, `cmd-install/stage-curthooks`, …
    pub name: String,
    /// For people.
    pub description: String,
    /// Start or finish.
    pub event_type: EventType,
    /// Always `curtin`.
    pub origin: String,
    /// Seconds since 1970.
    pub timestamp: f64,
    /// Log level: `DEBUG`, `INFO` or `ERROR`.
    pub level: String,
    /// How it ended; only with [`EventType::Finish`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Outcome>,
    /// The installation log, with a failed `cmd-install`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<AttachedFile>,
}

/// Whether something began or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventType {
    /// It began.
    Start,
    /// It ended.
    Finish,
}

/// How something ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// Well.
    Success,
    /// Badly.
    Fail,
}

/// A file sent with a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachedFile {
    /// Path on the machine.
    pub path: String,
    /// Always `base64`.
    pub encoding: String,
    /// The bytes in that encoding.
    pub content: String,
}

/// The name of the whole installation.
pub const INSTALL: &str = "cmd-install";

impl InstallEvent {
    /// Reads one line from the serial port; `None` for an empty one.
    ///
    /// # Errors
    /// If the line is not an event.
    pub fn parse(line: &str) -> serde_json::Result<Option<Self>> {
        match line.trim() {
            "" => Ok(None),
            line => serde_json::from_str(line).map(Some),
        }
    }

    /// The line for the serial port, with its end.
    pub fn line(&self) -> String {
        // Strings and numbers only: cannot fail.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// How the whole installation ended, if this event says so.
    pub fn verdict(&self) -> Option<Outcome> {
        match self {
            Self::Status(status)
                if status.name == INSTALL && status.event_type == EventType::Finish =>
            {
                status.result
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_real_curtin_sent() {
        for (line, verdict) in [
            (
                r#"{"name":"cmd-install","description":"curtin command install","event_type":"start","origin":"curtin","timestamp":1795197081.24,"level":"DEBUG"}"#,
                None,
            ),
            (
                r#"{"name":"cmd-install/stage-late/98-validate-custom-image-has-cloud-init","description":"d","origin":"curtin","timestamp":1,"level":"INFO","event_type":"finish","result":"FAIL"}"#,
                None,
            ),
            (
                r#"{"name":"cmd-install","description":"d","origin":"curtin","timestamp":1.5,"event_type":"finish","level":"ERROR","result":"FAIL","files":[{"path":"/tmp/install.log","encoding":"base64","content":"eA=="}]}"#,
                Some(Outcome::Fail),
            ),
            (r#"{"op":"netboot_off"}"#, None),
        ] {
            let event = InstallEvent::parse(&format!("{line}\r\n"))
                .unwrap()
                .unwrap();
            assert_eq!(event.verdict(), verdict);
            let again = InstallEvent::parse(&event.line()).unwrap().unwrap();
            assert_eq!(again, event);
            assert!(event.line().ends_with('\n'));
        }
    }

    #[test]
    fn noise_is_an_error_and_silence_is_not() {
        assert_eq!(InstallEvent::parse("\r\n").unwrap(), None);
        assert!(InstallEvent::parse("[    0.1] kernel").is_err());
        assert!(InstallEvent::parse(r#"{"name":"cmd-install","#).is_err());
    }
}
