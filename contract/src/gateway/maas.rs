//! The `maas` block: which machine to ask MAAS for.

use crate::document::{Complaint, Findings, Item};
use crate::size::{self, GIB};

use super::rules;

/// What Palette's documentation asks of a gateway's node.
const NEEDED: (u64, u64, u64) = (4, 8 * GIB, 60 * GIB);

/// A machine as MAAS' `allocate` selects it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaasRequest {
    /// Availability zone; any if `None`.
    pub zone: Option<String>,
    /// Resource pool; any if `None`.
    pub pool: Option<String>,
    /// DNS domain; MAAS' default if `None`.
    pub domain: Option<String>,
    /// Tags the machine must all have.
    pub tags: Vec<String>,
    /// Processor cores, at least.
    pub min_cpu: u64,
    /// Bytes of memory, at least.
    pub min_memory: u64,
    /// Bytes of disk, at least.
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

/// Reads the block; what it does not say has its default.
pub(super) fn read(item: &Item<'_>, findings: &mut Findings) -> MaasRequest {
    let mut request = MaasRequest::default();
    let Some(mut fields) = item.fields(findings) else {
        return request;
    };
    let mut name = |key, rule: fn(&str) -> Result<String, Complaint>| {
        fields.optional(key)?.parsed(findings, rule)
    };
    request.zone = name("zone", plain);
    request.pool = name("pool", plain);
    request.domain = name("domain", rules::host);
    if let Some(item) = fields.optional("tags") {
        request.tags = item.parsed_list(findings, tag).unwrap_or_default();
    }
    if let Some(item) = fields.optional("min-cpu")
        && let Some(cores) = item.integer(findings)
    {
        request.min_cpu = cores;
        warn_below(&item, cores, NEEDED.0, &NEEDED.0.to_string(), findings);
    }
    let sizes = [
        ("min-memory", &mut request.min_memory, NEEDED.1),
        ("min-disk", &mut request.min_disk, NEEDED.2),
    ];
    for (key, value, needed) in sizes {
        if let Some(item) = fields.optional(key)
            && let Some(bytes) = item.parsed(findings, size::parse)
        {
            *value = bytes;
            warn_below(&item, bytes, needed, &size::display(needed), findings);
        }
    }
    fields.finish(findings);
    request
}

fn warn_below(item: &Item<'_>, value: u64, needed: u64, shown: &str, findings: &mut Findings) {
    if value < needed {
        findings.warn(item.problem(Complaint::new(
            "is less than Palette asks of a gateway",
            format!("ask for {shown} or more"),
        )));
    }
}

fn plain(text: &str) -> Result<String, Complaint> {
    if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
        let what = "is empty, or begins or ends with a blank";
        return Err(Complaint::new(what, "write the name as MAAS shows it"));
    }
    Ok(text.to_owned())
}

/// A tag as MAAS allows it (`maasserver/models/tag.py`).
fn tag(text: &str) -> Result<String, Complaint> {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if !text.is_empty() && text.chars().all(inner) {
        return Ok(text.to_owned());
    }
    let what = format!("`{text}` is not a tag of MAAS");
    Err(Complaint::new(what, "use letters, digits, `-` and `_`"))
}
