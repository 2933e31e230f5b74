//! What Palette says of a gateway: the end of a deployment, for whoever may ask.

use std::fmt;

/// A gateway as Palette sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatewayState {
    /// There is none of that name.
    Absent,
    /// It was announced, and nothing runs yet.
    Pending,
    /// It runs; whether it is healthy is not known yet.
    Running,
    /// It runs and is healthy: the end.
    Healthy,
    /// Anything else, in Palette's words.
    Other(String),
}

impl fmt::Display for GatewayState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "absent",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Healthy => "healthy",
            Self::Other(state) => state,
        })
    }
}

/// Palette did not say. The text is shown to people: it holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WatchError(pub String);

/// Somebody who may ask Palette about one gateway.
pub trait Watch {
    /// What Palette says now. Asked once per look at the machines, and only
    /// when all of them are deployed.
    fn state(&mut self) -> impl Future<Output = Result<GatewayState, WatchError>>;
}
