//! cloud-init runs once in a machine's life: it is kept off from the moment it
//! is through.
//!
//! What it was told lies in memory until then (`var-lib-cloud.mount` of the
//! appliance) and is told again by MAAS if the first boot is cut short. It is
//! through when `result.json` names the datasource it had (cloud-init
//! documentation, "Boot status"); without one, MAAS was not there and the next
//! boot has to ask again.

use std::io;

use fs_err as fs;
use postern_contract::host::files::write_atomic;

use crate::host::events::Events;
use crate::host::world::World;

/// Keeps cloud-init off (cloud-init documentation, "disable cloud-init").
pub const DISABLED: &str = "/etc/cloud/cloud-init.disabled";
/// cloud-init runs in this boot if this exists (systemd generator of cloud-init).
const ENABLED_NOW: &str = "/run/cloud-init/enabled";
/// cloud-init writes this last.
const RESULT: &str = "/run/cloud-init/result.json";
/// Where both are.
const FOLDER: &str = "/run/cloud-init";

/// Whether it still runs, or is yet to run, in this boot.
pub fn at_work(world: &World) -> bool {
    world.root.at(ENABLED_NOW).exists() && !world.root.at(RESULT).exists()
}

/// Keeps it off from now on.
///
/// # Errors
/// Any I/O error, naming the path.
pub fn keep_off(world: &World) -> io::Result<()> {
    write_atomic(
        &world.root.at(DISABLED),
        b"What MAAS had to say is on this machine: no later boot asks again. Written by postern-agent.\n",
        0o644,
    )
}

/// Waits until it is through and keeps it off. Ends without doing so if it does
/// not run in this boot or had no datasource.
///
/// # Errors
/// Any I/O error, naming the path.
pub async fn once(world: &World) -> io::Result<()> {
    if !world.root.at(ENABLED_NOW).exists() {
        return Ok(());
    }
    let folder = Events::in_folder(&world.root.at(FOLDER))?;
    while at_work(world) {
        folder.next().await?;
    }
    match had_datasource(&fs::read(world.root.at(RESULT))?) {
        true => keep_off(world),
        false => Ok(()),
    }
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
