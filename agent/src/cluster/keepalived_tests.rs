//! Against the real keepalived, in network namespaces of their own.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use fs_err as fs;
use postern_contract::host::Command;
use tempfile::TempDir;

use super::*;

fn share<'a>(check: &'a str, node_name: &'a str, node: u8) -> Share<'a> {
    Share {
        node_name,
        interface: "eth0",
        address: Ipv4Addr::new(192, 0, 2, 9),
        router: 9,
        node,
        check,
    }
}

/// As root without a user namespace, since keepalived runs no script in one that
/// forbids `setgroups`.
fn namespaces() -> Command {
    let unshare = Command::new("unshare");
    match nix::unistd::geteuid().is_root() {
        true => unshare,
        false => unshare.args(["--user", "--map-root-user", "--map-auto"]),
    }
}

#[test]
fn renders() {
    let check = ready();
    insta::assert_snapshot!(render(&share(&check, "gateway-1", 1)), @r#"
    # Written by postern-agent from the gateway file; changes here are overwritten.
    global_defs {
        router_id gateway-1
        script_user root
        enable_script_security
        vrrp_version 3
    }
    vrrp_script api_server {
        script "/usr/bin/curl --silent --fail --output /dev/null --max-time 3 --noproxy * --cacert /var/lib/rancher/k3s/server/tls/server-ca.crt --cert /var/lib/rancher/k3s/server/tls/client-admin.crt --key /var/lib/rancher/k3s/server/tls/client-admin.key https://127.0.0.1:6443/readyz"
        interval 2
        timeout 4
        fall 2
        rise 2
        init_fail
    }
    vrrp_instance api {
        state BACKUP
        nopreempt
        interface eth0
        virtual_router_id 9
        priority 150
        advert_int 1
        virtual_ipaddress {
            192.0.2.9/32
        }
        track_script {
            api_server
        }
    }
    "#);
}

#[test]
fn keepalived_accepts_it() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("keepalived.conf");
    let check = ready();
    let share = share(&check, "gateway-1", 3);
    fs::write(&path, render(&share)).unwrap();
    let test = |path: &std::path::Path| {
        // The interface must be there.
        let script = "ip link add eth0 type veth peer name eth1 && exec keepalived -t -f \"$1\"";
        let command = namespaces().args(["--net", "sh", "-c", script, "sh"]);
        command.arg(path).run_unchecked().unwrap()
    };
    let out = test(&path);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    // It would have said so.
    let wrong = render(&share).replace("nopreempt", "no-preempt");
    fs::write(&path, wrong).unwrap();
    assert!(!test(&path).status.success());
}

#[test]
fn where_an_address_can_be_served() {
    let address = |text: &str| text.parse::<Ipv4Addr>().unwrap();
    let machine: Vec<IpNet> = ["192.0.2.7/24", "198.51.100.7/25", "2001:db8::7/64"]
        .map(|net| net.parse().unwrap())
        .into();
    let shown = |text| fits(address(text), &machine).map_err(|why| why.to_string());
    assert_eq!(shown("192.0.2.9"), Ok(()));
    assert_eq!(shown("198.51.100.9"), Ok(()));
    for (text, why) in [
        (
            "203.0.113.9",
            "virtual address 203.0.113.9 is in no network of this machine \
             (192.0.2.0/24, 198.51.100.0/25, 2001:db8::/64)",
        ),
        (
            "192.0.2.7",
            "virtual address 192.0.2.7 is this machine's own address",
        ),
        (
            "198.51.100.127",
            "virtual address 198.51.100.127 is the first or last of 198.51.100.0/25, which no machine can have",
        ),
        (
            "192.0.2.0",
            "virtual address 192.0.2.0 is the first or last of 192.0.2.0/24, which no machine can have",
        ),
    ] {
        assert_eq!(shown(text), Err(why.to_owned()));
    }
    // The machine that has it already.
    let mut holder = machine.clone();
    holder.push("192.0.2.9/32".parse().unwrap());
    assert_eq!(fits(address("192.0.2.9"), &holder), Ok(()));
}

/// Three machines on one switch, each with keepalived. They and everything in
/// them end with this value.
struct Three {
    world: Child,
    said: BufReader<ChildStdout>,
    _dir: TempDir,
}

/// Reads words on standard input and does to machine N what they say; tells on
/// standard output what becomes of addresses and of the daemons.
const WORLD: &str = r#"
set -eu
mount -t tmpfs none /run
mkdir /run/netns
ip link add switch type bridge
ip link set switch up
begin() {
    ip netns exec "m$1" keepalived --vrrp --dont-fork --log-console --no-syslog \
        -f "$1.conf" -p "/run/$1.pid" -r "/run/$1-vrrp.pid" 2>&1 |
        sed -u "s/^.*: (api) /m$1 /" &
}
for n in 1 2 3; do
    ip netns add "m$n"
    ip link add "port$n" type veth peer name eth0 netns "m$n"
    ip link set "port$n" master switch up
    ip -n "m$n" address add "192.0.2.1$n/24" dev eth0
    ip -n "m$n" link set eth0 up
    ip netns exec "m$n" ip -o monitor address |
        sed -u -e "s/^Deleted .*inet \([^ ]*\) .*/m$n lost \1/" -e "s/^[0-9]*: .*inet \([^ ]*\) .*/m$n has \1/" &
    touch "ready$n"
    begin "$n"
done
while read -r word n; do
    case $word in
    begin) begin "$n" ;;
    end) kill -9 "$(cat "/run/$n-vrrp.pid")" "$(cat "/run/$n.pid")"
         # As a machine that lost its power: nobody takes the address off it.
         ip -n "m$n" link set eth0 down
         rm "/run/$n-vrrp.pid" "/run/$n.pid" ;;
    mend) ip -n "m$n" address flush dev eth0 scope global
          ip -n "m$n" address add "192.0.2.1$n/24" dev eth0
          ip -n "m$n" link set eth0 up ;;
    holders) for m in 1 2 3; do
            ip -n "m$m" -o address show dev eth0 up | grep -q 192.0.2.9/32 && printf 'm%s ' "$m"
        done
        echo holders ;;
    esac
done
"#;

impl Three {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        for node in 1..=3 {
            let ready = dir.path().join(format!("ready{node}"));
            let check = format!("/usr/bin/test -e {}", ready.display());
            let name = format!("gateway-{node}");
            let text = render(&share(&check, &name, node));
            fs::write(dir.path().join(format!("{node}.conf")), text).unwrap();
        }
        let words = ["--net", "--mount", "--pid", "--fork", "--mount-proc"];
        let mut world = namespaces()
            .args(words)
            .args(["--kill-child", "timeout", "120", "sh", "-c", WORLD])
            .cwd(dir.path())
            .spawn(Stdio::piped(), Stdio::piped(), Stdio::inherit())
            .unwrap();
        let said = BufReader::new(world.stdout.take().unwrap());
        Self {
            world,
            said,
            _dir: dir,
        }
    }

    fn order(&mut self, words: &str) {
        use std::io::Write as _;
        let stdin = self.world.stdin.as_mut().unwrap();
        writeln!(stdin, "{words}").unwrap();
    }

    /// The next line that ends so.
    fn heard(&mut self, end: &str) -> String {
        let mut all = String::new();
        loop {
            let mut line = String::new();
            let read = self.said.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "no {end:?} in {all}");
            if line.trim_end().ends_with(end) {
                return line.trim_end().to_owned();
            }
            all.push_str(&line);
        }
    }

    /// The machine that gets the address next.
    fn next_holder(&mut self) -> u8 {
        let line = self.heard(" has 192.0.2.9/32");
        line.as_bytes()[1] - b'0'
    }

    fn holders(&mut self) -> String {
        self.order("holders 0");
        self.heard("holders")
    }
}

impl Drop for Three {
    fn drop(&mut self) {
        let _ = self.world.kill();
        let _ = self.world.wait();
    }
}

#[test]
fn one_of_three_has_the_address_and_another_when_it_dies() {
    let mut three = Three::new();
    assert_eq!(three.next_holder(), 1, "the first machine is the first");
    assert_eq!(three.holders(), "m1 holders");
    three.order("end 1");
    assert_eq!(three.next_holder(), 2);
    assert_eq!(three.holders(), "m2 holders");
    // It comes back, is ready, and takes nothing from anybody.
    three.order("mend 1");
    three.order("begin 1");
    three.heard("m1 Entering BACKUP STATE");
    assert_eq!(three.holders(), "m2 holders");
    // The holder's API server is not ready any more: it lets go by itself.
    fs::remove_file(three._dir.path().join("ready2")).unwrap();
    three.heard("m2 lost 192.0.2.9/32");
    let next = three.next_holder();
    assert!([1, 3].contains(&next), "{next}");
    assert_eq!(three.holders(), format!("m{next} holders"));
}
