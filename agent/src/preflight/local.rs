//! Checks that need no network.

use ipnet::IpNet;
use jiff::Timestamp;

use super::Check;

/// What Palette asks of a gateway node (its gateway requirements page), decimal GB.
const MIN_CPUS: usize = 4;
const MIN_MEMORY_GB: u64 = 8;
const MIN_DISK_GB: u64 = 60;
/// A machine sold as "8 GB" has a little less once firmware took its share.
const TOLERANCE: f64 = 0.9;

/// What the machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Logical CPUs.
    pub cpus: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of the file system that holds `/var`.
    pub disk: u64,
}

/// Whether the machine is large enough. Only a warning: a small gateway works until it does not.
pub fn capacity(has: Capacity) -> Check {
    let gb = |bytes: u64| bytes / 1_000_000_000;
    let evidence = format!(
        "{} CPUs, {} GB memory, {} GB disk",
        has.cpus,
        gb(has.memory),
        gb(has.disk)
    );
    let enough = |bytes: u64, wanted: u64| bytes as f64 >= wanted as f64 * 1e9 * TOLERANCE;
    if has.cpus >= MIN_CPUS && enough(has.memory, MIN_MEMORY_GB) && enough(has.disk, MIN_DISK_GB) {
        Check::pass("capacity", evidence)
    } else {
        Check::warn(
            "capacity",
            evidence,
            "Palette asks for 4 CPUs, 8 GB of memory and 60 GB of disk: deploy a larger machine",
        )
    }
}

/// Whether the clock can be right: it is not before the image was made.
pub fn time_sane(now: Timestamp, image: Timestamp) -> Check {
    if now >= image {
        Check::pass("time", now.strftime("%F %T UTC").to_string())
    } else {
        Check::fail(
            "time",
            format!(
                "the clock says {}, the image was made {}",
                now.strftime("%F %T UTC"),
                image.strftime("%F %T UTC")
            ),
            "set the machine's clock, or let it reach a time server",
        )
    }
}

/// Whether the cluster's networks leave the machine's own alone (Palette: "must
/// not overlap with any machine IP").
pub fn overlap(pods: &IpNet, services: &IpNet, machine: &[IpNet]) -> Check {
    let touch = |a: &IpNet, b: &IpNet| a.contains(b) || b.contains(a);
    for (name, net) in [("pod", pods), ("service", services)] {
        if let Some(own) = machine.iter().find(|own| touch(net, &own.trunc())) {
            return Check::fail(
                "networks",
                format!("the {name} network {net} overlaps {own} of this machine"),
                "choose other networks in the gateway file: network.pod-cidr, network.service-cidr",
            );
        }
    }
    Check::pass("networks", format!("pods {pods}, services {services}"))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn small_machines_are_warned_about() {
        let enough = Capacity {
            cpus: 4,
            memory: 8_200_000_000,
            disk: 64_000_000_000,
        };
        assert_eq!(capacity(enough).verdict, Verdict::Pass);
        for small in [
            Capacity { cpus: 2, ..enough },
            Capacity {
                memory: 4_000_000_000,
                ..enough
            },
            Capacity {
                disk: 30_000_000_000,
                ..enough
            },
        ] {
            assert_eq!(capacity(small).verdict, Verdict::Warn, "{small:?}");
        }
    }

    #[test]
    fn a_clock_before_the_image_is_wrong() {
        let image: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        assert_eq!(time_sane(image, image).verdict, Verdict::Pass);
        let check = time_sane(Timestamp::UNIX_EPOCH, image);
        assert_eq!(check.verdict, Verdict::Fail);
        assert!(check.evidence.contains("1970-01-01"), "{check:?}");
    }

    #[test]
    fn networks_may_not_touch_the_machines_own() {
        let net = |s: &str| s.parse::<IpNet>().unwrap();
        let (pods, services) = (net("10.42.0.0/16"), net("10.43.0.0/16"));
        for (own, verdict) in [
            ("192.0.2.7/24", Verdict::Pass),
            ("10.42.7.9/24", Verdict::Fail),
            ("10.43.0.1/32", Verdict::Fail),
            ("10.0.0.5/8", Verdict::Fail),
            ("2001:db8::1/64", Verdict::Pass),
        ] {
            let check = overlap(&pods, &services, &[net(own)]);
            assert_eq!(check.verdict, verdict, "{own}: {check:?}");
        }
    }
}
