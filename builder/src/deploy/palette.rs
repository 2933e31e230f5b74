//! Palette itself, asked with the operator's key: how a deployment ends.

use super::gateway::{GatewayState, Watch, WatchError};
use crate::palette::{Operator, Seen};

/// An operator who watches one gateway.
#[derive(Debug)]
pub struct Watched<'a> {
    /// Who asks.
    pub operator: &'a Operator,
    /// The gateway's name.
    pub name: &'a str,
}

impl Watch for Watched<'_> {
    async fn state(&mut self) -> Result<GatewayState, WatchError> {
        let seen = self.operator.seen(self.name).await;
        Ok(match seen.map_err(|error| WatchError(error.to_string()))? {
            Seen::Absent => GatewayState::Absent,
            Seen::Running => GatewayState::Running,
            Seen::Healthy => GatewayState::Healthy,
            Seen::State(state) if state == "Pending" => GatewayState::Pending,
            Seen::State(state) => GatewayState::Other(state),
        })
    }
}
