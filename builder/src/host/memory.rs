//! How much memory there is.

use std::io;

use fs_err as fs;

/// Bytes that programs can use without swapping: `MemAvailable`
/// (proc_meminfo(5)).
///
/// # Errors
/// If the kernel does not tell.
pub fn available() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let kib = text.lines().find_map(|line| {
        let value = line.strip_prefix("MemAvailable:")?;
        value.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    let missing = || io::Error::other("/proc/meminfo has no MemAvailable");
    kib.map(|kib| kib << 10).ok_or_else(missing)
}
