//! An answer of the other side, and what it can mean.

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderName};
use serde::Deserialize;

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// The request in words that hold no secret.
    pub what: String,
    /// HTTP status.
    pub status: u16,
    /// Whether it came by HTTP/2.
    pub http2: bool,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, at most the caller's cap.
    pub body: Vec<u8>,
    /// The server's certificate, DER, if the client was made to show it.
    pub certificate: Option<Vec<u8>>,
}

/// Palette's error body (V1Error of its published API).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct V1Error {
    /// A code for programs, such as `ResourceNotFound`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// What to quote to the vendor.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Anything more, unspecified.
    pub details: serde_json::Value,
}

impl Answer {
    /// A header as text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        self.headers.get(name)?.to_str().ok()
    }

    /// Palette's error, if the body is a V1Error.
    pub fn error(&self) -> Option<V1Error> {
        let error: V1Error = serde_json::from_slice(&self.body).ok()?;
        (!error.code.is_empty() || !error.message.is_empty()).then_some(error)
    }

    /// Whether the same request may be sent again later (Palette's rate limit,
    /// and gateways that did not reach it).
    pub const fn is_transient(&self) -> bool {
        matches!(self.status, 429 | 502 | 503 | 504)
    }

    /// Why this is no answer of Palette's: a redirect or a web page comes from
    /// something in between. Names it where its headers do.
    pub fn interception(&self) -> Option<String> {
        let kind = self.header("content-type").unwrap_or_default();
        let redirect = (300..400).contains(&self.status);
        if !redirect && !kind.starts_with("text/html") {
            return None;
        }
        let seen: Vec<_> = ["location", "server", "via"]
            .into_iter()
            .filter_map(|name| Some((name, self.header(name)?)))
            // A query may hold what the person behind the proxy is asked for.
            .map(|(name, value)| {
                let value = value.split(['?', '#']).next().unwrap_or_default();
                format!("{name}: {value}")
            })
            .collect();
        let what = if redirect { "a redirect" } else { "a web page" };
        let seen = if seen.is_empty() {
            String::new()
        } else {
            format!(" ({})", seen.join(", "))
        };
        Some(format!("status {} with {what}{seen}", self.status))
    }

    /// The server's clock, from the `Date` header.
    pub fn date(&self) -> Option<Timestamp> {
        let text = self.header("date")?;
        Some(jiff::fmt::rfc2822::parse(text).ok()?.timestamp())
    }

    /// Status and Palette's error, one line.
    pub fn describe(&self) -> String {
        let Some(error) = self.error() else {
            return format!("{}: status {}", self.what, self.status);
        };
        let reference = if error.reference.is_empty() {
            String::new()
        } else {
            format!(" (ref {})", error.reference)
        };
        format!(
            "{}: status {}, {}: {}{reference}",
            self.what, self.status, error.code, error.message
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Answer {
        Answer {
            what: "GET palette".into(),
            status,
            http2: false,
            headers: headers
                .iter()
                .map(|(k, v)| (HeaderName::from_static(k), v.parse().unwrap()))
                .collect(),
            body: body.into(),
            certificate: None,
        }
    }

    #[test]
    fn palette_is_quoted() {
        let body =
            r#"{"code":"TooManyRequests","message":"slow down","ref":"r-1","details":{"a":1}}"#;
        let limited = answer(429, &[], body);
        assert!(limited.is_transient());
        assert_eq!(
            limited.describe(),
            "GET palette: status 429, TooManyRequests: slow down (ref r-1)"
        );
        assert_eq!(
            answer(500, &[], "oops").describe(),
            "GET palette: status 500"
        );
        assert_eq!(answer(500, &[], "{}").error(), None);
        assert!(
            !answer(500, &[], "").is_transient(),
            "Palette's client does not retry 500"
        );
    }

    #[test]
    fn a_redirect_or_a_page_is_interception() {
        let location = ("location", "https://login.proxy.example/?u=secret");
        let shown = answer(303, &[location], "").interception().unwrap();
        assert_eq!(
            shown,
            "status 303 with a redirect (location: https://login.proxy.example/)"
        );
        let page = [
            ("content-type", "text/html; charset=utf-8"),
            ("via", "1.1 squid"),
        ];
        let shown = answer(200, &page, "<html>").interception().unwrap();
        assert_eq!(shown, "status 200 with a web page (via: 1.1 squid)");
        let json = [("content-type", "application/json")];
        assert_eq!(answer(200, &json, "{}").interception(), None);
    }

    #[test]
    fn reads_the_servers_clock() {
        let date = [("date", "Sat, 21 Nov 2026 00:00:00 GMT")];
        let expected: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        assert_eq!(answer(200, &date, "").date(), Some(expected));
        assert_eq!(answer(200, &[("date", "soon")], "").date(), None);
    }
}
