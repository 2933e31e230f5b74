//! What the way to Palette carries besides requests and answers.
//!
//! Palette's agents talk gRPC over HTTP/2 and fall back to WebSocket over
//! HTTP/1.1 by themselves after ten failed attempts (Palette's page on gRPC and
//! proxies), so one of the two is needed. Asked is Palette's own address; the
//! agents may be told another for their messages. Which address takes WebSockets
//! is not published: so a request that asks for one is sent to an address that
//! nothing else of a pairing by code asks, and what can be told is whether something in between treats it otherwise.

use std::io::{self, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_contract::host::http::{Answer, HttpError, Versions};
use sha1::{Digest as _, Sha1};

use super::{Check, Route, Verdict};

const HTTP2: &str = "http2";
const WEBSOCKET: &str = "websocket";
/// What a server adds to the key before it hashes it (RFC 6455, section 1.3).
const WEBSOCKET_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Both checks; `plain` is Palette's answer to an ordinary request.
pub(super) async fn protocols(route: &Route<'_>, plain: &Answer) -> [Check; 2] {
    let websocket = match ask(route).await {
        Ok(seen) => judge(&seen, plain.http2),
        Err(error) => untried(&error.to_string()),
    };
    [http2(plain.http2), websocket]
}

fn http2(negotiated: bool) -> Check {
    if negotiated {
        let evidence = "negotiated and answered, as far as the certificate above reaches";
        return Check::pass(HTTP2, evidence);
    }
    Check::warn(
        HTTP2,
        "only HTTP/1.1 was negotiated: Palette's agents will fall back to WebSocket, after ten attempts each time",
        "have the proxy pass Palette without TLS inspection, or with HTTP/2 (Squid's ssl-bump has none)",
    )
}

/// What came of asking for a WebSocket.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// It was agreed on, by someone who knows how.
    Switched,
    /// It was agreed on without the answer to our key.
    Forged,
    /// Palette answered, with this status, and not by a WebSocket.
    Palette(u16),
    /// The same as to a request that asks for nothing.
    Alike(String),
    /// The request was treated otherwise, in these words; it ends so without asking.
    Refused {
        /// What came of asking.
        asked: String,
        /// What came of not asking.
        plain: String,
    },
    /// Neither was answered.
    Silent(String),
}

async fn ask(route: &Route<'_>) -> io::Result<Seen> {
    let client = (route.make)(route.outbound, Versions::Http1).map_err(io::Error::other)?;
    let key = key()?;
    let asked = route.palette.knock(&client, Some(&key)).await;
    if let Ok(answer) = &asked
        && let Some(seen) = recognized(answer, &key)
    {
        return Ok(seen);
    }
    // Something unexpected: what comes without asking tells whose it is.
    let plain = route.palette.knock(&client, None).await;
    Ok(compared(&asked, &plain))
}

fn key() -> io::Result<String> {
    let mut random = [0; 16];
    fs_err::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(STANDARD.encode(random))
}

fn recognized(answer: &Answer, key: &str) -> Option<Seen> {
    if answer.status == 101 {
        let expected = STANDARD.encode(Sha1::digest(format!("{key}{WEBSOCKET_GUID}")));
        let good = answer.header("sec-websocket-accept") == Some(&expected);
        return Some(if good { Seen::Switched } else { Seen::Forged });
    }
    let kind = answer.header("content-type").unwrap_or_default();
    let json = kind.starts_with("application/json") && answer.interception().is_none();
    (json && !answer.is_transient()).then_some(Seen::Palette(answer.status))
}

fn compared(asked: &Result<Answer, HttpError>, plain: &Result<Answer, HttpError>) -> Seen {
    let told = |answer: &Result<Answer, HttpError>| match answer {
        Ok(answer) => answer.interception().unwrap_or_else(|| answer.says()),
        Err(error) => error.to_string(),
    };
    match (asked, plain) {
        (Err(_), Err(_)) => Seen::Silent(told(asked)),
        (Ok(a), Ok(p)) if a.status == p.status => Seen::Alike(told(asked)),
        _ => Seen::Refused {
            asked: told(asked),
            plain: told(plain),
        },
    }
}

/// Without HTTP/2 the agents have nothing else.
fn judge(seen: &Seen, http2: bool) -> Check {
    const PASS: &str =
        "have the proxy pass Palette without TLS inspection, or allow WebSocket upgrades to it";
    let unproven = "whether Palette's own WebSocket address takes one was not tried";
    match seen {
        Seen::Switched => Check::pass(WEBSOCKET, "agreed on"),
        Seen::Palette(status) => Check::pass(
            WEBSOCKET,
            format!("the request came through and was answered {status}; {unproven}"),
        ),
        Seen::Alike(told) => Check::pass(
            WEBSOCKET,
            format!("the request is treated as any other ({told}); {unproven}"),
        ),
        Seen::Forged => Check::warn(
            WEBSOCKET,
            "agreed on by something that does not know how (no answer to the key, RFC 6455)",
            PASS,
        ),
        Seen::Silent(told) => untried(told),
        Seen::Refused { asked, plain } => {
            let verdict = if http2 { Verdict::Warn } else { Verdict::Fail };
            let evidence = format!("refused on the way: {asked}; without asking for it: {plain}");
            Check::of(WEBSOCKET, verdict, evidence, Some(PASS))
        }
    }
}

fn untried(why: &str) -> Check {
    Check::warn(
        WEBSOCKET,
        format!("could not be tried: {why}"),
        "try again: `postern-agent preflight`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderMap, HeaderName};

    fn answer(status: u16, headers: &[(&'static str, &str)]) -> Answer {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        Answer {
            what: "GET certs".to_owned(),
            status,
            http2: false,
            headers: headers.collect::<HeaderMap>(),
            body: Vec::new(),
            certificate: None,
        }
    }

    #[test]
    fn an_upgrade_is_believed_by_its_proof() {
        // RFC 6455, section 1.3.
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let proof = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        let good = answer(101, &[("sec-websocket-accept", proof)]);
        assert_eq!(recognized(&good, key), Some(Seen::Switched));
        for forged in [
            answer(101, &[]),
            answer(101, &[("sec-websocket-accept", key)]),
        ] {
            assert_eq!(recognized(&forged, key), Some(Seen::Forged));
        }
    }

    #[test]
    fn only_palettes_own_form_is_palette() {
        let json = ("content-type", "application/json; charset=utf-8");
        for (answer, seen) in [
            (answer(200, &[json]), Some(Seen::Palette(200))),
            (answer(404, &[json]), Some(Seen::Palette(404))),
            (answer(403, &[("content-type", "text/html")]), None),
            (answer(303, &[json]), None),
            (answer(503, &[json]), None),
            (answer(400, &[]), None),
        ] {
            assert_eq!(recognized(&answer, "key"), seen, "{answer:?}");
        }
    }

    #[test]
    fn what_differs_without_asking_was_refused() {
        let lost = || {
            let (what, why) = ("GET certs".to_owned(), "closed".to_owned());
            Err(HttpError::Lost { what, why })
        };
        let of = |status| Ok(answer(status, &[]));
        assert!(matches!(compared(&lost(), &lost()), Seen::Silent(_)));
        assert!(matches!(compared(&of(404), &of(404)), Seen::Alike(_)));
        for (asked, plain) in [(lost(), of(200)), (of(403), of(200)), (of(200), lost())] {
            let seen = compared(&asked, &plain);
            assert!(matches!(seen, Seen::Refused { .. }), "{seen:?}");
            assert_eq!(judge(&seen, true).verdict, Verdict::Warn);
            assert_eq!(judge(&seen, false).verdict, Verdict::Fail);
        }
    }
}
