//! What a gateway file makes of this machine.
//!
//! [`settings`] is the file laid over the image, [`configure`] reads it and writes
//! every file that follows from it; [`drift`] is what it may not change any more,
//! [`authorities`] what the machine trusts, [`inheritance`] what its pods are given of
//! that, [`reach`] how it reaches Palette.

pub mod authorities;
pub mod configure;
pub mod drift;
pub mod inheritance;
pub mod reach;
pub mod settings;
