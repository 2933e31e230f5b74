//! Stand-ins for MAAS, curtin, Palette, a proxy and k3s.

pub mod curtin;
pub mod archive;
