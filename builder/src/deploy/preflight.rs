//! Checks before a deployment: all problems at once.

use super::deployment::Deployment;
use super::findings::{Findings, Problem};
use super::inventory::{Inventory, UnknownName, wanted_addresses};
use super::networks;
use super::selection::{chosen, missing, runs_other, suitable, unfit};
use crate::maas::machines::{Machine, Status};
use crate::maas::resources::{BootResource, UploadState};

/// Most machines or names in one message.
const MAX_SHOWN: usize = 5;

/// All problems and warnings.
pub fn check(inventory: &Inventory, deployment: &Deployment<'_>) -> Findings {
    let mut findings = Findings::default();
    let deployed = |machine: &Machine| {
        matches!(
            machine.status,
            Status::Deploying | Status::Deployed | Status::Failed
        )
    };
    let problems = &mut findings.problems;
    problems.extend(inventory.unknown.iter().map(unknown));
    problems.extend(
        inventory
            .others
            .iter()
            .filter_map(|one| of_another(one, deployment)),
    );
    problems.extend(
        inventory
            .ours
            .iter()
            .filter_map(|one| other_image(one, deployment)),
    );
    let busy = inventory.ours.iter().filter(|one| deployed(one)).count();
    if busy < deployment.nodes {
        problems.extend(image(inventory, deployment));
    }
    let missing = missing(inventory, deployment);
    let runs = inventory
        .ours
        .iter()
        .filter(|one| one.status == Status::Deployed);
    let runs: Vec<_> = runs.map(ToString::to_string).collect();
    if missing > 0 && busy > 0 {
        match runs.is_empty() {
            true => problems.push(half_gone(inventory, deployment)),
            false => findings.notes.push(joining(&runs, deployment, missing)),
        }
    }
    let problems = &mut findings.problems;
    if missing > 0 && inventory.unknown.is_empty() {
        problems.extend(machines(inventory, deployment, missing));
    }
    let chosen = chosen(inventory, deployment);
    let fresh: Vec<_> = chosen
        .iter()
        .copied()
        .filter(|one| !deployed(one))
        .collect();
    problems.extend(addresses(inventory, &fresh));
    networks::check(inventory, deployment, &chosen, &mut findings);
    findings
}

fn unknown(unknown: &UnknownName) -> Problem {
    let UnknownName { what, name, known } = unknown;
    let remedy = match known.as_slice() {
        [] => "create it in MAAS, or remove it from `maas` in the gateway file".to_owned(),
        known => {
            let shown = known[..known.len().min(MAX_SHOWN)].join(", ");
            let more = if known.len() > MAX_SHOWN { ", …" } else { "" };
            format!("correct `maas` in the gateway file; MAAS has {shown}{more}")
        }
    };
    Problem::new(format!("MAAS has no {what} {name}"), remedy)
}

/// A note on machines that join a running cluster: one machine becomes three, or
/// one of three is replaced. MAAS does not know whether the cluster can be joined.
fn joining(runs: &[String], deployment: &Deployment<'_>, missing: usize) -> String {
    let cluster = &deployment.gateway.gateway.cluster;
    let endpoint = cluster.api_endpoint.as_deref().unwrap_or_default();
    format!(
        "{missing} more join the cluster on {}, at {endpoint}: this works if a machine there was deployed with this endpoint in its gateway file, or two of three still run",
        runs.join(", ")
    )
}

/// Some of a gateway's machines are being deployed or failed, and others were
/// released since: a machine that joins may wait for a cluster forever.
fn half_gone(inventory: &Inventory, deployment: &Deployment<'_>) -> Problem {
    let (name, nodes) = (deployment.name(), deployment.nodes);
    let left: Vec<_> = inventory.ours.iter().map(ToString::to_string).collect();
    let ids = inventory.ours.iter().map(|one| one.system_id.as_str());
    let ids = ids.collect::<Vec<_>>().join(" ");
    let left = left.join(", ");
    Problem::new(
        format!("only {left} are left of the {nodes} machines of {name}, and none is deployed"),
        format!(
            "there is no cluster to join: wait until one is deployed, or release them (`maas PROFILE machines release machines={ids}`), then run again"
        ),
    )
}

/// Two users with one gateway would pair it twice.
fn of_another(machine: &Machine, deployment: &Deployment<'_>) -> Option<Problem> {
    let owner = machine.owner.as_ref()?;
    let gateway = deployment.name();
    Some(Problem::new(
        format!("{machine} is already {gateway}, for {owner}"),
        format!("use {owner}'s API key, or give the gateway another name"),
    ))
}

/// A machine that runs one image never gets another.
fn other_image(machine: &Machine, deployment: &Deployment<'_>) -> Option<Problem> {
    let runs = runs_other(machine, deployment)?;
    let (id, gateway) = (&machine.system_id, deployment.name());
    Some(Problem::new(
        format!("{machine} already runs {runs} as {gateway}"),
        format!(
            "postern never replaces an image: release the machine (`maas PROFILE machine release {id}`), or give the gateway another name"
        ),
    ))
}

fn image(inventory: &Inventory, deployment: &Deployment<'_>) -> Vec<Problem> {
    let image = deployment.image;
    let name = &image.name;
    let mut problems = Vec::new();
    let upload_state = inventory
        .image
        .as_ref()
        .map(|one| one.upload_state(&image.sha256));
    let missing = match upload_state {
        Some(UploadState::Complete) => None,
        Some(UploadState::Incomplete(_)) => Some((
            format!("the upload of {name} to MAAS is not complete"),
            "continue it with `postern upload`",
        )),
        Some(UploadState::Other) => Some((
            format!("MAAS has an image {name} with other content"),
            "deploy the image that was uploaded, or build and upload under a new version",
        )),
        Some(UploadState::Empty) | None => Some((
            format!("MAAS has no image {name} for {}", image.architecture),
            "upload it with `postern upload`",
        )),
    };
    problems.extend(missing.map(|(what, remedy)| Problem::new(what, remedy)));
    problems.extend(unsynced(inventory, deployment));
    problems
}

/// MAAS must also have synced the release that writes the image. MAAS names it
/// since 3.5; before 3.1 it is the release that commissions machines.
fn unsynced(inventory: &Inventory, deployment: &Deployment<'_>) -> Option<Problem> {
    let image = deployment.image;
    let base = match &inventory.image {
        Some(there) => there.base_image.as_deref().filter(|base| !base.is_empty()),
        None => Some(image.base_image.as_str()),
    };
    let family = image.architecture.split('/').next();
    let writes = |one: &BootResource| {
        let named = match base {
            Some(base) => one.name == base,
            None => one.name.starts_with("ubuntu/"),
        };
        named && one.architecture.split('/').next() == family
    };
    if inventory.synced.iter().any(writes) {
        return None;
    }
    let (base, family) = (base.unwrap_or("Ubuntu"), family.unwrap_or_default());
    Some(Problem::new(
        format!("MAAS has not synced {base} for {family}, which it needs to write the image"),
        "select it in MAAS under Images and wait until it is synced",
    ))
}

fn machines(inventory: &Inventory, deployment: &Deployment<'_>, missing: usize) -> Option<Problem> {
    let suit = suitable(inventory, deployment).len();
    if suit >= missing {
        return None;
    }
    let request = &deployment.gateway.maas;
    let place = [
        ("zone", &request.zone),
        ("pool", &request.pool),
        ("domain", &request.domain),
    ];
    let place = place
        .iter()
        .filter_map(|(what, name)| Some(format!(" in {what} {}", name.as_ref()?)));
    let place: String = place.collect();
    let free = inventory.free.len();
    let what = format!(
        "{} needs {missing} more Ready machines of MAAS{place}; of {free} {}",
        deployment.name(),
        match suit {
            0 => "none suits".to_owned(),
            1 => "1 suits".to_owned(),
            n => format!("{n} suit"),
        }
    );
    let reasons = inventory.free.iter().filter_map(|machine| {
        let why = unfit(machine, deployment);
        (!why.is_empty()).then(|| format!("\n    {machine} {}", why.join(", ")))
    });
    let reasons: String = reasons.take(MAX_SHOWN).collect();
    let remedy = "commission or release machines, or change `maas` in the gateway file";
    Some(Problem::new(format!("{what}{reasons}"), remedy))
}

fn addresses(inventory: &Inventory, fresh: &[&Machine]) -> Vec<Problem> {
    let wanted = wanted_addresses(fresh).into_iter();
    let short = wanted.filter_map(|(id, needs)| {
        let free = *inventory.addresses.get(&id)?;
        let subnet = inventory.subnets.iter().find(|subnet| subnet.id == id)?;
        (free < needs).then(|| {
            Problem::new(
                format!(
                    "subnet {} has {free} free addresses, the machines need {needs}",
                    subnet.cidr
                ),
                "free addresses of the subnet or shorten its reserved ranges in MAAS",
            )
        })
    });
    short.collect()
}
