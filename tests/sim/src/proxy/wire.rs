//! The little of HTTP/1.1 that a proxy must read: the head of a request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest head that is read, in bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// The head of a request, and the bytes that came after it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub rest: Vec<u8>,
}

impl Head {
    /// Reads one head; `None` if the peer sends none or nonsense.
    pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut bytes = Vec::new();
        loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = bytes.split_off(end + 4);
                return Self::parse(std::str::from_utf8(&bytes).ok()?, rest);
            }
            if bytes.len() > MAX_HEAD_BYTES || stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        }
    }

    fn parse(text: &str, rest: Vec<u8>) -> Option<Self> {
        let mut lines = text.trim_end().split("\r\n");
        let mut parts = lines.next()?.split(' ');
        let (method, target) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        if !parts.next()?.starts_with("HTTP/1.") {
            return None;
        }
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim().to_owned()))
        };
        Some(Self {
            method,
            target,
            headers: lines.map(header).collect::<Option<_>>()?,
            rest,
        })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        Some(self.headers.iter().find(found)?.1.as_str())
    }

    /// Whether the request carries this user's `Proxy-Authorization`.
    pub(super) fn is_from(&self, user: &str, password: &str) -> bool {
        let wanted = STANDARD.encode(format!("{user}:{password}"));
        let given = self.header("proxy-authorization").unwrap_or_default();
        given
            .split_once(' ')
            .is_some_and(|(scheme, text)| scheme.eq_ignore_ascii_case("basic") && text == wanted)
    }

    /// `host:port` that the request is for, in lower case; `None` if
    /// it is neither CONNECT nor has an absolute `http://` address.
    pub(super) fn destination(&self) -> Option<String> {
        if self.method == "CONNECT" {
            let (host, port) = self.target.rsplit_once(':')?;
            port.parse::<u16>().ok().filter(|_| !host.is_empty())?;
            return Some(self.target.to_lowercase());
        }
        let authority = self
            .target
            .strip_prefix("http://")?
            .split(['/', '?'])
            .next()?;
        let host = authority.rsplit('@').next()?;
        let port = if host.contains(':') { "" } else { ":80" };
        Some(format!("{host}{port}").to_lowercase())
    }

    /// What was read, as it was read.
    pub(super) fn unchanged(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.rest);
        bytes
    }

    /// The head as the server behind the proxy gets it: its own path, nothing
    /// of the proxy's, and the connection closed after one answer.
    pub(super) fn forwarded(&self) -> Vec<u8> {
        let path = self.target.strip_prefix("http://").unwrap_or_default();
        let path = path.find('/').map_or("/", |start| &path[start..]);
        let mut text = format!("{} {path} HTTP/1.1\r\nConnection: close\r\n", self.method);
        for (name, value) in &self.headers {
            let lower = name.to_ascii_lowercase();
            if lower != "connection" && !lower.starts_with("proxy-") {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

/// An answer of the proxy itself.
pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> String {
    let reason = match status {
        303 => "See Other",
        400 => "Bad Request",
        403 => "Forbidden",
        407 => "Proxy Authentication Required",
        _ => "Stand-In",
    };
    let mut text = format!("HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("Via: 1.1 stand-in-proxy\r\nContent-Type: text/html\r\nConnection: close\r\n");
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn head(text: &str) -> Option<Head> {
        Head::read(&mut text.as_bytes()).await
    }

    #[tokio::test]
    async fn destinations() {
        for (line, wanted) in [
            ("CONNECT Palette.Test:443", Some("palette.test:443")),
            ("CONNECT [::1]:443", Some("[::1]:443")),
            ("CONNECT palette.test", None),
            ("GET http://a.test/x?y", Some("a.test:80")),
            ("GET http://user:pw@a.test:81", Some("a.test:81")),
            ("GET https://a.test/", None),
            ("GET /x", None),
        ] {
            let head = head(&format!("{line} HTTP/1.1\r\n\r\n")).await.unwrap();
            assert_eq!(head.destination().as_deref(), wanted, "{line}");
        }
    }

    #[tokio::test]
    async fn what_is_not_http_is_nothing() {
        for text in [
            "",
            "GET / HTTP/1.1\r\n",
            "\x16\x03\x01\r\n\r\n",
            "A B C\r\n\r\n",
        ] {
            assert_eq!(head(text).await, None, "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_forwarded_head_says_nothing_of_the_proxy() {
        let text = "GET http://a.test:81/x?y HTTP/1.1\r\nHost: a.test:81\r\n\
                    Proxy-Authorization: Basic dTpw\r\nProxy-Connection: keep-alive\r\n\r\nrest";
        let head = head(text).await.unwrap();
        assert!(head.is_from("u", "p") && !head.is_from("u", "q"));
        assert_eq!(head.rest, b"rest");
        let sent = String::from_utf8(head.forwarded()).unwrap();
        let wanted = "GET /x?y HTTP/1.1\r\nConnection: close\r\nHost: a.test:81\r\n\r\n";
        assert_eq!(sent, wanted);
    }
}
