//! What the firmware starts: systemd-boot, and one unified kernel image (UKI)
//! per version that carries kernel, initrd and command line.

pub mod cmdline;
pub mod esp;
pub mod os_release;
pub mod pe;
pub mod uki;

pub use cmdline::Cmdline;
pub use uki::Uki;
