//! What a person, a program and the serial console see of this machine.
//!
//! [`model`] is `/run/postern/status.json`: no secret, readable by everyone.
//! [`reporter`] writes it at every change, with one line for the journal and the
//! console; [`page`] draws it for a person; [`screen`] keeps the page on the
//! machine's own screen; [`metrics`] writes for Prometheus; [`checks`] draws what
//! preflight saw; [`slot`] is which root runs.

pub mod checks;
pub mod maas;
pub mod mask;
pub mod metrics;
pub mod model;
pub mod page;
mod record;
pub mod reporter;
pub mod screen;
pub mod slot;
