//! The base layer: the locked packages, installed; and the initrd made from them.
//!
//! Both are made in one sandbox ([`sandbox`]): namespaces in which the locked
//! packages' own maintainer scripts run as root over a scratch root, without a
//! network and without a view of the host.
//!
//! - `make`: both, unless an earlier build made them
//! - `plan`: what to make, as data that crosses into the sandbox
//! - [`sandbox`]: entering it, and the program that runs inside
//! - `mounts`: what the sandbox's root shows of the machine
//! - [`jail`]: where one program of the packages runs
//! - `order`: which packages are configured before others are unpacked
//! - `install`: packages → installed root
//! - `dpkg_error`: which package did not install, and why
//! - `scrub`: removes what tells when or where the root was made
//! - `initrd`: installed root → initrd, by the distribution's dracut
//! - `initrd_needs`: whether it has what the first boot needs
//! - `capture`: installed root → layer

mod capture;
mod dpkg_error;
mod initrd;
mod initrd_needs;
mod initrd_overlay;
mod install;
pub mod jail;
mod make;
mod mounts;
mod order;
mod plan;
pub mod sandbox;
mod scrub;

pub use make::{Base, Inputs, MIN_MEMORY_BYTES, make};
pub use plan::{InitrdPlan, InstallPlan, Package, Plan, RootFrom};
