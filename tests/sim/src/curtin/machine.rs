//! Being a machine's first process: its file systems, drivers and its end.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use fs_err as fs;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt,
    socket, sockopt::ReceiveTimeout,
};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::sys::time::{TimeVal, TimeValLike};
use postern_contract::host::Command;
use postern_contract::host::mount_table::mounts;

/// Kernel file systems in the order in which they are needed.
const FILE_SYSTEMS: [(&str, &str); 5] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/run"),
    ("tmpfs", "/tmp"),
];
/// Drivers of the disk and of everything that curtin or the hook may mount.
/// A driver that is built in, or not there, is not an error: mounting will fail.
const MODULES: [&str; 11] = [
    "virtio_pci",
    "virtio_blk",
    "ext4",
    "squashfs",
    "erofs",
    "overlay",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "nls_iso8859-1",
    "nls_utf8",
];
/// How long the kernel may take to show the disk, in seconds.
const UEVENT_TIMEOUT_SECONDS: i64 = 60;

/// Mounts what every program expects.
///
/// # Errors
/// If one cannot be mounted.
pub fn mount_file_systems() -> anyhow::Result<()> {
    for (fstype, point) in FILE_SYSTEMS {
        fs::create_dir_all(point)?;
        let none = None::<&str>;
        mount(Some(fstype), point, Some(fstype), MsFlags::empty(), none)
            .with_context(|| format!("mounting {point}"))?;
    }
    Ok(())
}

/// Loads drivers from the initrd; returns what did not work, for the log.
pub fn load_modules() -> Vec<String> {
    MODULES
        .iter()
        .filter_map(|module| {
            let result = Command::new("modprobe").arg(module).run();
            result.err().map(|error| error.to_string())
        })
        .collect()
}

/// Opens a serial port so that bytes pass as they are.
///
/// # Errors
/// If the machine has no such port.
pub fn open_port(path: &str) -> anyhow::Result<File> {
    let port = fs::OpenOptions::new().write(true).open(path)?.into_file();
    let mut settings = tcgetattr(&port).with_context(|| format!("reading settings of {path}"))?;
    cfmakeraw(&mut settings);
    tcsetattr(&port, SetArg::TCSANOW, &settings).with_context(|| format!("setting up {path}"))?;
    Ok(port)
}

/// Waits until the kernel shows `disk` (such as `vda`) with its partitions;
/// returns their device nodes by number.
///
/// # Errors
/// If it does not within a minute.
pub fn partitions_of(disk: &str) -> anyhow::Result<Vec<PathBuf>> {
    let events = uevent_socket()?;
    let mut event = [0; 8192];
    loop {
        let found = partitions(&Path::new("/sys/class/block").join(disk))?;
        if !found.is_empty() {
            return Ok(found);
        }
        // Any event may be the one: list again after each.
        recv(events.as_raw_fd(), &mut event, MsgFlags::empty())
            .with_context(|| format!("waiting for the partitions of {disk}"))?;
    }
}

/// The kernel's events about devices (netlink(7), `NETLINK_KOBJECT_UEVENT`).
fn uevent_socket() -> anyhow::Result<std::os::fd::OwnedFd> {
    let fd = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkKObjectUEvent,
    )
    .context("opening the kernel's event socket")?;
    let kernel_group = 1;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, kernel_group)).context("joining kernel events")?;
    setsockopt(
        &fd,
        ReceiveTimeout,
        &TimeVal::seconds(UEVENT_TIMEOUT_SECONDS),
    )
    .context("setting a time limit")?;
    Ok(fd)
}

fn partitions(disk: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !disk.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(disk)? {
        let entry = entry?;
        let number = entry.path().join("partition");
        if number.exists() {
            let number: u32 = fs::read_to_string(number)?.trim().parse()?;
            found.push((number, Path::new("/dev").join(entry.file_name())));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, node)| node).collect())
}

/// Unmounts everything at and below `dir`, newest first, as curtin's
/// `util.do_umount(recursive=True)` does.
///
/// # Errors
/// If something is still in use.
pub fn unmount_below(dir: &Path) -> anyhow::Result<()> {
    loop {
        let table = mounts(&fs::read_to_string("/proc/self/mountinfo")?);
        let Some(last) = table.iter().rfind(|mount| mount.point.starts_with(dir)) else {
            return Ok(());
        };
        umount2(&last.point, MntFlags::empty())
            .with_context(|| format!("unmounting {}", last.point.display()))?;
    }
}

/// Whether anything is mounted at or below `dir`, from the mount table.
///
/// # Errors
/// If the table cannot be read.
pub fn ensure_nothing_mounted(dir: &Path) -> anyhow::Result<()> {
    let table = mounts(&fs::read_to_string("/proc/self/mountinfo")?);
    let left = table.iter().find(|mount| mount.point.starts_with(dir));
    ensure!(
        left.is_none(),
        "{} is still mounted",
        left.map_or(Path::new(""), |mount| &mount.point).display()
    );
    Ok(())
}

/// Writes everything out and switches the machine off. Does not return unless that fails.
pub fn power_off() -> io::Error {
    nix::unistd::sync();
    match reboot(RebootMode::RB_POWER_OFF) {
        Ok(never) => match never {},
        Err(errno) => errno.into(),
    }
}
