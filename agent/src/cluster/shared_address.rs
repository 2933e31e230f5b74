//! The address that the gateway's machines serve together, on this machine.

use fs_err as fs;
use ipnet::IpNet;

use crate::cluster::keepalived::{self, CONFIG, CURL, OURS, PROGRAM, Share, UNIT};
use crate::host::world::World;
use crate::journal::condition::{On, Reason, Stop};
use crate::site::configure::{put, take_away};
use crate::site::settings::Settings;

/// Takes this machine's share in the address, or none any more. Whether it has
/// the address is then keepalived's affair.
///
/// # Errors
/// [`Stop::Block`] if this machine or its image cannot serve it.
pub async fn share(world: &World, settings: &Settings, machine: &[IpNet]) -> Result<(), Stop> {
    let Some(wanted) = settings.virtual_address else {
        let text = fs::read_to_string(world.root.at(CONFIG)).unwrap_or_default();
        if text.starts_with(OURS) {
            // Stopped first: without its file nobody would know that it runs.
            ask(world, "stop").await?;
            take_away(&world.root, CONFIG)?;
        }
        return Ok(());
    };
    let block = |detail: String, remedy: &str| Stop::block(Reason::VirtualAddress, detail, remedy);
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
        return Err(Stop::wait(
            On::Network,
            "the virtual address' interface is down",
        ));
    };
    let text = keepalived::render(&Share {
        node_name: &settings.node_name,
        interface: &interface,
        address: wanted.address,
        router: wanted.router,
        node: settings.node,
        check: &keepalived::ready(),
    });
    match put(&world.root, CONFIG, text.as_bytes(), 0o600)? {
        true => ask(world, "restart").await,
        false => ask(world, "start").await,
    }
}

async fn ask(world: &World, what: &'static str) -> Result<(), Stop> {
    let done = world.ask(move |services, _| match what {
        "stop" => services.stop(UNIT),
        "restart" => services.restart(UNIT),
        _ => services.start(UNIT),
    });
    done.await
        .map_err(|error| Stop::wait(On::Cluster, error.to_string()))
}
