//! A network of our own: a namespace in which nothing exists but loopback.
//!
//! The simulators can then use the real ports, two rehearsals can run at once,
//! and no packet of the rehearsed machine can leave this one.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket,
};
use nix::unistd::geteuid;
use postern_contract::host::{Command, CommandError};

/// Starts `program` with `args` again inside a network namespace, in place of
/// this process. Returns only if that fails.
pub fn exec_inside(program: &Path, args: &[OsString]) -> CommandError {
    let unshare = Command::new("unshare").arg("--net");
    let unshare = if geteuid().is_root() {
        unshare
    } else {
        unshare.args(["--user", "--map-root-user"])
    };
    unshare
        .arg("--")
        .arg(program)
        .args(args)
        .with_environment()
        .exec()
}

/// Whether this process sees no network interface but loopback.
///
/// # Errors
/// If `/proc/net/dev` cannot be read.
pub fn is_inside() -> io::Result<bool> {
    let text = fs_err::read_to_string("/proc/net/dev")?;
    let names = text.lines().skip(2).filter_map(|l| l.split(':').next());
    Ok(names.map(str::trim).eq(["lo"]))
}

/// Brings loopback up, with one rtnetlink message (rtnetlink(7), `RTM_NEWLINK`).
///
/// # Errors
/// If the kernel refuses: this is not a namespace of ours.
pub fn loopback_up() -> io::Result<()> {
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&netlink);
    sendto(fd, &link_up(1), &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut reply = [0; 512];
    let n = recv(fd, &mut reply, MsgFlags::empty())?;
    // struct nlmsghdr (16 bytes), then struct nlmsgerr, which starts with -errno.
    let code = reply[..n].get(16..20).and_then(|b| b.try_into().ok());
    match code.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
        None => Err(io::Error::other("the kernel's reply is too short")),
    }
}

/// The message that sets `IFF_UP` on the interface with this index.
fn link_up(index: i32) -> Vec<u8> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 0x1 | 0x4;
    const IFF_UP: u32 = 1;
    let mut message = Vec::new();
    message.extend(32_u32.to_ne_bytes()); // nlmsg_len
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend(1_u32.to_ne_bytes()); // nlmsg_seq
    message.extend(0_u32.to_ne_bytes()); // nlmsg_pid
    message.extend([0, 0, 0, 0]); // ifi_family, padding, ifi_type
    message.extend(index.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes()); // ifi_flags
    message.extend(IFF_UP.to_ne_bytes()); // ifi_change
    message
}
