//! Checks of a gateway's networks against the subnets of MAAS.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::deployment::Deployment;
use super::findings::{Findings, Problem};
use super::inventory::Inventory;
use crate::maas::Subnet;
use crate::maas::machines::Machine;

/// Checks pod and service network and the name servers of `chosen` machines.
pub(super) fn check(
    inventory: &Inventory,
    deployment: &Deployment<'_>,
    chosen: &[&Machine],
    findings: &mut Findings,
) {
    let links = chosen.iter().flat_map(|machine| machine.links());
    let ids: BTreeSet<u64> = links
        .filter_map(|link| Some(link.subnet.as_ref()?.id))
        .collect();
    let subnets = inventory.subnets.iter();
    let own: Vec<&Subnet> = subnets.filter(|one| ids.contains(&one.id)).collect();
    let gateway = &deployment.gateway.gateway;
    for (key, net) in [
        ("pod-cidr", gateway.pod_cidr),
        ("service-cidr", gateway.service_cidr),
    ] {
        let mut net = GatewayNetwork { key, net, findings };
        for subnet in &inventory.subnets {
            net.check_overlap(subnet, ids.contains(&subnet.id));
        }
        own.iter().for_each(|subnet| net.check_name_servers(subnet));
    }
    let Some(first) = own.first() else {
        return;
    };
    if let Some(it) = gateway.cluster.virtual_address {
        check_virtual_address(it.address, &own, chosen, findings);
    }
    let has_names = |subnet: &&Subnet| subnet.allow_dns || !subnet.dns_servers.is_empty();
    if deployment.gateway.dns.is_empty() && !own.iter().any(has_names) {
        findings.problems.push(Problem::new(
            format!(
                "the machine has no name server: subnet {} has none",
                first.cidr
            ),
            "set `network.dns` in the gateway file, or name servers for the subnet in MAAS",
        ));
    }
    if own.iter().all(|subnet| subnet.gateway_ip.is_none()) {
        findings.notes.push(format!(
            "subnet {} has no gateway in MAAS: unless DHCP provides one, the machine has no default route",
            first.cidr
        ));
    }
}

/// Checks that the machines can serve the virtual address.
fn check_virtual_address(
    address: Ipv4Addr,
    own: &[&Subnet],
    chosen: &[&Machine],
    findings: &mut Findings,
) {
    let text = address.to_string();
    let remedy = "choose a free address of the machines' subnet as `virtual-address`, and reserve it in MAAS";
    let mut problem = |what: String| findings.problems.push(Problem::new(what, remedy));
    let inside = |subnet: &&&Subnet| {
        let net = subnet.cidr.parse::<IpNet>();
        net.is_ok_and(|net| net.contains(&IpAddr::V4(address)))
    };
    let Some(subnet) = own.iter().find(inside) else {
        let shown: Vec<_> = own.iter().map(|subnet| subnet.cidr.as_str()).collect();
        let shown = shown.join(", ");
        return problem(format!(
            "virtual address {text} is in no subnet of the machines ({shown})"
        ));
    };
    if subnet.gateway_ip.as_ref() == Some(&text) || subnet.dns_servers.contains(&text) {
        return problem(format!(
            "virtual address {text} is the gateway or a name server of {}",
            subnet.cidr
        ));
    }
    match chosen.iter().find(|machine| machine.ip_addresses.contains(&text)) {
        Some(machine) => problem(format!("virtual address {text} is {machine}'s own address")),
        None => findings.notes.push(format!(
            "reserve virtual address {text} in MAAS (subnet {}): otherwise MAAS may assign it to another machine",
            subnet.cidr
        )),
    }
}

/// One of the gateway's own networks.
struct GatewayNetwork<'f> {
    key: &'static str,
    net: IpNet,
    findings: &'f mut Findings,
}

impl GatewayNetwork<'_> {
    fn remedy(&self) -> String {
        format!("choose another `network.{}` in the gateway file", self.key)
    }

    /// Where pods and machines have the same addresses, pods win.
    fn check_overlap(&mut self, subnet: &Subnet, has_the_machine: bool) {
        let (key, net) = (self.key, self.net);
        let Ok(theirs) = subnet.cidr.parse::<IpNet>() else {
            return;
        };
        if !(theirs.contains(&net) || net.contains(&theirs)) {
            return;
        }
        let what = format!("{key} {net} overlaps MAAS' subnet {theirs}");
        if has_the_machine {
            let problem = Problem::new(format!("{what}, which has the machine"), self.remedy());
            self.findings.problems.push(problem);
        } else {
            let note = format!("{what}: the gateway cannot reach machines there");
            self.findings.notes.push(note);
        }
    }

    fn check_name_servers(&mut self, subnet: &Subnet) {
        for server in &subnet.dns_servers {
            let inside = server
                .parse()
                .is_ok_and(|address: IpAddr| self.net.contains(&address));
            if inside {
                let (key, net) = (self.key, self.net);
                let what = format!(
                    "{key} {net} hides {server}, a name server of {}",
                    subnet.cidr
                );
                let problem = Problem::new(what, self.remedy());
                self.findings.problems.push(problem);
            }
        }
    }
}
