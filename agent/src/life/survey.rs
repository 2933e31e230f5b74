//! Everything preflight asks of this machine and its way to Palette, once.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use fs_err as fs;
use ipnet::IpNet;
use nix::sys::statvfs::statvfs;

use super::pair;
use super::settings::Settings;
use super::trouble::Stop;
use super::world::World;
use crate::host::http::Outbound;
use crate::host::kernel::Kernel;
use crate::host::pace::Pace;
use crate::pairing::Strategy;
use crate::preflight::{self, Capacity, Check, Known, Names, Route, Verdict};

/// What is surveyed.
pub struct Subject<'a> {
    /// The machine.
    pub world: &'a World,
    /// What it shall be.
    pub settings: &'a Settings,
    /// The networks it is in.
    pub subnets: &'a [IpNet],
    /// How it will pair, if it will.
    pub strategy: Option<&'a dyn Strategy>,
    /// Its k3s, as the image names it.
    pub k3s_version: &'a str,
}

/// Runs every check; checks that fail are no error here.
///
/// # Errors
/// [`Stop`] if this machine's trust or proxy cannot be used, or its own state not be read.
pub async fn survey(subject: &Subject<'_>) -> Result<Vec<Check>, Stop> {
    let world = subject.world;
    let mut checks = machine(subject)?;
    let way = Way {
        settings: subject.settings,
        subnets: subject.subnets,
        outbound: pair::outbound(world, subject.settings, subject.subnets)?,
        patience: world.patience,
    };
    let reached = way.checked(&&*world.network, &world.pace).await?;
    let answered = reached
        .iter()
        .any(|c| c.name == "palette" && c.verdict == Verdict::Pass);
    checks.extend(reached);
    if let (Some(strategy), true) = (subject.strategy, answered) {
        checks.extend(versions(subject, strategy, &way.outbound).await?);
    }
    Ok(checks)
}

/// What needs nobody else.
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

/// Whether Palette's version goes with what was chosen.
async fn versions(
    subject: &Subject<'_>,
    strategy: &dyn Strategy,
    outbound: &Outbound,
) -> Result<Vec<Check>, Stop> {
    let known = match strategy.key() {
        None => Known::NotAsked,
        Some(key) => {
            let endpoint = &subject.settings.endpoint;
            let palette = pair::palette(outbound, endpoint, &subject.world.pace)?;
            Known::from_reply(palette.agent_version(key).await)
        }
    };
    let name = strategy.card().name;
    Ok(preflight::version(&known, &name, subject.k3s_version))
}

/// A way to Palette, from wherever this process is.
pub(super) struct Way<'a> {
    pub settings: &'a Settings,
    pub subnets: &'a [IpNet],
    pub outbound: Outbound,
    pub patience: Duration,
}

impl Way<'_> {
    /// Runs the checks on it.
    pub(super) async fn checked(
        &self,
        names: &dyn Names,
        pace: &Rc<dyn Pace>,
    ) -> Result<Vec<Check>, Stop> {
        let endpoint = &self.settings.endpoint;
        let palette = pair::palette(&self.outbound, endpoint, pace)?;
        let route = Route {
            endpoint,
            proxy: self.settings.proxy_to_palette(self.subnets),
            palette: &palette,
            outbound: &self.outbound,
            patience: self.patience,
        };
        Ok(preflight::remote(&route, names, pace.now()).await)
    }
}

fn capacity(world: &World) -> io::Result<Capacity> {
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let kib = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    let disk = statvfs(&world.root.at("/var/lib/postern"))?;
    Ok(Capacity {
        cpus: std::thread::available_parallelism()?.get(),
        memory: kib.unwrap_or(0) * 1024,
        disk: disk.blocks() * disk.fragment_size(),
    })
}
