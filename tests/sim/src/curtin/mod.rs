//! A stand-in for curtin and the ephemeral system that MAAS runs it in.
//!
//! The host writes the image to a disk as curtin's `zcat | dd` would, then
//! boots the image's own kernel and initrd with [`vm`]'s archive appended. The
//! stand-in is that machine's first process: it does what curtin does after
//! the write, in curtin's order ([`install`]), reports it to the host over
//! the second serial port ([`events`]), and switches the machine off.
//!
//! Real curtin does more before the write (clearing disks) and installs
//! packages for images without a hook; none of that is played here.

pub mod cpio;
pub mod events;
pub mod install;
pub mod machine;
pub mod report;
pub mod target;
pub mod vm;
