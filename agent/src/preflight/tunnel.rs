//! A tunnel through an HTTP proxy (RFC 9110, section 9.3.6), by hand: the HTTP
//! client does not show the proxy's response.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

use super::{Check, Route};

/// Largest head of a proxy's answer.
const MAX_HEAD_BYTES: usize = 8 << 10;

/// Asks the proxy for a tunnel to Palette, without using it.
pub(super) async fn tunnel(proxy: &Url, address: IpAddr, route: &Route<'_>) -> Check {
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
            format!("{shown} uses TLS: the next check tests it"),
        );
    }
    let target = target(endpoint);
    let socket = SocketAddr::new(address, proxy.port_or_known_default().unwrap_or(80));
    let asked = tokio::time::timeout(route.proxy_timeout, connect(socket, proxy, &target)).await;
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
            let evidence = format!(
                "{shown}: no answer within {} s",
                route.proxy_timeout.as_secs()
            );
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
pub(super) fn target(endpoint: &Url) -> String {
    format!(
        "{}:{}",
        endpoint.host_str().unwrap_or_default(),
        endpoint.port_or_known_default().unwrap_or(443)
    )
}

/// Asks for a tunnel; the proxy's first line, and the connection behind its answer.
pub(super) async fn connect(
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
    while head.len() < MAX_HEAD_BYTES && !is_head(&head) {
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
