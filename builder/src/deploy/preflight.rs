//! Whether MAAS can take an order: everything that stands in the way, at once.

use postern_contract::size;

use super::error::Problem;
use super::networks;
use super::order::Order;
use super::site::{Site, Unknown, wanted_addresses};
use crate::maas::machines::{Machine, Status};
use crate::maas::resources::{BootResource, Standing};

/// How many machines are named, and how many names.
const SHOWN: usize = 5;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What stands in the way.
    pub problems: Vec<Problem>,
    /// What is worth knowing.
    pub notes: Vec<String>,
}

/// How many machines are still to be acquired.
pub fn missing(site: &Site, order: &Order<'_>) -> usize {
    order.nodes.saturating_sub(site.ours.len())
}

/// The free machines that suit, the smallest first: big ones are left to
/// whoever needs them.
pub fn candidates<'s>(site: &'s Site, order: &Order<'_>) -> Vec<&'s Machine> {
    let suits = |machine: &&Machine| unfit(machine, order).is_empty();
    let mut all: Vec<_> = site.free.iter().filter(suits).collect();
    all.sort_by_key(|m| (m.cpu_count, m.memory(), m.disk(), m.system_id.clone()));
    all
}

/// The machines that a deployment would use: its own, then free ones.
pub fn chosen<'s>(site: &'s Site, order: &Order<'_>) -> Vec<&'s Machine> {
    let free = candidates(site, order).into_iter();
    let all = site.ours.iter().chain(free);
    all.take(order.nodes).collect()
}

/// Everything that is wrong, and what to do about it.
pub fn check(site: &Site, order: &Order<'_>) -> Findings {
    let mut findings = Findings::default();
    let deployed = |machine: &Machine| {
        matches!(
            machine.status,
            Status::Deploying | Status::Deployed | Status::Failed
        )
    };
    let problems = &mut findings.problems;
    problems.extend(site.unknown.iter().map(unknown));
    problems.extend(site.others.iter().filter_map(|one| of_another(one, order)));
    problems.extend(site.ours.iter().filter_map(|one| other_image(one, order)));
    let busy = site.ours.iter().filter(|one| deployed(one)).count();
    if busy < order.nodes {
        problems.extend(image(site, order));
    }
    let missing = missing(site, order);
    let runs = site
        .ours
        .iter()
        .filter(|one| one.status == Status::Deployed);
    let runs: Vec<_> = runs.map(ToString::to_string).collect();
    if missing > 0 && busy > 0 {
        match runs.is_empty() {
            true => problems.push(half_gone(site, order)),
            false => findings.notes.push(joining(&runs, order, missing)),
        }
    }
    let problems = &mut findings.problems;
    if missing > 0 && site.unknown.is_empty() {
        problems.extend(machines(site, order, missing));
    }
    let chosen = chosen(site, order);
    let fresh: Vec<_> = chosen
        .iter()
        .copied()
        .filter(|one| !deployed(one))
        .collect();
    problems.extend(addresses(site, &fresh));
    networks::check(site, order, &chosen, &mut findings);
    findings
}

fn unknown(unknown: &Unknown) -> Problem {
    let Unknown { what, name, known } = unknown;
    let remedy = match known.as_slice() {
        [] => "MAAS has none: create it, or remove it from `maas` in the gateway file".to_owned(),
        known => {
            let shown = known[..known.len().min(SHOWN)].join(", ");
            let more = if known.len() > SHOWN { ", …" } else { "" };
            format!("correct `maas` in the gateway file; there are {shown}{more}")
        }
    };
    Problem::new(format!("MAAS has no {what} {name}"), remedy)
}

/// A cluster runs already, and others join it: one machine becomes three, or one
/// of three is replaced. All who join are told the same. Whether the cluster can be
/// joined is not MAAS' to know.
fn joining(runs: &[String], order: &Order<'_>, missing: usize) -> String {
    let cluster = &order.gateway.gateway.cluster;
    let endpoint = cluster.api_endpoint.as_deref().unwrap_or_default();
    format!(
        "{missing} more join what runs on {}, at {endpoint}: that takes a machine which was deployed with this endpoint in its gateway file, or two of three that are left",
        runs.join(", ")
    )
}

/// Some of a gateway's machines are being deployed or failed, and others were
/// released since: whoever joins would wait for a cluster that may never be.
fn half_gone(site: &Site, order: &Order<'_>) -> Problem {
    let (name, nodes) = (order.name(), order.nodes);
    let left: Vec<_> = site.ours.iter().map(ToString::to_string).collect();
    let ids = site.ours.iter().map(|one| one.system_id.as_str());
    let ids = ids.collect::<Vec<_>>().join(" ");
    let left = left.join(", ");
    Problem::new(
        format!("of the {nodes} machines of {name} only {left} are left"),
        format!(
            "none of them is deployed, so there is no cluster to join: wait for that, or release what is left (`maas PROFILE machines release machines={ids}`), then run again"
        ),
    )
}

/// Two users with one gateway would pair it twice.
fn of_another(machine: &Machine, order: &Order<'_>) -> Option<Problem> {
    let owner = machine.owner.as_ref()?;
    let gateway = order.name();
    Some(Problem::new(
        format!("{machine} is {gateway} already, for {owner}"),
        format!("use {owner}'s API key, or give the gateway another name"),
    ))
}

/// What runs an image is never given another.
pub(super) fn other_image(machine: &Machine, order: &Order<'_>) -> Option<Problem> {
    let runs = runs_other(machine, order)?;
    let (id, gateway) = (&machine.system_id, order.name());
    Some(Problem::new(
        format!("{machine} already runs {runs} as {gateway}"),
        format!(
            "nothing is replaced: release it (`maas PROFILE machine release {id}`), or give the gateway another name"
        ),
    ))
}

/// The image that a machine of the gateway has, if it is not the order's.
pub(super) fn runs_other(machine: &Machine, order: &Order<'_>) -> Option<String> {
    let series = &machine.distro_series;
    let name = series.strip_prefix("custom/").unwrap_or(series);
    let has = matches!(machine.status, Status::Deploying | Status::Deployed);
    let same = machine.osystem == "custom" && name == order.image.name;
    (has && !same).then(|| format!("{}/{name}", machine.osystem))
}

fn image(site: &Site, order: &Order<'_>) -> Vec<Problem> {
    let image = order.image;
    let name = &image.name;
    let mut problems = Vec::new();
    let standing = site.image.as_ref().map(|one| one.standing(&image.sha256));
    let missing = match standing {
        Some(Standing::Complete) => None,
        Some(Standing::Begun(_)) => Some((
            format!("the upload of {name} to MAAS is not complete"),
            "continue it with `postern upload`",
        )),
        Some(Standing::Other) => Some((
            format!("MAAS has an image {name} with other content"),
            "deploy the image that was uploaded, or build and upload under a new version",
        )),
        Some(Standing::Empty) | None => Some((
            format!("MAAS has no image {name} for {}", image.architecture),
            "bring it there with `postern upload`",
        )),
    };
    problems.extend(missing.map(|(what, remedy)| Problem::new(what, remedy)));
    problems.extend(unsynced(site, order));
    problems
}

/// What writes the image must be there as well. MAAS tells since 3.5 what that
/// is; before 3.1 it is the release that commissions machines.
fn unsynced(site: &Site, order: &Order<'_>) -> Option<Problem> {
    let image = order.image;
    let base = match &site.image {
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
    if site.synced.iter().any(writes) {
        return None;
    }
    let (base, family) = (base.unwrap_or("Ubuntu"), family.unwrap_or_default());
    Some(Problem::new(
        format!("MAAS has not synced {base} for {family}, which writes the image"),
        "select it in MAAS under Images and wait until it is synced",
    ))
}

/// Why a machine cannot be one of the gateway's.
fn unfit(machine: &Machine, order: &Order<'_>) -> Vec<String> {
    let request = &order.gateway.maas;
    let mut why = Vec::new();
    let family = |text: &str| text.split('/').next().unwrap_or_default().to_owned();
    if family(&machine.architecture) != family(&order.image.architecture) {
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
            let (has, needs) = (size::display(has), size::display(needs));
            why.push(format!("has {has} of {needs} of {of}"));
        }
    }
    match machine.bios_boot_method.as_deref() {
        Some(method) if !order.image.starts_by(method) => {
            let known = if method == "pxe" {
                "legacy BIOS"
            } else {
                method
            };
            let starts: Vec<_> = order.image.firmware.iter().map(|f| f.name()).collect();
            why.push(format!(
                "boots by {known}, the image by {}",
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

fn machines(site: &Site, order: &Order<'_>, missing: usize) -> Option<Problem> {
    let suit = candidates(site, order).len();
    if suit >= missing {
        return None;
    }
    let request = &order.gateway.maas;
    let place = [
        ("zone", &request.zone),
        ("pool", &request.pool),
        ("domain", &request.domain),
    ];
    let place = place
        .iter()
        .filter_map(|(what, name)| Some(format!(" in {what} {}", name.as_ref()?)));
    let place: String = place.collect();
    let free = site.free.len();
    let what = format!(
        "{} needs {missing} more of MAAS' Ready machines{place}; of {free} {}",
        order.name(),
        match suit {
            0 => "none suits".to_owned(),
            1 => "1 suits".to_owned(),
            n => format!("{n} suit"),
        }
    );
    let reasons = site.free.iter().filter_map(|machine| {
        let why = unfit(machine, order);
        (!why.is_empty()).then(|| format!("\n    {machine} {}", why.join(", ")))
    });
    let reasons: String = reasons.take(SHOWN).collect();
    let remedy = "commission or release machines, or ask for others in `maas` of the gateway file";
    Some(Problem::new(format!("{what}{reasons}"), remedy))
}

fn addresses(site: &Site, fresh: &[&Machine]) -> Vec<Problem> {
    let wanted = wanted_addresses(fresh).into_iter();
    let short = wanted.filter_map(|(id, needs)| {
        let free = *site.addresses.get(&id)?;
        let subnet = site.subnets.iter().find(|subnet| subnet.id == id)?;
        (free < needs).then(|| {
            Problem::new(
                format!(
                    "subnet {} has {free} free addresses, {needs} are needed",
                    subnet.cidr
                ),
                "free addresses or shorten reserved ranges of the subnet in MAAS",
            )
        })
    });
    short.collect()
}
