//! Telling systemd how the service is (sd_notify(3)): one datagram to the
//! socket it named.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Sends `state`, such as `READY=1`; does nothing when nobody listens.
///
/// # Errors
/// If the socket was named and cannot be written to.
#[expect(
    clippy::disallowed_methods,
    reason = "the service manager names its socket in the environment"
)]
pub fn notify(state: &str) -> io::Result<()> {
    match std::env::var("NOTIFY_SOCKET") {
        Ok(name) if !name.is_empty() => send(&name, state),
        _ => Ok(()),
    }
}

/// A name that starts with `@` is in the abstract namespace (unix(7)).
fn send(name: &str, state: &str) -> io::Result<()> {
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    UnixDatagram::unbound()?
        .send_to_addr(state.as_bytes(), &address)
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_hears_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        send(path.to_str().unwrap(), "READY=1\nSTATUS=online").unwrap();
        let mut received = [0; 64];
        let n = listener.recv(&mut received).unwrap();
        assert_eq!(&received[..n], b"READY=1\nSTATUS=online");
    }

    #[test]
    fn a_socket_that_is_gone_is_an_error() {
        assert!(send("/no/such/socket", "READY=1").is_err());
    }
}
