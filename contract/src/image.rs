//! What the image bakes in, for the agent to merge under the gateway file.

use serde::{Deserialize, Serialize};

use crate::proxy::ProxySettings;

/// `/usr/lib/postern/image.json` on the verified root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageFacts {
    /// Version of this format; 1.
    pub schema: u32,
    /// Image name, as in the profile.
    pub name: String,
    /// Image version, as in the profile.
    pub version: String,
    /// k3s as the profile names it, such as `v1.31.8+k3s1`.
    pub k3s_version: String,
    /// Proxy of the profile; a gateway file's proxy replaces it whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxySettings>,
}
