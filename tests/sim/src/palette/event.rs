//! What the simulated Palette reports.

use std::fmt;

use super::route::Route;

/// The stage of a gateway, as Palette sees it.
///
/// Documented: `Pending` and `Importing`, then `Running` and a health of
/// `Healthy`. What else there may be is not known (U10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A code or an entry exists; nothing was fetched.
    Pending,
    /// The manifest was fetched.
    Importing,
    /// The gateway registered itself.
    Running,
    /// Running, and its agents report.
    Healthy,
}

/// Something that happened at the simulated Palette.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request was answered. `route` is `None` for addresses that do not exist.
    Answered {
        /// The operation.
        route: Option<Route>,
        /// HTTP status of the answer.
        status: u16,
        /// A fault changed this answer.
        faulty: bool,
    },
    /// A request arrived that a fault stalls.
    Stalled {
        /// The operation.
        route: Route,
    },
    /// A TLS handshake failed: the client trusts another authority, or speaks no TLS.
    HandshakeFailed {
        /// What rustls says.
        reason: String,
    },
    /// A pairing code was issued.
    CodeIssued {
        /// Uid of the gateway it is for.
        overlord: String,
    },
    /// A gateway came to this stage.
    Reached {
        /// Uid of the gateway.
        overlord: String,
        /// The stage.
        stage: Stage,
    },
    /// A gateway was deleted.
    Removed {
        /// Uid of the gateway.
        overlord: String,
    },
    /// A MAAS account was created for a gateway.
    AccountCreated {
        /// Uid of the gateway.
        overlord: String,
    },
    /// A cloud configuration was created for a gateway.
    CloudConfigCreated {
        /// Uid of the gateway.
        overlord: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered {
                route,
                status,
                faulty,
            } => {
                match route {
                    Some(route) => write!(f, "{route}")?,
                    None => f.write_str("an unknown address")?,
                }
                let fault = if *faulty { " (fault)" } else { "" };
                write!(f, " answered {status}{fault}")
            }
            Self::Stalled { route } => write!(f, "{route} stalled (fault)"),
            Self::HandshakeFailed { reason } => write!(f, "TLS handshake failed: {reason}"),
            Self::CodeIssued { overlord } => write!(f, "pairing code issued for {overlord}"),
            Self::Reached { overlord, stage } => write!(f, "gateway {overlord} is {stage:?}"),
            Self::Removed { overlord } => write!(f, "gateway {overlord} deleted"),
            Self::AccountCreated { overlord } => write!(f, "MAAS account created for {overlord}"),
            Self::CloudConfigCreated { overlord } => {
                write!(f, "cloud configuration created for {overlord}")
            }
        }
    }
}
