//! Checks on the way to Palette, in the order a connection takes: name, proxy,
//! certificate, answer, clock.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use super::presented::presented;
use super::{Check, Verdict};
use crate::host::http::{Answer, HttpError};
use crate::host::network::Network;
use crate::pairing::palette::Palette;
use crate::trust::{self, Certificate};

/// Largest head of a proxy's answer.
const HEAD: usize = 8 << 10;
/// Clock difference from which tokens and certificates are in danger; Palette's
/// tokens live for 15 minutes.
const SKEW: Duration = Duration::from_secs(300);

/// The way to Palette.
pub struct Route<'a> {
    /// Palette.
    pub endpoint: &'a Url,
    /// The proxy in front of it, if it is not reached directly.
    pub proxy: Option<&'a Url>,
    /// The conversation, over that client.
    pub palette: &'a Palette,
    /// How long the proxy may take to answer.
    pub patience: Duration,
}

/// Runs all checks on the way to Palette.
pub async fn remote(route: &Route<'_>, network: &dyn Network, now: Timestamp) -> Vec<Check> {
    let mut checks = Vec::new();
    let first = route.proxy.unwrap_or(route.endpoint);
    let (check, addresses) = resolve(first, network);
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
    match route.palette.ping().await {
        Ok(answer) => {
            let certificate = match &answer.certificate {
                Some(der) => Some(der.clone()),
                None => look(route, &addresses).await,
            };
            checks.push(Check::pass("tls", shown(certificate.as_deref())));
            checks.push(answered(&answer));
            checks.extend(skew(&answer, now));
        }
        Err(error) => checks.push(unanswered(route, &addresses, error).await),
    }
    checks
}

fn resolve(url: &Url, network: &dyn Network) -> (Check, Vec<IpAddr>) {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return (
            Check::pass("name", format!("{host} is an address")),
            vec![address],
        );
    }
    match network.resolve(host) {
        Ok(addresses) if !addresses.is_empty() => {
            let list: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
            let check = Check::pass("name", format!("{host} is {}", list.join(", ")));
            (check, addresses)
        }
        _ => {
            let remedy = "check the name servers and search domain that MAAS gave this machine (`resolvectl`), and the spelling";
            let check = Check::fail("name", format!("{host} has no address"), remedy);
            (check, Vec::new())
        }
    }
}

/// Asks the proxy for a tunnel to Palette, without using it.
async fn tunnel(proxy: &Url, address: IpAddr, route: &Route<'_>) -> Check {
    let endpoint = route.endpoint;
    let shown = format!(
        "{}:{}",
        proxy.host_str().unwrap_or_default(),
        proxy.port_or_known_default().unwrap_or(80)
    );
    if proxy.scheme() != "http" {
        // The tunnel is inside TLS; the next check goes through it anyway.
        return Check::pass(
            "proxy",
            format!("{shown} speaks TLS, seen by the next check"),
        );
    }
    let target = target(endpoint);
    let socket = SocketAddr::new(address, proxy.port_or_known_default().unwrap_or(80));
    let asked = tokio::time::timeout(route.patience, connect(socket, proxy, &target)).await;
    let line = match asked {
        Ok(Ok((line, _))) => line,
        Ok(Err(error)) => {
            let evidence = format!("{shown}: {error}");
            return Check::fail(
                "proxy",
                evidence,
                "check the proxy's address and port, and that it is up",
            );
        }
        Err(_) => {
            let evidence = format!("{shown}: no answer within {} s", route.patience.as_secs());
            return Check::fail(
                "proxy",
                evidence,
                "check the proxy's address and port, and that it is up",
            );
        }
    };
    let evidence = format!("{shown}: CONNECT {target}: {line}");
    match line.split_whitespace().nth(1) {
        Some("200") => Check::pass("proxy", evidence),
        Some("407") => Check::fail(
            "proxy",
            evidence,
            "check user and password of the proxy in the gateway file",
        ),
        _ => Check::fail(
            "proxy",
            evidence,
            "have the proxy allow CONNECT to Palette, without TLS inspection",
        ),
    }
}

/// `host:port`, as CONNECT wants it.
fn target(endpoint: &Url) -> String {
    format!(
        "{}:{}",
        endpoint.host_str().unwrap_or_default(),
        endpoint.port_or_known_default().unwrap_or(443)
    )
}

/// Asks for a tunnel; the proxy's first line, and the connection behind its answer.
async fn connect(
    socket: SocketAddr,
    proxy: &Url,
    target: &str,
) -> std::io::Result<(String, TcpStream)> {
    let mut stream = TcpStream::connect(socket).await?;
    let login = basic_login(proxy)
        .map(|login| format!("Proxy-Authorization: Basic {login}\r\n"))
        .unwrap_or_default();
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{login}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while head.len() < HEAD && !is_head(&head) {
        match stream.read(&mut chunk).await? {
            0 => break,
            n => head.extend_from_slice(&chunk[..n]),
        }
    }
    let text = String::from_utf8_lossy(&head);
    let line: String = text
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(120)
        .collect();
    if line.starts_with("HTTP/") {
        Ok((line, stream))
    } else {
        Err(std::io::Error::other("it is no HTTP proxy"))
    }
}

/// Whether this is all that a proxy says before the tunnel, or no HTTP at all.
fn is_head(bytes: &[u8]) -> bool {
    let foreign = bytes.contains(&b'\n') && !bytes.starts_with(b"HTTP/");
    foreign || bytes.windows(4).any(|four| four == b"\r\n\r\n")
}

/// User and password of the URL as RFC 7617 wants them.
fn basic_login(url: &Url) -> Option<String> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut login: Vec<u8> = percent_decode_str(url.username()).collect();
    login.push(b':');
    login.extend(percent_decode_str(url.password().unwrap_or_default()));
    Some(STANDARD.encode(login))
}

fn answered(answer: &Answer) -> Check {
    if let Some(why) = answer.interception() {
        return Check::fail(
            "palette",
            format!("something between here and Palette answers for it: {why}"),
            "have the proxy pass Palette's addresses without inspection or login page",
        );
    }
    // An error of Palette's own proves that it is there, also the one that says "too many".
    if answer.status == 200 || matches!(answer.status, 401 | 403 | 429) && answer.error().is_some()
    {
        return Check::pass("palette", answer.says());
    }
    if answer.is_transient() {
        return Check::fail(
            "palette",
            answer.says(),
            "none needed: the agent asks again",
        );
    }
    Check::fail(
        "palette",
        answer.says(),
        "check the endpoint: is it Palette's console address, https:// and nothing behind the host?",
    )
}

fn skew(answer: &Answer, now: Timestamp) -> Option<Check> {
    let theirs = answer.date()?;
    let seconds = now.duration_since(theirs).as_secs();
    let evidence = format!("this clock is {seconds} s ahead of Palette's");
    Some(if seconds.unsigned_abs() <= SKEW.as_secs() {
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
async fn unanswered(route: &Route<'_>, addresses: &[IpAddr], error: HttpError) -> Check {
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
            format!("Palette's certificate is outside its time by this machine's clock: {why}"),
            "compare this machine's clock: set it, or let it reach a time server (network.ntp in the gateway file); if it is right, Palette's certificate must be renewed",
        );
    }
    let presented = match look(route, addresses).await {
        Some(der) => shown(Some(&der)),
        None => "a certificate that could not be seen".to_owned(),
    };
    Check::fail(
        "tls",
        format!("Palette's certificate is not trusted: {presented} ({why})"),
        "if a proxy inspects TLS, have it pass Palette; if Palette has a private CA, add it under certificates in the gateway file",
    )
}

/// The certificate that answers at the end of the way, through the proxy if
/// there is one; `addresses` are those of the first station.
async fn look(route: &Route<'_>, addresses: &[IpAddr]) -> Option<Vec<u8>> {
    let host = route.endpoint.host_str()?;
    let first = route.proxy.unwrap_or(route.endpoint);
    let socket = SocketAddr::new(*addresses.first()?, first.port_or_known_default()?);
    let looked = async {
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
        presented(stream, host).await
    };
    tokio::time::timeout(route.patience, looked).await.ok()?
}

fn shown(der: Option<&[u8]>) -> String {
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
        _ => "a certificate that could not be seen".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_encoded_as_the_rfc_says() {
        // RFC 7617, section 2.
        let url = Url::parse("http://Aladdin:open%20sesame@proxy.example:3128").unwrap();
        assert_eq!(basic_login(&url).unwrap(), "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let url = Url::parse("http://proxy.example:3128").unwrap();
        assert_eq!(basic_login(&url), None);
    }
}
