//! The stand-in for k3s: one Python program and a bundle of images, as bytes.
//!
//! `k3s-stand-in` answers to `k3s server`, `k3s kubectl` (or as `kubectl`) and
//! `k3s --version`, and says of itself that it is not Kubernetes. **As the real
//! one**: configuration files, drop-ins, flags and `K3S_*` variables; the
//! messages and exit status for networks that are none, for unknown flags, for
//! a connection refused, for objects without a namespace or of an unknown kind;
//! READY=1 to systemd; SIGTERM. **Stricter**: unknown keys in `config.yaml`
//! (k3s warns and skips them) and networks that overlap are refused. **Missing**:
//! everything that runs: no container, no TLS, no joining; the network of its one
//! pod is the machine's own, where it is root.
//! Deployments are available at once, or after as many looks as a knob says;
//! its own documentation, at its head, has the knobs and where it keeps what.

#[cfg(test)]
mod machine;
#[cfg(test)]
mod tests;

/// The program; install it with mode 0755.
pub static PROGRAM: &[u8] = include_bytes!("../../k3s-stand-in");

/// What `k3s --version` begins with.
pub const VERSION: &str = "v1.31.8+k3s1-stand-in";

/// An air-gap bundle with one image that holds nothing; made by
/// `tests/sim/k3s-images-stand-in.gen.sh`.
pub static IMAGES: &[u8] = include_bytes!("../../k3s-images-stand-in.tar");
