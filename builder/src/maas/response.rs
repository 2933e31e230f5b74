//! A region's response, and the message in it for a person.

use reqwest::StatusCode;

use super::{MaasError, remedy};

/// Longest quoted message of MAAS.
const MAX_QUOTED_CHARS: usize = 400;

/// A complete response other than 401.
pub(super) struct Response {
    pub(super) status: StatusCode,
    /// Whether it is a web page.
    pub(super) html: bool,
    pub(super) body: Vec<u8>,
}

impl Response {
    /// Whether the web server in front of MAAS answered instead of it, or MAAS
    /// failed and rolled back: a later attempt may work.
    pub(super) fn is_bad_gateway(&self) -> bool {
        matches!(self.status.as_u16(), 502..=504)
    }

    /// The error of a refused `action`.
    pub(super) fn refusal(&self, action: &'static str) -> MaasError {
        let message = self.message();
        let status = self.status.as_u16();
        let help = remedy::about_image(status, &message);
        MaasError::Refused {
            action,
            message,
            status,
            help,
        }
    }

    /// Its message, on one line; of a web page the meaning of its status.
    pub(super) fn message(&self) -> String {
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
            .take(MAX_QUOTED_CHARS)
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

    fn message(status: u16, html: bool, body: &str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        let body = body.as_bytes().to_vec();
        Response { status, html, body }.message()
    }

    #[test]
    fn quotes_the_message_of_maas() {
        let json = r#"{"name":["ubuntu is a reserved name"],"size":["Enter a whole number."]}"#;
        let wanted = "name: ubuntu is a reserved name; size: Enter a whole number.";
        assert_eq!(message(400, false, json), wanted);
        assert_eq!(message(400, false, "Missing\n data.\n"), "Missing data.");
        assert_eq!(message(502, true, "<html>nginx</html>"), "Bad Gateway");
        assert_eq!(message(500, false, ""), "Internal Server Error");
        assert_eq!(
            message(500, false, &"x".repeat(1000)).len(),
            MAX_QUOTED_CHARS
        );
        assert_eq!(message(500, false, "\u{1b}[31mred"), "[31mred");
    }
}
