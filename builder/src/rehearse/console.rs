//! What a machine's console says, as events.

use std::path::Path;

use fs_err as fs;

/// Something that a line of the console shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsoleEvent {
    /// The boot loader started the kernel.
    Kernel,
    /// The initrd checked that the root is a verity device, and mounted everything.
    RootVerified,
    /// The agent changed its state; what follows it on the line, if anything.
    Agent {
        /// Name of the state: `configured`.
        state: String,
        /// The whole line from `postern:` on.
        line: String,
    },
    /// The agent keeps cloud-init off: what it delivered is on the disk.
    CloudInitOff,
    /// The initrd refused the disk.
    Refused(String),
    /// The kernel refused to go on.
    Panic(String),
    /// Somebody could log in.
    Login,
}

impl ConsoleEvent {
    /// Reads one line of a serial console, escape sequences and all.
    pub fn parse(line: &str) -> Option<Self> {
        let line = plain(line);
        if line.contains("Linux version ") {
            return Some(ConsoleEvent::Kernel);
        }
        if let Some((_, panic)) = line.split_once("Kernel panic - not syncing: ") {
            return Some(ConsoleEvent::Panic(panic.trim().to_owned()));
        }
        if line.trim_end().ends_with("login:") {
            return Some(ConsoleEvent::Login);
        }
        let (_, message) = line.split_once("postern: ")?;
        let message = message.trim_end();
        if message.starts_with("root is verified") {
            return Some(ConsoleEvent::RootVerified);
        }
        if message == "note cloud-init is kept off from now on" {
            return Some(ConsoleEvent::CloudInitOff);
        }
        if let Some(reason) = message.strip_prefix("boot refused: ") {
            return Some(ConsoleEvent::Refused(reason.to_owned()));
        }
        let state = message.strip_prefix("state=")?;
        Some(ConsoleEvent::Agent {
            state: state
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .to_owned(),
            line: format!("postern: {message}"),
        })
    }
}

/// The line without escape sequences (ECMA-48 CSI) and control characters.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            if chars.next() == Some('[') {
                // Parameters end with a byte from @ to ~.
                chars.by_ref().find(|c| ('@'..='~').contains(c));
            }
        } else if !c.is_control() {
            out.push(c);
        }
    }
    out
}

/// The last `count` lines of a console's log that are not empty, indented.
///
/// # Errors
/// If the log cannot be read.
pub fn last_lines(log: &Path, count: usize) -> std::io::Result<String> {
    let text = fs::read(log)?;
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(count)..];
    let indented: Vec<_> = last
        .iter()
        .map(|l| format!("  | {}", l.trim_end()))
        .collect();
    Ok(indented.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_matters() {
        let agent = |state: &str, line: &str| ConsoleEvent::Agent {
            state: state.into(),
            line: line.into(),
        };
        for (line, expected) in [
            (
                "[    0.000000] Linux version 6.12.107 (gcc)",
                Some(ConsoleEvent::Kernel),
            ),
            (
                "[   37.6] mounts[305]: postern: root is verified (dm-verity)\r",
                Some(ConsoleEvent::RootVerified),
            ),
            (
                "[   12.1] postern-agent[611]: postern: state=configured since=12",
                Some(agent("configured", "postern: state=configured since=12")),
            ),
            (
                "\u{1b}[0m postern: state=healthy\u{1b}[K",
                Some(agent("healthy", "postern: state=healthy")),
            ),
            (
                "[   40.2] postern-agent[611]: postern: note cloud-init is kept off from now on\r",
                Some(ConsoleEvent::CloudInitOff),
            ),
            ("postern: note anything else", None),
            (
                "refuse[1]: postern: boot refused: no state",
                Some(ConsoleEvent::Refused("no state".into())),
            ),
            (
                "Kernel panic - not syncing: dm-verity device corrupted",
                Some(ConsoleEvent::Panic("dm-verity device corrupted".into())),
            ),
            ("demo-gateway login: ", Some(ConsoleEvent::Login)),
            ("[  OK  ] Started something", None),
            ("postern: restarting in 30 seconds", None),
        ] {
            assert_eq!(ConsoleEvent::parse(line), expected, "{line:?}");
        }
    }
}
