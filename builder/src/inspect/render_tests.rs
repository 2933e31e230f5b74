use super::super::requests::Request;
use super::super::sizes::{Fill, Weights};
use super::super::{Added, Certificates, Enabled, K3s, Privileged, Proxy, Units};
use super::*;
use crate::artifact::{Area, Package, Partition};
use crate::boot::{Firmware, microcode::Vendor};

fn account(name: &str, uid: u32, shell: &str, login: Login, keys: usize) -> Account {
    Account {
        name: name.to_owned(),
        uid,
        shell: shell.to_owned(),
        login,
        keys,
        sudo: name == "ops",
    }
}

fn certificates() -> Certificates {
    Certificates {
        added: vec![Added {
            path: "/usr/local/share/ca-certificates/corp.crt".into(),
            subject: "CN=Corp".into(),
            sha256: "ab".repeat(32),
            not_after: "2030-01-02T00:00:00Z".parse().unwrap(),
            trusted: true,
        }],
        others: 144,
    }
}

fn units() -> Units {
    Units {
        enabled: vec![Enabled {
            unit: "ssh.service".into(),
            by: vec!["multi-user.target".into()],
            by_administrator: true,
        }],
        masked: vec!["apt-daily.timer".into()],
    }
}

fn users() -> Vec<Account> {
    vec![
        account("root", 0, "/bin/bash", Login::Locked, 0),
        account("daemon", 1, "/usr/sbin/nologin", Login::Locked, 0),
        account("ops", 1000, "/bin/bash", Login::Locked, 2),
        account("bad", 1001, "/bin/sh", Login::Open, 0),
    ]
}

fn microcode() -> Microcode {
    Microcode {
        vendor: Vendor::Intel,
        size: 15 << 20,
    }
}

fn inspection() -> Inspection {
    Inspection {
        schema: 1,
        name: "edge".into(),
        version: "1.2".into(),
        arch: "amd64".into(),
        distro: "debian".into(),
        release: "trixie".into(),
        date: Timestamp::UNIX_EPOCH,
        disk_size: 312 << 20,
        firmware: vec![Firmware::Uefi, Firmware::Bios],
        areas: vec![Area {
            label: "boot-loader".into(),
            offset: 17408,
            size: 1_031_168,
            sha256: "cd".repeat(32).parse().unwrap(),
        }],
        partitions: vec![Partition {
            label: "esp".into(),
            guid: "fb9cfff9-44d9-58fa-96a0-c7025992c848".parse().unwrap(),
            offset: 1 << 20,
            size: 128 << 20,
            sha256: None,
        }],
        root_hash: "45".repeat(32).parse().unwrap(),
        contradictions: Vec::new(),
        kernel: "6.12.0-amd64".into(),
        cmdline: "roothash=45 ro".into(),
        microcode: vec![microcode()],
        packages: vec![Package {
            name: "bash".into(),
            version: "5.2".into(),
            arch: "amd64".into(),
            sha256: "0".repeat(64).parse().unwrap(),
            reason: None,
        }],
        certificates: certificates(),
        proxy: Some(Proxy {
            http: "http://proxy:3128/".into(),
            https: "http://proxy:3128/".into(),
            no_proxy: vec![".corp".into(), "10.0.0.0/8".into()],
        }),
        k3s: Some(K3s {
            version: "v1.31.8+k3s1-stand-in".into(),
            stand_in: true,
            size: 50_000,
            images: vec!["images.tar".into()],
        }),
        units: units(),
        users: users(),
        privileged: vec![Privileged {
            path: "/usr/bin/su".into(),
            mode: "4755".into(),
            uid: 0,
            gid: 0,
            capabilities: None,
        }],
        sizes: None,
    }
}

#[test]
fn a_good_image_reads_well() {
    insta::assert_snapshot!(render(&inspection(), Timestamp::UNIX_EPOCH), @r"
    edge 1.2: debian trixie amd64

    disk: 312 MiB, boots by UEFI and BIOS
      boot-loader    1.0 MiB  at 17408      cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd
      esp            128 MiB  at 1048576    fb9cfff9-44d9-58fa-96a0-c7025992c848

    root hash: 4545454545454545454545454545454545454545454545454545454545454545
      hash tree, kernel command line and partition GUIDs agree

    kernel: 6.12.0-amd64
      roothash=45 ro
      microcode: Intel 15 MiB

    k3s: v1.31.8+k3s1-stand-in, a STAND-IN that runs no containers, 49 KiB
      images: images.tar

    proxy: http://proxy:3128/ for http, http://proxy:3128/ for https
      direct: .corp, 10.0.0.0/8

    certificates: 1 added, 144 of the distribution
      CN=Corp until 2030-01-02
        sha256 abababababababababababababababababababababababababababababababab

    users:
      root (0) /bin/bash: no password, no keys
      ops (1000) /bin/bash: no password, 2 keys, sudo
      bad (1001) /bin/sh: OPEN: EMPTY PASSWORD, no keys
      and 1 that cannot log in

    set-user-ID, set-group-ID and capabilities: 1
      4755 0:0 /usr/bin/su

    units enabled: 1
      ssh.service by multi-user.target
    units masked: apt-daily.timer

    packages: 1
      bash 5.2
    ");
}

#[test]
fn what_is_wrong_is_loud() {
    let mut found = inspection();
    found.contradictions = vec!["the hash tree's root hash is 00".into()];
    found.certificates.added[0].trusted = false;
    found.k3s = None;
    found.proxy = None;
    let now = "2031-01-01T00:00:00Z".parse().unwrap();
    let text = render(&found, now);
    for loud in [
        "CONTRADICTION: the hash tree's root hash is 00",
        "CN=Corp EXPIRED 2030-01-02 (NOT in the bundle",
        "bad (1001) /bin/sh: OPEN: EMPTY PASSWORD",
        "k3s: none",
        "proxy: none",
    ] {
        assert!(text.contains(loud), "no {loud:?} in\n{text}");
    }
    assert!(!text.contains("agree"), "{text}");
}

/// `p<i>`, the smaller the larger `i`.
fn weight(i: u64) -> Weight {
    Weight {
        name: format!("p{i}"),
        size: 1024 * (20 - i),
    }
}

fn requests() -> Vec<Request> {
    vec![
        Request {
            name: "keepalived".into(),
            alone: 60 << 20,
            shared: 3 << 20,
            brings: (0..5).map(weight).collect(),
        },
        Request {
            name: "less".into(),
            alone: 200 << 10,
            shared: 0,
            brings: vec![weight(1)],
        },
        Request {
            name: "openssl".into(),
            alone: 0,
            shared: 3 << 20,
            brings: Vec::new(),
        },
    ]
}

#[test]
fn sizes_are_tables() {
    let sizes = Sizes {
        partitions: vec![
            Fill {
                label: "root-a".into(),
                size: 100,
                used: Some(99),
            },
            Fill {
                label: "seed".into(),
                size: 64 << 20,
                used: None,
            },
        ],
        requests: requests(),
        weights: Weights {
            files: 12_000_000,
            packages: (0..17).map(weight).collect(),
            directories: (0..2).map(weight).collect(),
            largest: vec![weight(3)],
        },
    };
    insta::assert_snapshot!(render_sizes(&sizes), @r"
    partitions
      root-a            99 B of   100 B   99 %
      seed                 ? of  64 MiB

    the root's files: 11 MiB before compression

    largest packages
       20 KiB  p0
       19 KiB  p1
       18 KiB  p2
       17 KiB  p3
       16 KiB  p4
       15 KiB  p5
       14 KiB  p6
       13 KiB  p7
       12 KiB  p8
       11 KiB  p9
       10 KiB  p10
      9.0 KiB  p11
      8.0 KiB  p12
      7.0 KiB  p13
      6.0 KiB  p14
      9.0 KiB  in 2 more

    largest requests of the profile, with what only they bring
       60 MiB  keepalived: p0 20 KiB, p1 19 KiB, p2 18 KiB and 2 more; 3.0 MiB that others bring too
      200 KiB  less: p1 19 KiB
      and 1 that others bring as well

    largest directories
       20 KiB  p0
       19 KiB  p1

    largest files
       17 KiB  p3
    ");
}
