//! cloud-init runs once in a machine's life: it is kept off as soon as it has
//! ended and left a gateway file that the agent can read.
//!
//! Its own state is in memory until then (`var-lib-cloud.mount` of the appliance),
//! so a first boot that is cut short fetches everything from MAAS again. It has
//! ended when `result.json` names its datasource (cloud-init documentation, "Boot
//! status"); without one MAAS was not reached, and the next boot tries again.
//!
//! cloud-init does not sync what it writes. The mark that keeps it off is written
//! after everything else is on the disk, and is removed again from a machine that
//! lost its gateway file all the same and can still ask MAAS for it.

use std::io;

use fs_err as fs;
use postern_contract::host::files::write_atomic;
use postern_contract::paths;

use crate::host::events::Events;
use crate::host::files::take_away;
use crate::host::world::World;
use crate::site::configure;

/// Keeps cloud-init off (cloud-init documentation, "disable cloud-init").
pub const DISABLED: &str = "/etc/cloud/cloud-init.disabled";
/// cloud-init runs in this boot if this exists (systemd generator of cloud-init).
const ENABLED_NOW: &str = "/run/cloud-init/enabled";
/// cloud-init writes this last.
const RESULT: &str = "/run/cloud-init/result.json";

/// Whether it still runs, or is yet to run, in this boot.
pub fn at_work(world: &World) -> bool {
    world.root.at(ENABLED_NOW).exists() && !world.root.at(RESULT).exists()
}

/// Whether it fetches the gateway file from MAAS when this machine starts again.
pub fn runs_at_the_next_boot(world: &World) -> bool {
    can_reach_maas(world) && !world.root.at(DISABLED).exists()
}

/// Keeps it off from the next boot on, once what it wrote is on the disk. Returns
/// `false` if it was kept off before.
///
/// # Errors
/// Any I/O error, naming the path.
pub async fn keep_off(world: &World) -> io::Result<bool> {
    let mark = world.root.at(DISABLED);
    if mark.exists() {
        return Ok(false);
    }
    world.sync().await?;
    let text = b"cloud-init has ended and is not needed again. Written by postern-agent.\n";
    write_atomic(&mark, text, 0o644)?;
    Ok(true)
}

/// Waits until it has ended and there is a gateway file, then keeps it off.
/// Returns whether it did; not if cloud-init was kept off before, does not run in
/// this boot, or had no datasource.
///
/// # Errors
/// Any I/O error, naming the path.
pub async fn once(world: &World) -> io::Result<bool> {
    if !world.root.at(DISABLED).exists() && !has_ended(world).await? {
        return Ok(false);
    }
    let folder = events_beside(world, paths::GATEWAY_FILE)?;
    while !configure::has_gateway_file(world) {
        // A machine that paired has no gateway file, and no key for MAAS either.
        if can_reach_maas(world) {
            take_away(&world.root, DISABLED)?;
        }
        folder.next().await?;
    }
    keep_off(world).await
}

/// Whether it ran in this boot and had a datasource; waits for its end.
async fn has_ended(world: &World) -> io::Result<bool> {
    if !world.root.at(ENABLED_NOW).exists() {
        return Ok(false);
    }
    let folder = events_beside(world, RESULT)?;
    while at_work(world) {
        folder.next().await?;
    }
    Ok(had_datasource(&fs::read(world.root.at(RESULT))?))
}

fn events_beside(world: &World, path: &str) -> io::Result<Events> {
    let path = world.root.at(path);
    (world.watch)(path.parent().unwrap_or(&path))
}

fn can_reach_maas(world: &World) -> bool {
    world.root.at(paths::MAAS_CONFIG).exists()
}

/// Whether this `result.json` names a datasource that had something to say.
fn had_datasource(result: &[u8]) -> bool {
    let parsed: Result<serde_json::Value, _> = serde_json::from_slice(result);
    parsed.is_ok_and(|result| {
        let named = result["v1"]["datasource"].as_str();
        named.is_some_and(|name| !name.starts_with("DataSourceNone"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_tells_whether_there_was_a_datasource() {
        for (result, expected) in [
            (
                r#"{"v1": {"datasource": "DataSourceMAAS [http://192.0.2.1:5240/MAAS/metadata/]", "errors": []}}"#,
                true,
            ),
            (
                r#"{"v1": {"datasource": "DataSourceNone", "errors": []}}"#,
                false,
            ),
            (
                r#"{"v1": {"datasource": null, "errors": ["no datasource"]}}"#,
                false,
            ),
            ("{\"v1\"", false),
        ] {
            assert_eq!(had_datasource(result.as_bytes()), expected, "{result}");
        }
    }
}
