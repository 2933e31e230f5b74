//! Events of the kernel to wait for: a folder changes, a route changes.
//!
//! Only *that* something happened is used; what is then true is read afresh.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, socket,
};
use tokio::net::unix::pipe::Receiver;

/// Multicast groups of rtnetlink(7): IPv4 and IPv6 addresses and routes
/// (`RTMGRP_*` in linux/rtnetlink.h).
const ADDRESSES_AND_ROUTES: u32 = 0x10 | 0x40 | 0x100 | 0x400;

/// A source of events: anything that can be polled and read like a pipe.
#[derive(Debug)]
pub struct Events(Option<Receiver>);

impl Events {
    /// A source in which nothing ever happens.
    pub const fn never() -> Self {
        Self(None)
    }

    /// Files that appear, change or go in the folder `dir`.
    ///
    /// # Errors
    /// If there is no such folder, or no runtime to wait in.
    pub fn in_folder(dir: &Path) -> io::Result<Self> {
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_ONLYDIR;
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(dir, flags).map_err(|e| {
            io::Error::new(
                io::Error::from(e).kind(),
                format!("watching {}: {e}", dir.display()),
            )
        })?;
        Self::of(inotify.into())
    }

    /// Addresses and routes that come or go.
    ///
    /// # Errors
    /// If the kernel gives no netlink socket, or there is no runtime to wait in.
    pub fn of_network() -> io::Result<Self> {
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
            SockProtocol::NetlinkRoute,
        )?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, ADDRESSES_AND_ROUTES))?;
        Self::of(fd)
    }

    /// Ends when something happened since the last call (or since the start).
    ///
    /// # Errors
    /// If the source cannot be read any more.
    pub async fn next(&self) -> io::Result<()> {
        let Some(source) = &self.0 else {
            return std::future::pending().await;
        };
        loop {
            source.readable().await?;
            match drain(source) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }

    fn of(fd: OwnedFd) -> io::Result<Self> {
        Receiver::from_owned_fd_unchecked(fd).map(|source| Self(Some(source)))
    }
}

/// Reads all there is; `WouldBlock` if there was nothing.
fn drain(source: &Receiver) -> io::Result<()> {
    let mut buffer = [0; 16 << 10];
    let first = source.try_read(&mut buffer);
    while first.is_ok() && source.try_read(&mut buffer).is_ok() {}
    match first {
        // The kernel dropped events because there were too many: something happened.
        Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => Ok(()),
        other => other.map(|_| ()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_appears_is_an_event() {
        let dir = tempfile::tempdir().unwrap();
        let events = Events::in_folder(dir.path()).unwrap();
        postern_contract::host::files::write_atomic(&dir.path().join("gateway.yaml"), b"x", 0o600)
            .unwrap();
        events.next().await.unwrap();
    }

    #[tokio::test]
    async fn a_missing_folder_is_named() {
        let error = Events::in_folder(Path::new("/no/such/folder")).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder"), "{error}");
    }

    #[tokio::test]
    async fn network_events_can_be_asked_for_without_root() {
        Events::of_network().unwrap();
    }
}
