//! What the simulated MAAS reports.

use std::fmt;

/// Where the machine is in its deployment (MAAS statuses 9, 6 and 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// The disk is written, or the machine boots for the first time.
    Deploying,
    /// The machine fetched its user-data.
    Deployed,
    /// curtin or cloud-init reported a failure while deploying.
    FailedDeployment,
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deploying => "Deploying",
            Self::Deployed => "Deployed",
            Self::FailedDeployment => "Failed deployment",
        })
    }
}

/// Something that happened at the simulated MAAS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The machine's state changed to this.
    State(NodeState),
    /// A request was refused with 401.
    Unauthorized {
        /// Why, as the answer says.
        reason: String,
    },
    /// A piece of metadata was read.
    MetadataRead {
        /// Its path below the version, such as `meta-data/instance-id`.
        item: String,
    },
    /// curtin or cloud-init reported.
    Status {
        /// Name of the stage, such as `modules-final`.
        name: String,
        /// `start`, `finish` or `progress`.
        event_type: String,
        /// `SUCCESS`, `WARN` or `FAIL`, when it finished.
        result: Option<String>,
        /// `curtin` or `cloudinit`.
        origin: String,
    },
    /// The installer said that the machine shall boot from its disk from now on.
    NetbootOff,
    /// The image's download began.
    ImageServed {
        /// Bytes it has.
        size: u64,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(state) => write!(f, "the machine is {state}"),
            Self::Unauthorized { reason } => write!(f, "refused a request: {reason}"),
            Self::MetadataRead { item } => write!(f, "served {item}"),
            Self::Status {
                name,
                event_type,
                result,
                origin,
            } => {
                write!(f, "{origin}: {name} {event_type}")?;
                match result {
                    Some(result) => write!(f, " {result}"),
                    None => Ok(()),
                }
            }
            Self::NetbootOff => f.write_str("the machine boots from its disk from now on"),
            Self::ImageServed { size } => write!(f, "image download began ({size} bytes)"),
        }
    }
}
