//! How a deployment ends.

/// Who reports the state of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportedBy {
    /// Palette.
    Palette,
    /// The agent on a machine.
    Agent,
}

/// The last state of the gateway that the run saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The gateway is healthy.
    Healthy(ReportedBy),
    /// The agent reports that Palette accepted the registration.
    Registered,
    /// The machines are deployed, and their agent reported nothing.
    Deployed,
}

impl Outcome {
    /// One sentence for a person.
    pub fn describe(self, gateway: &str) -> String {
        match self {
            Self::Healthy(ReportedBy::Palette) => {
                format!("Palette reports that {gateway} is healthy")
            }
            Self::Healthy(ReportedBy::Agent) => {
                format!("the agent reports that {gateway} is healthy; Palette was not queried")
            }
            Self::Registered => format!(
                "the agent reports that {gateway} is registered with Palette; whether it is healthy is not known"
            ),
            Self::Deployed => format!(
                "the machines of {gateway} are deployed, but their agent reported nothing, so whether they paired is not known: look at the console, or run `postern-agent status` on them"
            ),
        }
    }

    /// Who reports it, as a keyword.
    pub const fn reported_by(self) -> &'static str {
        match self {
            Self::Healthy(ReportedBy::Palette) => "palette",
            Self::Healthy(ReportedBy::Agent) | Self::Registered => "agent",
            Self::Deployed => "maas",
        }
    }

    /// The state, as a keyword.
    pub const fn keyword(self) -> &'static str {
        match self {
            Self::Healthy(_) => "healthy",
            Self::Registered => "registered",
            Self::Deployed => "deployed",
        }
    }
}
