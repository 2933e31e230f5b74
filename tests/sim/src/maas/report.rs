//! What curtin and cloud-init report to MAAS, one JSON document each.

use serde::Deserialize;

/// A report of curtin or cloud-init.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Report {
    /// Stage, such as `cmd-install/stage-late`.
    pub name: String,
    /// What the stage does.
    pub description: String,
    /// `start`, `finish` or `progress`.
    pub event_type: String,
    /// `curtin` or `cloudinit`.
    pub origin: String,
    /// Seconds since 1970.
    pub timestamp: f64,
    /// `SUCCESS`, `WARN` or `FAIL`, when it finished.
    pub result: Option<String>,
    /// Attached logs.
    #[serde(default)]
    pub files: Vec<ReportFile>,
}

/// A log attached to a [`Report`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ReportFile {
    /// Where it was on the machine.
    pub path: String,
    /// `base64`.
    pub encoding: String,
    /// Its bytes, encoded.
    pub content: String,
}

impl Report {
    /// Whether a whole stage failed, which fails a deployment: a name without
    /// `/`, as MAAS looks at it.
    pub(in crate::maas) fn fails_the_deployment(&self) -> bool {
        self.event_type == "finish"
            && !self.name.contains('/')
            && matches!(self.result.as_deref(), Some("FAIL" | "FAILURE"))
    }
}
