//! The networks that MAAS gives, all the way to systemd's units, by the image's
//! own cloud-init and netplan.
//!
//! What the hook puts on the seed is the file as curtin wrote it (a test of the
//! agent sees to that), so the fixtures are what cloud-init finds on a machine.

use std::path::Path;

use fs_err as fs;
use postern::artifact::Artifacts;
use postern_contract::host::Command;
use postern_e2e::{demo, repository, unpack_root};

/// A unit, and the parts of it that the configuration asks for. Each part has
/// to be there as it is: lines next to each other in this order.
type Units = &'static [(&'static str, &'static [&'static str])];

const DNS_AND_SEARCH: &str = "DNS=10.20.0.2\nDomains=maas edge.example.com\n";

const SHAPES: &[(&str, Units)] = &[
    (
        "bond-vlans",
        &[
            (
                "bond0.netdev",
                &[
                    "MACAddress=52:54:00:12:34:10\nMTUBytes=9000\nKind=bond\n",
                    "Mode=802.3ad\nLACPTransmitRate=fast\nMIIMonitorSec=100ms\n",
                    "TransmitHashPolicy=layer3+4\n",
                ],
            ),
            ("bond0.network", &["VLAN=bond0.120\nVLAN=bond0.130\n"]),
            (
                "bond0.120.netdev",
                &["MTUBytes=1500\nKind=vlan\n", "Id=120\n"],
            ),
            (
                "bond0.120.network",
                &[
                    "Address=10.20.0.11/24\nGateway=10.20.0.1\n",
                    "DNS=10.20.0.2\nDNS=10.20.0.3\nDomains=maas edge.example.com\n",
                ],
            ),
            (
                "bond0.130.netdev",
                &["MTUBytes=9000\nKind=vlan\n", "Id=130\n"],
            ),
            (
                "enp1s0f0.link",
                &[
                    "PermanentMACAddress=52:54:00:12:34:10\n",
                    "Name=enp1s0f0\n",
                    "MTUBytes=9000\n",
                ],
            ),
            ("enp1s0f0.network", &["Bond=bond0\n"]),
            ("enp1s0f1.network", &["MTUBytes=9000\n", "Bond=bond0\n"]),
        ],
    ),
    (
        "bridge-on-bond",
        &[
            (
                "bond0.netdev",
                &[
                    "Mode=active-backup\nMIIMonitorSec=100ms\n",
                    "GratuitousARP=1\n",
                ],
            ),
            ("bond0.network", &["Bridge=br-mgmt\n"]),
            (
                "br-mgmt.netdev",
                &[
                    "MACAddress=52:54:00:12:34:20\n",
                    "ForwardDelaySec=15\nSTP=false\n",
                ],
            ),
            (
                "br-mgmt.network",
                &[
                    "Address=10.20.0.11/24\nAddress=2001:db8:20::11/64\n",
                    "Gateway=10.20.0.1\nGateway=2001:db8:20::1\n",
                    "DNS=10.20.0.2\nDNS=2001:db8:20::2\nDomains=maas edge.example.com\n",
                ],
            ),
            ("eno1.network", &["Bond=bond0\n"]),
            ("eno2.network", &["Bond=bond0\n"]),
        ],
    ),
    (
        "nics-routes-mtu",
        &[
            (
                "enp1s0.network",
                &[
                    "Address=10.20.0.11/24\nGateway=10.20.0.1\n",
                    DNS_AND_SEARCH,
                    "Destination=172.16.0.0/12\nGateway=10.20.0.254\nMetric=100\n",
                    "Destination=192.168.0.0/16\nGateway=10.20.0.253\nMetric=0\n",
                ],
            ),
            (
                "enp2s0.network",
                &["MTUBytes=9000\n", "Address=10.40.0.11/24\n"],
            ),
            (
                "enp3s0.network",
                &["PermanentMACAddress=52:54:00:12:34:32\nName=enp3s0\n"],
            ),
        ],
    ),
    (
        "source-routing",
        &[
            ("enp1s0.network", &["Gateway=10.20.0.1\n", DNS_AND_SEARCH]),
            (
                "enp2s0.network",
                &[
                    "Destination=0.0.0.0/0\nGateway=10.50.0.1\nTable=1\n",
                    "Destination=172.16.0.0/12\nGateway=10.50.0.254\nMetric=0\nTable=1\n",
                    "From=10.50.0.0/24\nTable=1\nPriority=1000\n",
                    "From=10.50.0.0/24\nTo=10.50.0.0/24\nTable=254\n",
                    "From=0.0.0.0/0\nTo=172.16.0.0/12\nTable=1\nPriority=1000\n",
                ],
            ),
        ],
    ),
    (
        "dhcp4-static6",
        &[(
            "enp1s0.network",
            &[
                "DHCP=ipv4\n",
                "Address=2001:db8:20::11/64\nGateway=2001:db8:20::1\n",
                "DNS=2001:db8:20::2\nDomains=maas edge.example.com\n",
            ],
        )],
    ),
];

/// Fails unless what cloud-init wrote means what it was given: netplan's own
/// writer orders the parts of a bond anew, and quotes some numbers.
const SAME: &str = "
import yaml
def plain(value):
    if isinstance(value, dict):
        return {k: sorted(v) if k == 'interfaces' else plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value if isinstance(value, bool) else str(value)
given, written = (
    plain(yaml.safe_load(open(path)))
    for path in ('/tmp/given.yaml', '/etc/netplan/50-cloud-init.yaml'))
assert given == written, f'{given} became {written}'
";

/// Runs a program of the image with `/` at its unpacked root; what it message.
fn inside(root: &Path, args: &[&str]) -> String {
    let unshare = Command::new("unshare").args(["--user", "--map-root-user", "chroot"]);
    let output = unshare.arg(root).args(args).run_unchecked().unwrap();
    let message = [output.stdout, output.stderr].concat();
    let message = String::from_utf8_lossy(&message).into_owned();
    assert!(output.status.success(), "{args:?}: {message}");
    message
}

/// Empties a directory of the unpacked root.
fn empty(directory: &Path) {
    let _absent = fs::remove_dir_all(directory);
    fs::create_dir_all(directory).unwrap();
}

#[test]
fn every_network_of_maas_reaches_systemd() {
    let dir = tempfile::tempdir().unwrap();
    let root = unpack_root(&Artifacts::open(demo()).unwrap(), dir.path()).unwrap();
    for name in ["dev", "proc", "tmp"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    let fixtures = repository().join("agent/src/hook/testdata/network");
    assert_eq!(fs::read_dir(&fixtures).unwrap().count(), SHAPES.len());
    for (shape, units) in SHAPES {
        let given = fs::read(fixtures.join(format!("{shape}.yaml"))).unwrap();
        fs::write(root.join("tmp/given.yaml"), given).unwrap();
        empty(&root.join("etc/netplan"));
        empty(&root.join("run"));
        let schema = ["--schema-type", "network-config", "--config-file"];
        let args = [&["cloud-init", "schema"][..], &schema, &["/tmp/given.yaml"]].concat();
        let message = inside(&root, &args);
        assert!(message.contains("Valid schema"), "{shape}: {message}");
        let args = "cloud-init devel net-convert --network-data /tmp/given.yaml --kind yaml \
                     --output-kind netplan --distro debian --directory /";
        inside(&root, &args.split_whitespace().collect::<Vec<_>>());
        inside(&root, &["python3", "-c", SAME]);
        inside(&root, &["/usr/libexec/netplan/generate"]);
        let made = root.join("run/systemd/network");
        for (unit, parts) in *units {
            let text = fs::read_to_string(made.join(format!("10-netplan-{unit}"))).unwrap();
            for part in *parts {
                assert!(
                    text.contains(part),
                    "{shape}: {unit} lacks\n{part}in\n{text}"
                );
            }
        }
    }
}
