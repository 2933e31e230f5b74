//! Machines and networks as MAAS writes them: the fields that matter to
//! deployments, in the shapes of `maasserver/api/examples`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::FleetState;
use super::model::{Machine, Status, Subnet};
use crate::maas::region::version::Release;

impl FleetState {
    pub(super) fn machine(&self, machine: &Machine) -> Value {
        let status = machine.status;
        let named = |name: &str| json!({"name": name, "description": "", "id": 1});
        let interface = self.interface(machine);
        let custom = !machine.series.is_empty();
        let addresses = match (status, &machine.link) {
            (Status::Deploying | Status::Deployed, Some((subnet, _))) => {
                vec![format!("10.{}.0.10", 19 + subnet)]
            }
            _ => Vec::new(),
        };
        let mut document = json!({
            "system_id": machine.system_id,
            "hostname": machine.hostname,
            "fqdn": format!("{}.{}", machine.hostname, machine.domain),
            "domain": named(&machine.domain),
            "zone": named(&machine.zone),
            "pool": named(&machine.pool),
            "tag_names": machine.tags,
            "architecture": machine.architecture,
            "cpu_count": machine.cpu_count,
            "memory": machine.memory,
            "storage": machine.disk as f64 / 1e6,
            "boot_disk": {"name": "sda", "size": machine.disk, "serial": "S1"},
            "bios_boot_method": machine.boot_method,
            "boot_interface": interface,
            "interface_set": [interface],
            "ip_addresses": addresses,
            "status": status as u8,
            "status_name": status.name(),
            "status_message": self.newest(machine).map(|(message, _)| message),
            "status_action": self.newest(machine).map(|(_, action)| action),
            "owner": machine.owner,
            "owner_data": machine.owner_data,
            "osystem": if custom { "custom" } else { "" },
            "distro_series": machine.series,
            "power_state": if machine.on { "on" } else { "off" },
            "power_type": "ipmi",
            "netboot": !matches!(status, Status::Deployed),
            "locked": false,
            "node_type": 0,
            "current_installation_result_id": machine.log.as_ref().map(|_| 7),
            "resource_uri": format!("/MAAS/api/2.0/machines/{}/", machine.system_id),
        });
        if self.release >= Release::V3_4 {
            document["workload_annotations"] = json!(machine.owner_data);
        }
        // Since 3.5; before, only the event log says why.
        if self.release >= Release::V3_7 {
            document["error_description"] = json!(machine.error);
        }
        document
    }

    /// The newest event of level INFO or above, as message and action.
    fn newest(&self, machine: &Machine) -> Option<(String, String)> {
        let mut all = self.events.iter().rev();
        let newest = all.find(|e| e.node == machine.system_id && e.level != "DEBUG")?;
        let message = match newest.description.is_empty() {
            true => newest.kind.to_owned(),
            false => format!("{} - {}", newest.kind, newest.description),
        };
        Some((message, String::new()))
    }

    fn interface(&self, machine: &Machine) -> Value {
        let links = machine.link.iter().map(|(id, mode)| {
            let subnet = self.fleet.subnets.iter().find(|subnet| subnet.id == *id);
            json!({"id": 1, "mode": mode, "subnet": subnet.map(subnet_document)})
        });
        json!({
            "id": 1,
            "name": "ens3",
            "type": "physical",
            "enabled": true,
            "mac_address": "52:54:00:00:00:01",
            "links": Value::from_iter(links),
        })
    }

    /// `current-installation`, with output.
    pub(super) fn results(&self, machine: &Machine) -> Value {
        let log = STANDARD.encode(machine.log.as_deref().unwrap_or_default());
        let failed = machine.status == Status::FailedDeployment;
        json!({
            "id": 7,
            "system_id": machine.system_id,
            "type": 1,
            "type_name": "Installation",
            "results": [{
                "id": 70,
                "name": "/tmp/install.log",
                "status": if failed { 3 } else { 2 },
                "status_name": if failed { "Failed" } else { "Passed" },
                "exit_status": u8::from(failed),
                "output": log,
                "stdout": "",
                "stderr": "",
                "result": "",
            }],
        })
    }
}

pub(super) fn subnet_document(subnet: &Subnet) -> Value {
    json!({
        "id": subnet.id,
        "name": subnet.cidr,
        "cidr": subnet.cidr,
        "gateway_ip": subnet.gateway_ip,
        "dns_servers": subnet.dns_servers,
        "allow_dns": subnet.allow_dns,
        "managed": true,
        "space": "undefined",
        "resource_uri": format!("/MAAS/api/2.0/subnets/{}/", subnet.id),
    })
}

pub(super) fn statistics(subnet: &Subnet) -> Value {
    let total = 254;
    json!({
        "num_available": subnet.free,
        "largest_available": subnet.free,
        "num_unavailable": total - subnet.free.min(total),
        "total_addresses": total,
        "usage": 1.0 - subnet.free as f64 / total as f64,
        "ip_version": 4,
    })
}
