//! The state of the gateway in Palette, while it is deployed.

use crate::palette::{GatewayState, Operator, PaletteError};

/// Queries Palette for the state of one gateway.
pub trait Watch {
    /// The state now. Called once per poll, and only when all machines are
    /// deployed.
    fn state(&mut self) -> impl Future<Output = Result<GatewayState, PaletteError>>;
}

/// An operator who watches one gateway.
#[derive(Debug)]
pub struct PaletteWatch<'a> {
    /// Whose API key is used.
    pub operator: &'a Operator,
    /// The gateway's name.
    pub name: &'a str,
}

impl Watch for PaletteWatch<'_> {
    async fn state(&mut self) -> Result<GatewayState, PaletteError> {
        self.operator.state(self.name).await
    }
}
