//! The `maas` block: which machine to ask MAAS for.

use serde::{Deserialize, Serialize};

use crate::document::{Complaint, Findings, Item};
use crate::size::{self, GIB};

/// What Palette's documentation asks of a gateway's node.
const NEEDED: (u64, u64, u64) = (4, 8 * GIB, 60 * GIB);

/// Which machine to ask MAAS for, as its `allocate` selects one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct MaasRequest {
    /// Availability zone. Without it: any.
    pub zone: Option<String>,
    /// Resource pool. Without it: any.
    pub pool: Option<String>,
    /// DNS domain. Without it: MAAS' default.
    pub domain: Option<String>,
    /// Tags that the machine must all have.
    pub tags: Vec<String>,
    /// Cores, at least.
    pub min_cpu: u64,
    /// Memory, at least.
    #[serde(with = "size")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub min_memory: u64,
    /// Disk, at least.
    #[serde(with = "size")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub min_disk: u64,
}

impl Default for MaasRequest {
    fn default() -> Self {
        let (min_cpu, min_memory, min_disk) = NEEDED;
        Self {
            zone: None,
            pool: None,
            domain: None,
            tags: Vec::new(),
            min_cpu,
            min_memory,
            min_disk,
        }
    }
}

/// Warns of requests for less than a gateway needs.
pub(super) fn check(root: &Item<'_>, findings: &mut Findings) {
    let (cpu, memory, disk) = NEEDED;
    let least = [
        ("maas.min-cpu", cpu, cpu.to_string()),
        ("maas.min-memory", memory, size::display(memory)),
        ("maas.min-disk", disk, size::display(disk)),
    ];
    for (key, needed, shown) in least {
        let value = root.text_at(key).and_then(|text| text.parse().ok());
        if let Some(item) = root.at(key).pop()
            && value.is_some_and(|value: u64| value < needed)
        {
            findings.warn(item.problem(Complaint::new(
                "is less than Palette asks of a gateway",
                format!("ask for {shown} or more"),
            )));
        }
    }
}

pub(super) fn plain(text: &str) -> Result<String, Complaint> {
    if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
        let what = "is empty, or begins or ends with a blank";
        return Err(Complaint::new(what, "write the name as MAAS shows it"));
    }
    Ok(text.to_owned())
}

/// A tag as MAAS allows it (`maasserver/models/tag.py`).
pub(super) fn tag(text: &str) -> Result<String, Complaint> {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if !text.is_empty() && text.chars().all(inner) {
        return Ok(text.to_owned());
    }
    let what = format!("`{text}` is not a tag of MAAS");
    Err(Complaint::new(what, "use letters, digits, `-` and `_`"))
}
