//! What the firmware starts: one unified kernel image (UKI) per version that
//! carries kernel, initrd and command line. UEFI starts it through systemd-boot,
//! a legacy BIOS through GRUB, which reads the same file.

pub mod bios;
pub mod cmdline;
pub mod esp;
pub mod firmware;
pub mod lsm;
pub mod microcode;
pub mod pe;
pub mod uki;

pub use cmdline::Cmdline;
pub use firmware::Firmware;
pub use microcode::Microcode;
pub use uki::Uki;
