#!/usr/bin/env python3
"""Makes network/*.yaml: what curtin hands an install hook of MAAS' network
configurations, in the shapes of MAAS 3.7 (src/maasserver/preseed_network.py,
version 2) and written as curtin writes them (PyYAML's dump, keys sorted, lists
that MAAS shares as anchors). Run in this directory; needs PyYAML."""

import pathlib

import yaml

SEARCH = ["maas", "edge.example.com"]


def mac(last):
    """Digits only: without quotes YAML 1.1 would read a number to base 60."""
    return f"52:54:00:12:34:{last:02}"


def nic(last, name, **more):
    """`_generate_physical_operation`; without a link up it is all there is."""
    head = {"match": {"macaddress": mac(last)}, "set-name": name, "mtu": 1500, "optional": True}
    return {**head, **more}


def dns(*addresses):
    """`_generate_addresses`: one search list is shared by all interfaces."""
    return {"addresses": list(addresses), "search": SEARCH}


SHAPES = {
    # `_generate_bond_operation` and `_generate_vlan_operation`.
    "bond-vlans": {
        "ethernets": {
            "enp1s0f0": nic(10, "enp1s0f0", mtu=9000),
            "enp1s0f1": nic(11, "enp1s0f1", mtu=9000),
        },
        "bonds": {
            "bond0": {
                "interfaces": ["enp1s0f0", "enp1s0f1"],
                "macaddress": mac(10),
                "mtu": 9000,
                "optional": True,
                "parameters": {
                    "down-delay": 0,
                    "lacp-rate": "fast",
                    "mii-monitor-interval": 100,
                    "mode": "802.3ad",
                    "transmit-hash-policy": "layer3+4",
                    "up-delay": 0,
                },
            }
        },
        "vlans": {
            "bond0.120": {
                "id": 120,
                "link": "bond0",
                "mtu": 1500,
                "addresses": ["10.20.0.11/24"],
                "gateway4": "10.20.0.1",
                "nameservers": dns("10.20.0.2", "10.20.0.3"),
            },
            "bond0.130": {
                "id": 130,
                "link": "bond0",
                "mtu": 9000,
                "addresses": ["10.30.0.11/24"],
                "nameservers": dns("10.30.0.2"),
            },
        },
    },
    # `_generate_bridge_operation` over a bond; both address families.
    "bridge-on-bond": {
        "ethernets": {
            "eno1": nic(20, "eno1"),
            "eno2": nic(21, "eno2"),
        },
        "bonds": {
            "bond0": {
                "interfaces": ["eno1", "eno2"],
                "macaddress": mac(20),
                "mtu": 1500,
                "optional": True,
                "parameters": {
                    "down-delay": 0,
                    "gratuitous-arp": 1,
                    "mii-monitor-interval": 100,
                    "mode": "active-backup",
                    "up-delay": 0,
                },
            }
        },
        "bridges": {
            "br-mgmt": {
                "interfaces": ["bond0"],
                "macaddress": mac(20),
                "mtu": 1500,
                "optional": True,
                "parameters": {"forward-delay": 15, "stp": False},
                "addresses": ["10.20.0.11/24", "2001:db8:20::11/64"],
                "gateway4": "10.20.0.1",
                "gateway6": "2001:db8:20::1",
                "nameservers": dns("10.20.0.2", "2001:db8:20::2"),
            }
        },
    },
    # Static routes of a subnet (`_generate_route_operation`), large frames, and
    # an interface that MAAS was told to leave alone.
    "nics-routes-mtu": {
        "ethernets": {
            "enp1s0": nic(
                30,
                "enp1s0",
                addresses=["10.20.0.11/24"],
                gateway4="10.20.0.1",
                nameservers=dns("10.20.0.2"),
                routes=[
                    {"to": "172.16.0.0/12", "via": "10.20.0.254", "metric": 100},
                    {"to": "192.168.0.0/16", "via": "10.20.0.253", "metric": 0},
                ],
            ),
            "enp2s0": nic(31, "enp2s0", mtu=9000, addresses=["10.40.0.11/24"]),
            "enp3s0": nic(32, "enp3s0"),
        },
    },
    # `_set_policy_routing`: the second gateway has a table of its own.
    "source-routing": {
        "ethernets": {
            "enp1s0": nic(
                40,
                "enp1s0",
                addresses=["10.20.0.11/24"],
                gateway4="10.20.0.1",
                nameservers=dns("10.20.0.2"),
            ),
            "enp2s0": nic(
                41,
                "enp2s0",
                addresses=["10.50.0.11/24"],
                nameservers=dns("10.50.0.2"),
                routes=[
                    {"to": "0.0.0.0/0", "via": "10.50.0.1", "table": 1},
                    {"to": "172.16.0.0/12", "via": "10.50.0.254", "metric": 0, "table": 1},
                ],
                **{
                    "routing-policy": [
                        {"from": "10.50.0.0/24", "table": 1, "priority": 1000},
                        {"from": "10.50.0.0/24", "to": "10.50.0.0/24", "table": 254},
                        {"from": "0.0.0.0/0", "to": "172.16.0.0/12", "table": 1, "priority": 1000},
                    ]
                },
            ),
        },
    },
    # `_get_dhcp_type` beside a static address of the other family.
    "dhcp4-static6": {
        "ethernets": {
            "enp1s0": nic(
                50,
                "enp1s0",
                dhcp4=True,
                addresses=["2001:db8:20::11/64"],
                gateway6="2001:db8:20::1",
                nameservers=dns("2001:db8:20::2"),
            ),
        },
    },
}

for name, shape in SHAPES.items():
    text = yaml.dump({"network": {"version": 2, **shape}}, default_flow_style=False)
    (pathlib.Path("network") / f"{name}.yaml").write_text(text)
