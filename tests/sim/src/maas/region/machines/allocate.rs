//! The constraints of `op=allocate` (`maasserver/node_constraint_filter_forms.py`).

use axum::http::StatusCode;
use serde_json::json;

use super::FleetState;
use super::model::{Machine, Status};
use crate::maas::region::store::{Refusal, bad_request};

/// Fields in the order they came, some of them several times.
pub(super) type Fields = Vec<(String, String)>;

/// The first value of a field.
pub(super) fn field<'f>(fields: &'f Fields, name: &str) -> Option<&'f str> {
    let mut found = fields.iter().filter(|(key, _)| key == name);
    found.next().map(|(_, value)| value.as_str())
}

/// What `allocate` takes; everything else is no constraint.
const CONSTRAINTS: &[&str] = &[
    "name",
    "system_id",
    "arch",
    "cpu_count",
    "mem",
    "tags",
    "not_tags",
    "zone",
    "pool",
    "storage",
    "agent_name",
    "comment",
    "dry_run",
    "verbose",
];

impl FleetState {
    /// The first free machine that fits, or MAAS' refusal.
    pub(super) fn choose(&self, fields: &Fields) -> Result<String, Refusal> {
        let fleet = &self.fleet;
        let mut errors = serde_json::Map::new();
        let known = |names: &[String], value: &str| names.iter().any(|name| name == value);
        for (key, value) in fields {
            let text = match key.as_str() {
                key if !CONSTRAINTS.contains(&key) => "No such constraint.".to_owned(),
                "tags" if !known(&fleet.tags, value) => format!("No such tag(s): '{value}'."),
                "zone" if !known(&fleet.zones, value) => format!("No such zone: '{value}'."),
                "pool" if !known(&fleet.pools, value) => format!("No such pool: '{value}'."),
                "cpu_count" if value.parse::<f64>().is_err() => {
                    "Invalid CPU count: number required.".to_owned()
                }
                _ => continue,
            };
            errors.insert(key.clone(), json!([text]));
        }
        if !errors.is_empty() {
            return Err(bad_request(serde_json::Value::Object(errors).to_string()));
        }
        let free = |machine: &&Machine| machine.status == Status::Ready && fits(machine, fields);
        if let Some(found) = fleet.machines.iter().find(free) {
            return Ok(found.system_id.clone());
        }
        let text = match field(fields, "system_id") {
            Some(id) => format!("No machine with system ID {id} available."),
            None => {
                let constraints: Vec<_> = fields
                    .iter()
                    .map(|(key, value)| format!("('{key}', ['{value}'])"))
                    .collect();
                let constraints = constraints.join(", ");
                format!("No available machine matches constraints: [{constraints}]")
            }
        };
        Err((StatusCode::CONFLICT, text))
    }
}

fn fits(machine: &Machine, fields: &Fields) -> bool {
    let at_least = |has: u64, value: &str| value.parse::<f64>().is_ok_and(|v| has as f64 >= v);
    fields.iter().all(|(key, value)| match key.as_str() {
        "system_id" => machine.system_id == *value,
        "name" => machine.hostname == *value,
        "arch" => {
            machine.architecture == *value || machine.architecture.starts_with(&format!("{value}/"))
        }
        "cpu_count" => at_least(machine.cpu_count, value),
        "mem" => at_least(machine.memory, value),
        "tags" => machine.tags.contains(value),
        "not_tags" => !machine.tags.contains(value),
        "zone" => machine.zone == *value,
        "pool" => machine.pool == *value,
        // `root:60`, in billions of bytes.
        "storage" => {
            let size = value.rsplit(':').next().unwrap_or_default();
            let size = size.parse::<f64>().unwrap_or(f64::MAX);
            machine.disk as f64 >= size * 1e9
        }
        _ => true,
    })
}
