//! Checks on the path to Palette, in the order a connection takes: name, proxy,
//! certificate, answer, clock, and what else it carries.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use postern_contract::host::http::{Answer, HttpError};
use postern_contract::trust::{self, Certificate};
use tokio::net::TcpStream;
use url::Url;

use super::presented::presented_certificate;
use super::protocols::protocols;
use super::tunnel::{connect, target, tunnel};
use super::{Check, Names, Origin, Route, Verdict};

/// Clock difference from which tokens and certificates are in danger; Palette's
/// tokens live for 15 minutes.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(300);

/// Runs all checks on the path to Palette.
pub async fn remote(route: &Route<'_>, names: &dyn Names, now: Timestamp) -> Vec<Check> {
    let mut checks = Vec::new();
    let (check, addresses) = resolve(route.first(), names).await;
    checks.push(check);
    if let (Some(proxy), Some(address)) = (route.proxy, addresses.first()) {
        let check = tunnel(proxy, *address, route).await;
        let failed = check.verdict == Verdict::Fail;
        checks.push(check);
        if failed {
            return checks;
        }
    }
    if super::failure(&checks).is_some() {
        return checks;
    }
    let asked = match route.from {
        Origin::Machine => route.palette.ping().await,
        Origin::Pod => route.palette.certs().await,
    };
    match asked {
        Ok(answer) => {
            let certificate = match &answer.certificate {
                Some(der) => Some(der.clone()),
                None => server_certificate(route, &addresses).await,
            };
            checks.push(Check::pass(
                "tls",
                describe_certificate(certificate.as_deref()),
            ));
            checks.push(check_response(&answer));
            checks.extend(skew(&answer, now));
            let all = route.from == Origin::Machine && answer.status != 429;
            if all && super::failure(&checks).is_none() {
                checks.extend(protocols(route, &answer).await);
            }
        }
        Err(error) => checks.push(check_failure(route, &addresses, error).await),
    }
    checks
}

async fn resolve(url: &Url, names: &dyn Names) -> (Check, Vec<IpAddr>) {
    let host = host_without_brackets(url);
    if let Ok(address) = host.parse() {
        let evidence = format!("{host} is an address");
        return (Check::pass("name", evidence), vec![address]);
    }
    let addresses = names.addresses(host).await;
    if addresses.is_empty() {
        let evidence = format!("{host} has no address");
        return (Check::fail("name", evidence, names.remedy()), addresses);
    }
    let list: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
    let evidence = format!("{host} is {}", list.join(", "));
    (Check::pass("name", evidence), addresses)
}

/// The host of a URL as one asks for it: an IPv6 address without its brackets.
pub fn host_without_brackets(url: &Url) -> &str {
    let host = url.host_str().unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']')
}

fn check_response(answer: &Answer) -> Check {
    if let Some(why) = answer.interception() {
        return Check::fail(
            "palette",
            format!("something between this machine and Palette answers in its place: {why}"),
            "have the proxy pass Palette's addresses without inspection or login page",
        );
    }
    // An error of Palette's own proves that it is there, also the one that says "too many".
    if answer.status == 200 || matches!(answer.status, 401 | 403 | 429) && answer.error().is_some()
    {
        return Check::pass("palette", answer.describe());
    }
    if answer.is_transient() {
        return Check::fail(
            "palette",
            answer.describe(),
            "wait: the agent tries again by itself",
        );
    }
    Check::fail(
        "palette",
        answer.describe(),
        "check the endpoint: is it Palette's console address, https:// and nothing behind the host?",
    )
}

fn skew(answer: &Answer, now: Timestamp) -> Option<Check> {
    let theirs = answer.date()?;
    let seconds = now.duration_since(theirs).as_secs();
    let evidence = format!("this clock is {seconds} s ahead of Palette's");
    Some(if seconds.unsigned_abs() <= MAX_CLOCK_SKEW.as_secs() {
        Check::pass("clock", evidence)
    } else {
        Check::fail(
            "clock",
            evidence,
            "let the machine reach a time server (network.ntp in the gateway file)",
        )
    })
}

/// No answer: if a certificate is at fault, shows whose it is.
async fn check_failure(route: &Route<'_>, addresses: &[IpAddr], error: HttpError) -> Check {
    let HttpError::Unreachable {
        untrusted: true,
        why,
        ..
    } = &error
    else {
        return Check::fail(
            "tls",
            error.to_string(),
            "check that this network may reach Palette on port 443, directly or by the proxy",
        );
    };
    // RFC 5280, section 4.1.2.5: outside its time a good certificate fails as well.
    if why.contains("not valid yet") || why.contains("expired") {
        return Check::fail(
            "tls",
            format!("by this machine's clock, Palette's certificate is not valid now: {why}"),
            "check this machine's clock: set it, or let it reach a time server (network.ntp in the gateway file); if it is right, Palette's certificate must be renewed",
        );
    }
    let presented = match server_certificate(route, addresses).await {
        Some(der) => describe_certificate(Some(&der)),
        None => "a certificate that could not be read".to_owned(),
    };
    Check::fail(
        "tls",
        format!("Palette's certificate is not trusted: {presented} ({why})"),
        "if a proxy inspects TLS, have it pass Palette; if Palette has a private CA, add it under certificates in the gateway file",
    )
}

/// The certificate that the server presents at the end of the path, through the proxy if
/// there is one; `addresses` are those of the first host.
async fn server_certificate(route: &Route<'_>, addresses: &[IpAddr]) -> Option<Vec<u8>> {
    let host = route.endpoint.host_str()?;
    let first = route.first();
    let socket = SocketAddr::new(*addresses.first()?, first.port_or_known_default()?);
    let handshake = async {
        let stream = match route.proxy {
            // The tunnel of such a proxy is inside another TLS.
            Some(proxy) if proxy.scheme() != "http" => return None,
            Some(proxy) => {
                connect(socket, proxy, &target(route.endpoint))
                    .await
                    .ok()?
                    .1
            }
            None => TcpStream::connect(socket).await.ok()?,
        };
        presented_certificate(stream, host).await
    };
    tokio::time::timeout(route.proxy_timeout, handshake)
        .await
        .ok()?
}

fn describe_certificate(der: Option<&[u8]>) -> String {
    let pem = der.map(|der| {
        let body = STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    });
    let parsed = pem.and_then(|pem| trust::parse(&pem).ok());
    match parsed.as_deref() {
        Some([Certificate { info, .. }]) => format!(
            "subject {}, issuer {}, until {}",
            info.subject,
            info.issuer,
            info.not_after.strftime("%F")
        ),
        _ => "a certificate that could not be read".to_owned(),
    }
}
