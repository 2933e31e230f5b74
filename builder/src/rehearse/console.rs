//! What a machine's console says, as events.

/// Something a line of the console tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
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
    /// The initrd refused the disk.
    Refused(String),
    /// The kernel refused to go on.
    Panic(String),
    /// Somebody could log in.
    Login,
}

/// Reads one line of a serial console, escape sequences and all.
pub fn hear(line: &str) -> Option<Heard> {
    let line = plain(line);
    if line.contains("Linux version ") {
        return Some(Heard::Kernel);
    }
    if let Some((_, panic)) = line.split_once("Kernel panic - not syncing: ") {
        return Some(Heard::Panic(panic.trim().to_owned()));
    }
    if line.trim_end().ends_with("login:") {
        return Some(Heard::Login);
    }
    let (_, said) = line.split_once("postern: ")?;
    let said = said.trim_end();
    if said.starts_with("root is verified") {
        return Some(Heard::RootVerified);
    }
    if let Some(reason) = said.strip_prefix("boot refused: ") {
        return Some(Heard::Refused(reason.to_owned()));
    }
    let state = said.strip_prefix("state=")?;
    Some(Heard::Agent {
        state: state
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned(),
        line: format!("postern: {said}"),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hears_what_matters() {
        let agent = |state: &str, line: &str| Heard::Agent {
            state: state.into(),
            line: line.into(),
        };
        for (line, heard) in [
            (
                "[    0.000000] Linux version 6.12.107 (gcc)",
                Some(Heard::Kernel),
            ),
            (
                "[   37.6] mounts[305]: postern: root is verified (dm-verity)\r",
                Some(Heard::RootVerified),
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
                "refuse[1]: postern: boot refused: no state",
                Some(Heard::Refused("no state".into())),
            ),
            (
                "Kernel panic - not syncing: dm-verity device corrupted",
                Some(Heard::Panic("dm-verity device corrupted".into())),
            ),
            ("demo-gateway login: ", Some(Heard::Login)),
            ("[  OK  ] Started something", None),
            ("postern: restarting in 30 seconds", None),
        ] {
            assert_eq!(hear(line), heard, "{line:?}");
        }
    }
}
