//! What the path to Palette carries besides requests and responses.
//!
//! Palette's agents talk gRPC over HTTP/2 and fall back to WebSocket over
//! HTTP/1.1 by themselves after ten failed attempts (Palette's page on gRPC and
//! proxies), so one of the two is needed. Palette's own address is tested; the
//! agents may use another for their messages. Which address takes WebSockets
//! is not published: so a request that asks for one is sent to an address that
//! nothing else of a pairing by code uses, and the check says whether something in
//! between treats it differently.

use std::io::{self, Read as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern_contract::host::http::{Answer, HttpError, HttpVersions};
use sha1::{Digest as _, Sha1};

use super::{Check, Route, Verdict};

const HTTP2: &str = "http2";
const WEBSOCKET: &str = "websocket";
/// What a server adds to the key before it hashes it (RFC 6455, section 1.3).
const WEBSOCKET_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Both checks; `plain` is Palette's answer to an ordinary request.
pub(super) async fn protocols(route: &Route<'_>, plain: &Answer) -> [Check; 2] {
    let websocket = match probe_websocket(route).await {
        Ok(seen) => websocket_check(&seen, plain.http2),
        Err(error) => not_tested(&error.to_string()),
    };
    [http2(plain.http2), websocket]
}

fn http2(negotiated: bool) -> Check {
    if negotiated {
        let evidence = "negotiated with whoever presented the certificate above";
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
enum UpgradeOutcome {
    /// A WebSocket server accepted it.
    Switched,
    /// It was accepted without the right answer to our key.
    Forged,
    /// Palette answered, with this status, and not by a WebSocket.
    Palette(u16),
    /// The same as to a request that asks for nothing.
    SameAsPlain(String),
    /// It was treated differently from an ordinary request.
    Refused {
        /// What came of asking.
        asked: String,
        /// What came of not asking.
        plain: String,
    },
    /// Neither was answered.
    NoAnswer(String),
}

async fn probe_websocket(route: &Route<'_>) -> io::Result<UpgradeOutcome> {
    let client = (route.make)(route.outbound, HttpVersions::Http1).map_err(io::Error::other)?;
    let key = key()?;
    let asked = route.palette.probe(&client, Some(&key)).await;
    if let Ok(answer) = &asked
        && let Some(seen) = recognized(answer, &key)
    {
        return Ok(seen);
    }
    // Unexpected: an ordinary request shows whose response this is.
    let plain = route.palette.probe(&client, None).await;
    Ok(compared(&asked, &plain))
}

fn key() -> io::Result<String> {
    let mut random = [0; 16];
    fs_err::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(STANDARD.encode(random))
}

fn recognized(answer: &Answer, key: &str) -> Option<UpgradeOutcome> {
    if answer.status == 101 {
        let expected = STANDARD.encode(Sha1::digest(format!("{key}{WEBSOCKET_GUID}")));
        let good = answer.header("sec-websocket-accept") == Some(&expected);
        return Some(if good {
            UpgradeOutcome::Switched
        } else {
            UpgradeOutcome::Forged
        });
    }
    let kind = answer.header("content-type").unwrap_or_default();
    let json = kind.starts_with("application/json") && answer.interception().is_none();
    (json && !answer.is_transient()).then_some(UpgradeOutcome::Palette(answer.status))
}

fn compared(
    asked: &Result<Answer, HttpError>,
    plain: &Result<Answer, HttpError>,
) -> UpgradeOutcome {
    let describe = |answer: &Result<Answer, HttpError>| match answer {
        Ok(answer) => answer.interception().unwrap_or_else(|| answer.describe()),
        Err(error) => error.to_string(),
    };
    match (asked, plain) {
        (Err(_), Err(_)) => UpgradeOutcome::NoAnswer(describe(asked)),
        (Ok(a), Ok(p)) if a.status == p.status => UpgradeOutcome::SameAsPlain(describe(asked)),
        _ => UpgradeOutcome::Refused {
            asked: describe(asked),
            plain: describe(plain),
        },
    }
}

/// Without HTTP/2 the agents have nothing else.
fn websocket_check(seen: &UpgradeOutcome, http2: bool) -> Check {
    const PASS: &str =
        "have the proxy pass Palette without TLS inspection, or allow WebSocket upgrades to it";
    let unproven = "Palette's own WebSocket address was not tested";
    match seen {
        UpgradeOutcome::Switched => Check::pass(WEBSOCKET, "accepted"),
        UpgradeOutcome::Palette(status) => Check::pass(
            WEBSOCKET,
            format!("the request reached Palette, which answered {status}; {unproven}"),
        ),
        UpgradeOutcome::SameAsPlain(response) => Check::pass(
            WEBSOCKET,
            format!("the request is treated as any other ({response}); {unproven}"),
        ),
        UpgradeOutcome::Forged => Check::warn(
            WEBSOCKET,
            "accepted by something that is no WebSocket server (no valid Sec-WebSocket-Accept, RFC 6455)",
            PASS,
        ),
        UpgradeOutcome::NoAnswer(error) => not_tested(error),
        UpgradeOutcome::Refused { asked, plain } => {
            let verdict = if http2 { Verdict::Warn } else { Verdict::Fail };
            let evidence = format!("refused on the way: {asked}; an ordinary request: {plain}");
            Check::of(WEBSOCKET, verdict, evidence, Some(PASS))
        }
    }
}

fn not_tested(why: &str) -> Check {
    Check::warn(
        WEBSOCKET,
        format!("could not be tested: {why}"),
        "run `postern-agent preflight` again",
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
        assert_eq!(recognized(&good, key), Some(UpgradeOutcome::Switched));
        for forged in [
            answer(101, &[]),
            answer(101, &[("sec-websocket-accept", key)]),
        ] {
            assert_eq!(recognized(&forged, key), Some(UpgradeOutcome::Forged));
        }
    }

    #[test]
    fn only_palettes_own_form_is_palette() {
        let json = ("content-type", "application/json; charset=utf-8");
        for (answer, seen) in [
            (answer(200, &[json]), Some(UpgradeOutcome::Palette(200))),
            (answer(404, &[json]), Some(UpgradeOutcome::Palette(404))),
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
        assert!(matches!(
            compared(&lost(), &lost()),
            UpgradeOutcome::NoAnswer(_)
        ));
        assert!(matches!(
            compared(&of(404), &of(404)),
            UpgradeOutcome::SameAsPlain(_)
        ));
        for (asked, plain) in [(lost(), of(200)), (of(403), of(200)), (of(200), lost())] {
            let seen = compared(&asked, &plain);
            assert!(matches!(seen, UpgradeOutcome::Refused { .. }), "{seen:?}");
            assert_eq!(websocket_check(&seen, true).verdict, Verdict::Warn);
            assert_eq!(websocket_check(&seen, false).verdict, Verdict::Fail);
        }
    }
}
