//! The address that the gateway's machines serve together, on this machine.

use fs_err as fs;
use ipnet::IpNet;
use postern_contract::gateway::VirtualAddress;
use postern_contract::host::CommandError;

use crate::cluster::keepalived::{self, CONFIG, CURL, OURS, PROGRAM, Share};
use crate::host::consumers::{Consumer, File};
use crate::host::files::take_away;
use crate::host::world::World;
use crate::journal::condition::{Reason, StepError, WaitingFor};

/// Takes the share of machine `node` in the address, or none any more. Whether it has
/// the address is then keepalived's affair.
///
/// # Errors
/// [`StepError::Block`] if this machine or its image cannot serve it.
pub async fn share(
    world: &World,
    wanted: Option<VirtualAddress>,
    (node_name, node): (&str, u8),
    machine: &[IpNet],
) -> Result<(), StepError> {
    let Some(wanted) = wanted else {
        let text = fs::read_to_string(world.root.at(CONFIG)).unwrap_or_default();
        if text.starts_with(OURS) {
            // Stopped first: without its file nobody would know that it runs.
            let stopped = world.query(|services, _| Consumer::Keepalived.stop(services));
            stopped.await.map_err(unserved)?;
            take_away(&world.root, CONFIG)?;
        }
        return Ok(());
    };
    let block =
        |detail: String, remedy: &str| StepError::block(Reason::VirtualAddress, detail, remedy);
    for program in [PROGRAM, CURL] {
        if !world.root.at(program).exists() {
            let remedy = "add `keepalived` and `curl` to the profile's packages and deploy that image, or give an `api-endpoint` that you serve in place of `virtual-address`";
            let detail = format!("this image has no {program} to serve a virtual address with");
            return Err(block(detail, remedy));
        }
    }
    let remedy = "choose a free address of this machine's network as `virtual-address`";
    keepalived::fits(wanted.address, machine).map_err(|why| block(why.to_string(), remedy))?;
    let interface = world.network.interface_to(wanted.address.into())?;
    let Some(interface) = interface else {
        return Err(StepError::wait(
            WaitingFor::Network,
            "the virtual address' interface is down",
        ));
    };
    let text = keepalived::render(&Share {
        node_name,
        interface: &interface,
        address: wanted.address,
        router: wanted.router,
        node,
        check: &keepalived::ready(),
    });
    let config = File {
        consumer: Consumer::Keepalived,
        path: CONFIG,
        mode: 0o600,
        text: Some(text.into()),
    };
    config.apply(&world.root)?;
    let root = world.root.clone();
    let started = world.query(move |services, _| Consumer::Keepalived.start(&root, services));
    started.await.map_err(unserved)
}

fn unserved(error: CommandError) -> StepError {
    StepError::wait(WaitingFor::Cluster, error.to_string())
}
