//! The lines of curtin's log that show why an installation failed.

/// Most lines that are shown.
const MAX_LINES: usize = 20;

/// Longest line that is shown, in characters.
const MAX_LINE_CHARS: usize = 200;

/// The beginning of the lines of our own install hook.
const HOOK_PREFIX: &str = "postern: ";

/// Words of an error in the logs of curtin and of what it runs.
const ERROR_WORDS: &[&str] = &[
    "error",
    "failed",
    "refused",
    "fail:",
    "exit code:",
    "reason:",
    "no space left",
    "not found",
    "did not find",
    "cannot",
    "unable to",
    "timed out",
];

/// Keys of secrets in the configuration of curtin and MAAS.
const SECRET_KEYWORDS: &[&str] = &[
    "oauth_token",
    "oauth_signature",
    "oauth_consumer_key",
    "consumer_key",
    "consumer_secret",
    "token_key",
    "token_secret",
    "password",
    "passwd",
    "pairing-code",
    "api-key",
    "apikey",
];

/// The relevant lines of `log`, in their order, the last ones if there are many;
/// `secrets` and everything that looks like one are masked.
pub fn relevant_lines(log: &str, secrets: &[&str]) -> Vec<String> {
    let lines: Vec<&str> = log.lines().map(str::trim_end).collect();
    let mut kept: Vec<&str> = Vec::new();
    let mut in_traceback = false;
    for line in lines.iter().filter(|line| !line.is_empty()) {
        if line.contains("Traceback (most recent call last)") {
            in_traceback = true;
            continue;
        }
        let indented = line.starts_with([' ', '\t']);
        // Only the end of a traceback says what happened.
        let end = in_traceback && !indented;
        in_traceback &= indented;
        let lower = line.to_lowercase();
        let matches =
            line.contains(HOOK_PREFIX) || ERROR_WORDS.iter().any(|words| lower.contains(words));
        let wanted = end || (matches && !in_traceback);
        if wanted && kept.last() != Some(line) {
            kept.push(line);
        }
    }
    if kept.is_empty() {
        kept = lines.into_iter().filter(|line| !line.is_empty()).collect();
    }
    let from = kept.len().saturating_sub(MAX_LINES);
    let shown = kept[from..].iter();
    shown
        .map(|line| shortened(&masked(line, secrets)))
        .collect()
}

/// `line` without control characters and secrets.
pub fn masked(line: &str, secrets: &[&str]) -> String {
    let mut text: String = line.chars().filter(|c| !c.is_control()).collect();
    for secret in secrets {
        text = text.replace(secret, "***");
    }
    for word in SECRET_KEYWORDS {
        text = masked_after(&text, word);
    }
    without_logins(&text)
}

/// Masks the value after each `word`, which `=`, `:` or quotes introduce.
fn masked_after(text: &str, word: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.to_ascii_lowercase().find(word) {
        let (before, after) = rest.split_at(at + word.len());
        out.push_str(before);
        let value = after.trim_start_matches(['=', ':', '"', '\'', ' ']);
        let lead = &after[..after.len() - value.len()];
        out.push_str(lead);
        let end = value.find(|c: char| c.is_whitespace() || "\"',;}&".contains(c));
        let end = end.unwrap_or(value.len());
        // Without a sign between them, the key is a word of prose.
        if lead.contains(['=', ':']) && end > 0 {
            out.push_str("***");
            rest = &value[end..];
        } else {
            rest = value;
        }
    }
    out.push_str(rest);
    out
}

/// Masks `user:password@` in addresses.
fn without_logins(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "/\"'".contains(c));
        let host = &after[..end.unwrap_or(after.len())];
        rest = after;
        if let Some(login) = host.rfind('@') {
            out.push_str("***");
            rest = &after[login..];
        }
    }
    out.push_str(rest);
    out
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(MAX_LINE_CHARS) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
start: cmd-install/stage-extract/builtin/cmd-extract: curtin command extract
Running command ['sh', '-c', 'wget \"$1\" --progress=dot:mega -O - | zcat | dd bs=4M of=\"$2\"']
postern: verifying demo-0.1.0 (9 partitions) on /dev/nvme0n1
postern: installation refused: root-a differs from the manifest
finish: cmd-install/stage-curthooks: FAIL: configuring installed system
Traceback (most recent call last):
  File \"/curtin/commands/main.py\", line 202, in main
    ret = args.func(args)
curtin.util.ProcessExecutionError: Unexpected error while running command.
Command: ['/tmp/tmpabc/target/curtin/curtin-hooks']
Exit code: 1
Reason: -
Stdout: ''
Stderr: ''
Unexpected error while running command.

Unexpected error while running command.
";

    #[test]
    fn the_lines_that_matter() {
        insta::assert_snapshot!(relevant_lines(LOG, &[]).join("\n"), @r"
        postern: verifying demo-0.1.0 (9 partitions) on /dev/nvme0n1
        postern: installation refused: root-a differs from the manifest
        finish: cmd-install/stage-curthooks: FAIL: configuring installed system
        curtin.util.ProcessExecutionError: Unexpected error while running command.
        Exit code: 1
        Reason: -
        Unexpected error while running command.
        ");
    }

    #[test]
    fn a_log_without_errors_shows_its_end() {
        let log: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let shown = relevant_lines(&log, &[]);
        assert_eq!(shown.len(), MAX_LINES);
        assert_eq!(shown.last().unwrap(), "line 99");
        let long = relevant_lines(&format!("error: {}", "x".repeat(1000)), &[]);
        assert_eq!(long[0].chars().count(), MAX_LINE_CHARS + 1);
        assert!(relevant_lines("", &[]).is_empty());
    }

    #[test]
    fn secrets_are_masked() {
        for (line, wanted) in [
            (
                "error: code SESAME is no good",
                "error: code *** is no good",
            ),
            ("error: token_secret=TOP, x", "error: token_secret=***, x"),
            (
                "error {\"consumer_key\": \"TOP\"}",
                "error {\"consumer_key\": \"***\"}",
            ),
            (
                "Authorization: OAuth oauth_signature=\"%26TOP\"",
                "Authorization: OAuth oauth_signature=\"***\"",
            ),
            (
                "error at http://joe:TOP@proxy:3128/x",
                "error at http://***@proxy:3128/x",
            ),
            ("the password was refused", "the password was refused"),
            ("error: \u{1b}[31mred", "error: [31mred"),
        ] {
            assert_eq!(masked(line, &["SESAME"]), wanted);
        }
    }
}
