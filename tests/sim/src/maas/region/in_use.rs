//! Machines as far as images are concerned: which one runs which.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::{Region, Shared, json_text};

/// A machine that has an image.
#[derive(Clone, Debug)]
pub struct InUse {
    /// Its host name.
    pub hostname: String,
    /// The image, without `custom/`.
    pub series: String,
    /// MAAS' number and word for its state.
    pub status: (u8, &'static str),
}

impl Region {
    /// Has a machine run an image, from now on.
    pub fn in_use(&self, machine: InUse) {
        self.shared.changing().in_use.push(machine);
    }
}

pub(super) async fn machines(State(shared): State<Arc<Shared>>) -> Response {
    let changing = shared.changing();
    let all = changing.in_use.iter().enumerate().map(|(n, machine)| {
        let (status, status_name) = machine.status;
        json!({
            "system_id": format!("mach{n}"),
            "hostname": machine.hostname,
            "fqdn": format!("{}.maas", machine.hostname),
            "osystem": "custom",
            "distro_series": machine.series,
            "status": status,
            "status_name": status_name,
        })
    });
    json_text(StatusCode::OK, Value::from_iter(all).to_string())
}
