//! Lines with fields for the system's journal, by its native protocol
//! (systemd.io/JOURNAL_NATIVE_PROTOCOL): one datagram for each entry.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

/// Where journald listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// A field's name and value.
pub type Field<'a> = (&'static str, std::borrow::Cow<'a, str>);

/// The running journald.
#[derive(Debug)]
pub struct Journald {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journald {
    /// Talks to the journald at `path`; `None` if there is none.
    pub fn at(path: PathBuf) -> Option<Self> {
        if !path.exists() {
            return None;
        }
        let socket = UnixDatagram::unbound().ok()?;
        // A journald that is stuck must not hold up a gateway.
        socket.set_nonblocking(true).ok()?;
        Some(Self { socket, path })
    }

    /// Sends one entry. What is not taken is lost: the same goes to standard
    /// output, and a gateway does not stop for its journal.
    pub fn send(&self, fields: &[Field<'_>]) {
        let _ = self.socket.send_to(&datagram(fields), &self.path);
    }
}

/// `NAME=value`, or for values of several lines the name, the length as 64 bits
/// little-endian and the value.
fn datagram(fields: &[Field<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.extend(name.bytes());
        if value.contains('\n') {
            bytes.push(b'\n');
            bytes.extend((value.len() as u64).to_le_bytes());
        } else {
            bytes.push(b'=');
        }
        bytes.extend(value.bytes());
        bytes.push(b'\n');
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_datagram() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        assert!(Journald::at(path.clone()).is_none());
        let listener = UnixDatagram::bind(&path).unwrap();
        let journal = Journald::at(path).unwrap();
        journal.send(&[("MESSAGE", "a=b".into()), ("POSTERN_DETAIL", "x\ny".into())]);
        let mut received = [0; 128];
        let n = listener.recv(&mut received).unwrap();
        let expected = b"MESSAGE=a=b\nPOSTERN_DETAIL\n\x03\0\0\0\0\0\0\0x\ny\n";
        assert_eq!(&received[..n], expected);
    }

    #[test]
    fn a_journald_that_is_gone_or_full_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = UnixDatagram::bind(&path).unwrap();
        let journal = Journald::at(path).unwrap();
        for _ in 0..10_000 {
            journal.send(&[("MESSAGE", "again".into())]);
        }
        drop(listener);
        journal.send(&[("MESSAGE", "nobody".into())]);
    }
}
