//! What a person, a program and the serial console see of this machine.
//!
//! [`model`] is `/run/postern/status.json`: no secret, readable by everyone.
//! [`report`] writes it at every change, with one line for the journal and the
//! console; [`page`] draws it for a person; [`screen`] keeps the page on the
//! machine's own screen.

pub mod maas;
pub mod mask;
pub mod model;
pub mod page;
pub mod report;
pub mod screen;
