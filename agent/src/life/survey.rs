//! Everything preflight asks of this machine and its way to Palette, once.

use std::io;

use fs_err as fs;
use ipnet::IpNet;
use nix::sys::statvfs::statvfs;

use super::settings::Settings;
use super::trouble::Stop;
use super::world::World;
use crate::host::kernel::Kernel;
use crate::pairing::palette::Palette;
use crate::preflight::{self, Capacity, Check, Route};

/// What is surveyed.
pub struct Subject<'a> {
    /// The machine.
    pub world: &'a World,
    /// What it shall be.
    pub settings: &'a Settings,
    /// The networks it is in.
    pub subnets: &'a [IpNet],
    /// Palette, as it reaches it.
    pub palette: &'a Palette,
}

/// Runs every check; checks that fail are no error here.
///
/// # Errors
/// [`Stop`] if this machine's trust or proxy cannot be used, or its own state not be read.
pub async fn survey(subject: &Subject<'_>) -> Result<Vec<Check>, Stop> {
    let mut checks = machine(subject)?;
    checks.extend(way(subject).await);
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

/// The way to Palette, from the machine itself.
async fn way(subject: &Subject<'_>) -> Vec<Check> {
    let (world, settings) = (subject.world, subject.settings);
    let route = Route {
        endpoint: &settings.endpoint,
        proxy: settings.proxy_to_palette(subject.subnets),
        palette: subject.palette,
        patience: world.patience,
    };
    preflight::remote(&route, &*world.network, world.pace.now()).await
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
