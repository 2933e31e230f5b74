//! The agent that goes into images, as a process of its own: killed at every
//! state, and measured.
//!
//! It runs in a root that is this machine's with a few files laid over, in name
//! spaces of its own (mounts and network), with stand-ins for systemd, k3s and
//! Palette. This is therefore not the usual test harness: the process starts
//! itself again inside before it has threads.

use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use fs_err as fs;
use libtest_mimic::{Arguments, Failed, Trial};
use postern::rehearse::network;
use postern_contract::host::Command;
use postern_contract::paths;
use postern_e2e::{program, repository};
use postern_sim::clock::Clock;
use postern_sim::events::EventLog;
use postern_sim::palette::{Fault, Palette, PaletteConfig, Route};
use postern_sim::tls::Authority;
use tokio::runtime::Runtime;

/// Most memory that may be resident while the agent waits, in KiB (issue: 12 MiB).
const RESIDENT: u64 = 12 << 10;
/// Largest program, in bytes.
const SIZE: u64 = 10_000_000;
/// What Palette's log says of a registration.
const REGISTER: &str = "/register answered";

fn main() -> ExitCode {
    let args = Arguments::from_args();
    if !args.list && !network::is_inside().unwrap_or(false) {
        let own = std::env::current_exe().expect("a test is a program");
        let inside = Command::new("unshare")
            .args(["--mount", "--net", "--"])
            .arg(own)
            .args(std::env::args_os().skip(1))
            .with_environment();
        eprintln!("{}", inside.exec());
        return ExitCode::FAILURE;
    }
    let trials = vec![
        Trial::test("killed_at_every_state_it_is_one_gateway", || {
            run(killed_at_every_state_it_is_one_gateway)
        }),
        Trial::test("does_little_itself", || run(does_little_itself)),
        Trial::test("is_small", || run(is_small)),
    ];
    libtest_mimic::run(&args, trials).exit_code()
}

fn run(test: fn() -> anyhow::Result<()>) -> Result<(), Failed> {
    test().map_err(|error| format!("{error:#}").into())
}

/// A machine's root and its Palette.
struct Machine {
    runtime: Runtime,
    log: EventLog,
    code: String,
    palette: Palette,
    /// A tmpfs: the root, and what is laid over it.
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let log = EventLog::new(Clock::real());
        let authority = Authority::generate("Test CA", Clock::real().now())?;
        let ca = authority.pem().to_owned();
        let config = PaletteConfig {
            listen: ([127, 0, 0, 1], 443).into(),
            ..PaletteConfig::new("localhost", authority, log.clone())
        };
        let palette = runtime.block_on(Palette::start(config))?;
        let (code, _) = palette.issue_code();
        let machine = Self {
            runtime,
            log,
            code,
            dir: tempfile::tempdir()?,
            palette,
        };
        machine.mount()?;
        machine.deploy(&ca)?;
        Ok(machine)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir
            .path()
            .join("root")
            .join(path.trim_start_matches('/'))
    }

    fn mount(&self) -> anyhow::Result<()> {
        let mount = |args: &[&str], at: &Path| Command::new("mount").args(args).arg(at).run();
        let dir = self.dir.path();
        mount(&["-t", "tmpfs", "tmpfs"], dir)?;
        for name in ["upper", "work", "root"] {
            fs::create_dir(dir.join(name))?;
        }
        let here = dir.display();
        let layers = format!("lowerdir=/,upperdir={here}/upper,workdir={here}/work");
        mount(&["-t", "overlay", "-o", &layers, "overlay"], &self.at("/"))?;
        mount(&["-t", "proc", "proc"], &self.at("/proc"))?;
        mount(&["--rbind", "/dev"], &self.at("/dev"))?;
        for path in ["/sys", "/proc/sys", "/run"] {
            mount(&["-t", "tmpfs", "tmpfs"], &self.at(path))?;
        }
        self.kernel()
    }

    /// The kernel as the appliance loads and sets it; this machine's may be
    /// anything.
    fn kernel(&self) -> anyhow::Result<()> {
        self.write("/proc/sys/kernel/random/boot_id", "the-only-boot\n")?;
        self.write("/proc/sys/kernel/osrelease", "6.12.1-amd64\n")?;
        self.write("/sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n")?;
        for module in [
            "br_netfilter",
            "nf_conntrack",
            "nf_tables",
            "overlay",
            "vxlan",
        ] {
            self.write(&format!("/sys/module/{module}/refcnt"), "1\n")?;
        }
        let set = repository().join("overlays/appliance/usr/lib/sysctl.d");
        for file in fs::read_dir(set)? {
            let text = fs::read_to_string(file?.path())?;
            for (name, value) in text.lines().filter_map(|line| line.split_once(" = ")) {
                self.write(&format!("/proc/sys/{}", name.replace('.', "/")), value)?;
            }
        }
        Ok(())
    }

    /// What image, MAAS and cloud-init leave behind.
    fn deploy(&self, ca: &str) -> anyhow::Result<()> {
        let sim = repository().join("tests/sim");
        self.install(&sim.join("k3s-stand-in"), paths::K3S)?;
        self.install(&sim.join("systemctl-stand-in"), "/usr/bin/systemctl")?;
        self.install(&program("postern-agent"), paths::AGENT)?;
        let facts =
            r#"{"schema": 1, "name": "demo", "version": "1", "k3s-version": "v1.31.8+k3s1"}"#;
        self.write(paths::IMAGE_FACTS, facts)?;
        self.write("/etc/rancher/k3s/stand-in.json", r#"{"crash-loop": {}}"#)?;
        fs::create_dir_all(self.at("/run/postern"))?;
        let ca = ca.trim_end().replace('\n', "\n    ");
        let code = &self.code;
        self.write(
            paths::GATEWAY_FILE,
            &format!(
                "apiVersion: postern/v1\nname: edge-1\npalette:\n  endpoint: https://localhost\n  pairing: {{pairing-code: {code}}}\n  stable-seconds: 30\ncertificates:\n  - |\n    {ca}\n"
            ),
        )
    }

    fn install(&self, program: &Path, path: &str) -> anyhow::Result<()> {
        let to = self.at(path);
        fs::create_dir_all(to.parent().context("a file has a folder")?)?;
        fs::copy(program, &to)?;
        Ok(fs::set_permissions(&to, PermissionsExt::from_mode(0o755))?)
    }

    fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let to = self.at(path);
        fs::create_dir_all(to.parent().context("a file has a folder")?)?;
        Ok(fs::write(to, text)?)
    }

    fn start(&self) -> anyhow::Result<Agent> {
        let mut child = Command::new("chroot")
            .arg(self.at("/"))
            .args([paths::AGENT, "run"])
            .env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .spawn(Stdio::null(), Stdio::piped(), Stdio::piped())?;
        let lines = child.stdout.take().context("a pipe")?;
        Ok(Agent {
            lines: BufReader::new(lines).lines(),
            errors: child.stderr.take().context("a pipe")?,
            child,
        })
    }

    /// Starts it and reads what it says until it is in `state`. Its journal can
    /// then be read.
    fn start_until(&self, state: &str) -> anyhow::Result<Agent> {
        let mut agent = self.start()?;
        agent.says(&format!("state={state}"))?;
        let journal = fs::read(self.at(paths::JOURNAL))?;
        serde_json::from_slice::<serde_json::Value>(&journal)?;
        Ok(agent)
    }

    /// Palette was asked to register once, whatever happened.
    fn asked_once(&self) -> anyhow::Result<()> {
        let events = self.log.recorded();
        let events: Vec<_> = events.iter().map(|r| r.event.to_string()).collect();
        let asked = events.iter().filter(|e| e.contains(REGISTER)).count();
        ensure!(asked == 1, "asked {asked} times: {events:#?}");
        Ok(())
    }

    /// Waits until Palette registered the gateway.
    fn registered(&self) {
        let seen = self.log.await_event(|e| e.to_string().contains(REGISTER));
        self.runtime.block_on(seen);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // k3s outlives its systemctl, as a unit does.
        let _ = Command::new("chroot")
            .arg(self.at("/"))
            .args(["systemctl", "stop", "k3s.service"])
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .run();
        let _ = Command::new("umount")
            .args(["--recursive"])
            .arg(self.dir.path())
            .run();
    }
}

/// The agent's process.
struct Agent {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    errors: ChildStderr,
}

impl Agent {
    /// Reads what it says until a line holds `word`.
    fn says(&mut self, word: &str) -> anyhow::Result<()> {
        let mut output = Vec::new();
        for line in self.lines.by_ref() {
            let line = line?;
            if line.contains(word) {
                return Ok(());
            }
            output.push(line);
        }
        let errors = std::io::read_to_string(&mut self.errors)?;
        anyhow::bail!("it ended before it message {word:?}: {output:#?}\n{errors}")
    }

    fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        let ended = self.child.wait()?;
        ensure!(ended.signal() == Some(9), "it ended by itself: {ended}");
        Ok(())
    }

    /// What it used of a processor so far: `utime` and `stime` of proc_pid_stat(5).
    fn processor(&self) -> anyhow::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, after_name) = stat.rsplit_once(')').context("a name")?;
        let fields: Vec<_> = after_name.split_whitespace().collect();
        let ticks = |at: usize| {
            fields
                .get(at)
                .context("a field")?
                .parse::<u64>()
                .context("ticks")
        };
        let hertz = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?.context("hertz")?;
        let millis = (ticks(11)? + ticks(12)?) * 1000 / u64::try_from(hertz)?;
        Ok(Duration::from_millis(millis))
    }

    /// A value of `/proc/PID/status` in KiB.
    fn memory(&self, key: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find(|l| l.starts_with(key))
            .context(status.clone())?;
        let value = line.split_whitespace().nth(1).context("a number")?;
        Ok(value.parse()?)
    }
}

/// A network with an address and a default route that lead nowhere.
fn network_up() -> anyhow::Result<()> {
    network::loopback_up()?;
    for line in [
        "link add eth0 type veth peer name peer0",
        "address add 192.0.2.10/24 dev eth0",
        "link set peer0 up",
        "link set eth0 up",
        "route add default via 192.0.2.1",
    ] {
        Command::new("ip").args(line.split(' ')).run()?;
    }
    Ok(())
}

fn killed_at_every_state_it_is_one_gateway() -> anyhow::Result<()> {
    network_up()?;
    let machine = Machine::new()?;
    for state in ["configured", "online", "cluster-ready", "preflight-ok"] {
        machine.start_until(state)?.kill()?;
    }
    // Palette acts and its answer is lost; the agent is killed before it knows.
    machine.palette.inject(Route::Register, 1, Fault::LostReply);
    let agent = machine.start_until("manifests-applied")?;
    machine.registered();
    agent.kill()?;
    machine.start_until("registered")?.kill()?;
    let agent = machine.start_until("healthy")?;
    let resident = agent.memory("VmRSS:")?;
    println!("agent, resident while it waits, KiB: {resident}");
    ensure!(resident <= RESIDENT, "{resident} KiB are resident");
    agent.kill()?;
    machine.asked_once()
}

/// What it takes of a processor from its start until it is registered; what it
/// waits for others is not in it. `just bench` shows the number.
fn does_little_itself() -> anyhow::Result<()> {
    network_up()?;
    let machine = Machine::new()?;
    let agent = machine.start_until("registered")?;
    let used = agent.processor()?;
    println!("agent, own time until registered, ms: {}", used.as_millis());
    agent.kill()?;
    machine.asked_once()
}

fn is_small() -> anyhow::Result<()> {
    let size = fs::metadata(program("postern-agent"))?.len();
    ensure!(size <= SIZE, "the agent has {size} bytes");
    Ok(())
}
