//! What a region answers, and which words of it a person is shown.

use reqwest::StatusCode;

use super::MaasError;
use super::error::remedy;

/// How much of what MAAS said is quoted, in characters.
const QUOTED: usize = 400;

/// An answer other than 401, whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Whether it is a web page.
    pub(super) html: bool,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Whether the web server before MAAS answered instead of it, or MAAS
    /// failed and took back what it did: a later attempt may work.
    pub(super) fn is_of_a_gateway(&self) -> bool {
        matches!(self.status.as_u16(), 502..=504)
    }

    /// What it refused, in its words.
    pub(super) fn refused(&self, doing: &'static str) -> MaasError {
        let said = self.said();
        let status = self.status.as_u16();
        let help = remedy(status, &said);
        MaasError::Refused {
            doing,
            said,
            status,
            help,
        }
    }

    /// What it says, on one line. Web pages say what their status does.
    pub(super) fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let fields = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text);
        let text = match fields {
            Ok(fields) => fields.iter().map(field).collect::<Vec<_>>().join("; "),
            Err(_) if self.html || text.trim_start().starts_with('<') => String::new(),
            Err(_) => text.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        let text: String = text
            .chars()
            .filter(|c| !c.is_control())
            .take(QUOTED)
            .collect();
        match text.is_empty() {
            true => self
                .status
                .canonical_reason()
                .unwrap_or("no reason")
                .to_owned(),
            false => text,
        }
    }
}

/// `{"name": ["is reserved"]}` as `name: is reserved`.
fn field((name, value): (&String, &serde_json::Value)) -> String {
    let text = |value: &serde_json::Value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    let messages = match value.as_array() {
        Some(messages) => messages.iter().map(text).collect::<Vec<_>>().join(" "),
        None => text(value),
    };
    format!("{name}: {messages}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, html: bool, body: &str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        let body = body.as_bytes().to_vec();
        Answer { status, html, body }.said()
    }

    #[test]
    fn quotes_what_maas_said() {
        let json = r#"{"name":["ubuntu is a reserved name"],"size":["Enter a whole number."]}"#;
        let wanted = "name: ubuntu is a reserved name; size: Enter a whole number.";
        assert_eq!(said(400, false, json), wanted);
        assert_eq!(said(400, false, "Missing\n data.\n"), "Missing data.");
        assert_eq!(said(502, true, "<html>nginx</html>"), "Bad Gateway");
        assert_eq!(said(500, false, ""), "Internal Server Error");
        assert_eq!(said(500, false, &"x".repeat(1000)).len(), QUOTED);
        assert_eq!(said(500, false, "\u{1b}[31mred"), "[31mred");
    }
}
