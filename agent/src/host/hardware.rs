//! What the machine has.

use std::io;

use fs_err as fs;

/// Bytes of memory, as the kernel counts them; 0 if it does not say.
///
/// # Errors
/// If `/proc` is not there.
pub fn memory() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.unwrap_or(0) * 1024)
}

/// Cores that programs may use.
///
/// # Errors
/// If the kernel does not say.
pub fn cpus() -> io::Result<usize> {
    Ok(std::thread::available_parallelism()?.get())
}
