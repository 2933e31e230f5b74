//! Every check of this machine and its path to Palette, once.

use std::io;
use std::sync::Arc;

use ipnet::IpNet;
use nix::sys::statvfs::statvfs;
use postern_contract::host::CommandError;
use postern_contract::host::http::Outbound;
use secrecy::SecretString;

use super::path::PalettePath;
use super::pods::{PodCheckRequest, PodCheckResult};
use crate::host::hardware;
use crate::host::kernel::Kernel;
use crate::host::world::World;
use crate::journal::condition::StepError;
use crate::preflight::{self, Capacity, Check, Origin, PaletteVersion, Verdict};
use crate::site::reach;
use crate::site::settings::Settings;

/// The agent's own folder, on the disk that k3s and its images use too.
const STATE: &str = "/var/lib/postern";

/// What is surveyed.
pub struct Subject<'a> {
    /// The machine.
    pub world: &'a World,
    /// What it shall be.
    pub settings: &'a Settings,
    /// The networks it is in.
    pub subnets: &'a [IpNet],
    /// How it will pair, if it will: the strategy's name, and a key that Palette can
    /// be asked with.
    pub strategy: Option<(String, Option<SecretString>)>,
    /// Its k3s, as the image names it.
    pub k3s_version: &'a str,
}

/// What came of it.
pub struct Survey {
    /// Every check, in the order it ran.
    pub checks: Vec<Check>,
    /// Whether Palette answered that too many requests come from this address.
    pub crowded: bool,
}

/// Runs every check; checks that fail are no error here.
///
/// # Errors
/// [`StepError`] if this machine's trust or proxy cannot be used, or its own state not be read.
pub async fn survey(subject: &Subject<'_>) -> Result<Survey, StepError> {
    let world = subject.world;
    let mut checks = machine(subject)?;
    let path = PalettePath {
        make: &*world.client,
        settings: subject.settings,
        subnets: subject.subnets,
        outbound: reach::outbound(&world.root, subject.settings, subject.subnets)?,
        proxy_timeout: world.proxy_timeout,
        from: Origin::Machine,
    };
    let (reached, crowded) = path.run_checks(&&*world.network, &world.pace).await?;
    let answered = reached
        .iter()
        .any(|c| c.name == "palette" && c.verdict == Verdict::Pass && !crowded);
    checks.extend(reached);
    checks.extend(from_a_pod(subject).await);
    if let (Some((name, key)), true) = (&subject.strategy, answered) {
        checks.extend(versions(subject, (name, key.as_ref()), &path.outbound).await?);
    }
    Ok(Survey { checks, crowded })
}

/// Checks that need no network.
fn machine(subject: &Subject<'_>) -> io::Result<Vec<Check>> {
    let (world, settings) = (subject.world, subject.settings);
    let kernel = Kernel::read(&world.root.0, preflight::modules(), preflight::settings())?;
    let mut checks = vec![preflight::capacity(capacity(world)?)];
    checks.extend(preflight::kernel(&kernel));
    checks.push(preflight::overlap(
        &settings.pod_cidr,
        &settings.service_cidr,
        subject.subnets,
    ));
    Ok(checks)
}

/// The same path from the network of a pod, if there is one.
async fn from_a_pod(subject: &Subject<'_>) -> Vec<Check> {
    const NAME: &str = "pod/network";
    let remedy = "see what pods wait for: `k3s kubectl get pods -A`, `k3s kubectl -n kube-system describe pods`";
    let visit = match visit(subject, false).await {
        Ok(Some(visit)) => visit,
        Ok(None) => return vec![Check::warn(NAME, no_pod(subject.settings), remedy)],
        Err(error) => return vec![Check::warn(NAME, error.to_string(), remedy)],
    };
    let evidence = format!("from {}", visit.address);
    let within = visit.checks.into_iter().map(|check| Check {
        name: format!("pod/{}", check.name),
        ..check
    });
    std::iter::once(Check::pass(NAME, evidence))
        .chain(within)
        .collect()
}

/// The detail while there is none.
pub fn no_pod(settings: &Settings) -> String {
    let pods = settings.pod_cidr;
    format!("no pod has an address in {pods} yet: the path from a pod was not checked")
}

/// Visits the network of a pod; `only_look` sees whether there is one.
///
/// # Errors
/// If nobody could be sent there.
pub async fn visit(
    subject: &Subject<'_>,
    only_look: bool,
) -> Result<Option<PodCheckResult>, CommandError> {
    let world = subject.world;
    let (settings, subnets) = (subject.settings, subject.subnets);
    let mut request = PodCheckRequest::new(&world.root, settings, subnets, world.proxy_timeout);
    request.only_look = only_look;
    let pods = Arc::clone(&world.pods);
    world.run_blocking(move || request.send(&*pods)).await
}

/// Whether Palette's version goes with what was chosen.
async fn versions(
    subject: &Subject<'_>,
    (name, key): (&str, Option<&SecretString>),
    outbound: &Outbound,
) -> Result<Vec<Check>, StepError> {
    let known = match key {
        None => PaletteVersion::NoKey,
        Some(key) => {
            let endpoint = &subject.settings.endpoint;
            let palette = reach::palette(
                &*subject.world.client,
                outbound,
                endpoint,
                &subject.world.pace,
            )?;
            PaletteVersion::from_reply(palette.agent_version(key).await)
        }
    };
    Ok(preflight::version(&known, name, subject.k3s_version))
}

fn capacity(world: &World) -> io::Result<Capacity> {
    let state = world.root.at(STATE);
    // systemd makes it for the unit; a check by hand may come before that.
    let there = state.ancestors().find(|dir| dir.exists()).unwrap_or(&state);
    let disk = statvfs(there).map_err(|e| {
        let why = format!("asking how large {} is: {e}", there.display());
        io::Error::new(io::Error::from(e).kind(), why)
    })?;
    Ok(Capacity {
        cpus: hardware::cpus()?,
        memory: hardware::memory()?,
        disk: disk.blocks() * disk.fragment_size(),
    })
}
