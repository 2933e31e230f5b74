//! Which machines a deployment uses, and why others do not suit.

use postern_contract::size;

use super::deployment::Deployment;
use super::inventory::Inventory;
use crate::maas::machines::{Machine, Status};

/// How many machines are still to be allocated.
pub fn missing(inventory: &Inventory, deployment: &Deployment<'_>) -> usize {
    deployment.nodes.saturating_sub(inventory.ours.len())
}

/// The free machines that suit, the smallest first: large ones stay free for those
/// who need them.
pub fn suitable<'s>(inventory: &'s Inventory, deployment: &Deployment<'_>) -> Vec<&'s Machine> {
    let suits = |machine: &&Machine| unfit(machine, deployment).is_empty();
    let mut all: Vec<_> = inventory.free.iter().filter(suits).collect();
    all.sort_by_key(|m| (m.cpu_count, m.memory(), m.disk(), m.system_id.clone()));
    all
}

/// The machines that a deployment would use: its own, then free ones.
pub fn chosen<'s>(inventory: &'s Inventory, deployment: &Deployment<'_>) -> Vec<&'s Machine> {
    let free = suitable(inventory, deployment).into_iter();
    let all = inventory.ours.iter().chain(free);
    all.take(deployment.nodes).collect()
}

/// Why a machine does not suit; one clause each.
pub(super) fn unfit(machine: &Machine, deployment: &Deployment<'_>) -> Vec<String> {
    let request = &deployment.gateway.maas;
    let mut why = Vec::new();
    let family = |text: &str| text.split('/').next().unwrap_or_default().to_owned();
    if family(&machine.architecture) != family(&deployment.image.architecture) {
        why.push(format!("is {}", machine.architecture));
    }
    let tags = request.tags.iter();
    let tags = tags.filter(|tag| !machine.tag_names.contains(tag));
    why.extend(tags.map(|tag| format!("has no tag {tag}")));
    if machine.cpu_count < request.min_cpu {
        why.push(format!(
            "has {} of {} cores",
            machine.cpu_count, request.min_cpu
        ));
    }
    for (has, needs, of) in [
        (machine.memory(), request.min_memory, "memory"),
        (machine.disk(), request.min_disk, "disk"),
    ] {
        if has < needs {
            let (has, needs) = (size::approximate(has), size::approximate(needs));
            why.push(format!("has {has} of {needs} of {of}"));
        }
    }
    match machine.bios_boot_method.as_deref() {
        Some(method) if !deployment.image.boots_by(method) => {
            let known = if method == "pxe" {
                "legacy BIOS"
            } else {
                method
            };
            let starts: Vec<_> = deployment.image.firmware.iter().map(|f| f.name()).collect();
            why.push(format!(
                "boots by {known}, the image only by {}",
                starts.join(" or ")
            ));
        }
        _ => {}
    }
    if machine.links().next().is_none() {
        why.push("has no interface with a subnet".to_owned());
    }
    why
}

/// The image that a machine of the gateway has, if it is not the deployment's.
pub(super) fn runs_other(machine: &Machine, deployment: &Deployment<'_>) -> Option<String> {
    let series = &machine.distro_series;
    let name = series.strip_prefix("custom/").unwrap_or(series);
    let has = matches!(machine.status, Status::Deploying | Status::Deployed);
    let same = machine.osystem == "custom" && name == deployment.image.name;
    (has && !same).then(|| format!("{}/{name}", machine.osystem))
}
