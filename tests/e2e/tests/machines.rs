//! Whole machines in QEMU: one test per promise and per way it breaks.
//!
//! Each runs in a network namespace of its own, so this is not the usual test
//! harness: the process starts itself again inside before it has threads.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use fs_err as fs;
use libtest_mimic::{Arguments, Failed, Trial};
use postern::artifact::{Artifacts, Kind};
use postern::boot::Firmware;
use postern::disk::BootArea;
use postern::rehearse::milestones::Milestone;
use postern::rehearse::{Inputs, Rehearsal, network};
use postern::report::Report;
use postern::userdata;
use postern_contract::partitions::Role;
use postern_e2e::ubuntu::World;
use postern_e2e::{demo, program, read_from_disk, repository};

/// How the key begins that the simulated MAAS gives the machine.
const TOKEN: &str = "stand-in-secret-of";
/// The code in `profiles/demo-gateway.yaml`.
const PAIRING_CODE: &str = "DEMO-PAIRING-CODE";

fn main() -> ExitCode {
    let args = Arguments::from_args();
    if !args.list && !network::is_inside().unwrap_or(false) {
        // Built out here, where there is a network.
        demo();
        let own = std::env::current_exe().expect("a test is a program");
        let args: Vec<_> = std::env::args_os().skip(1).collect();
        eprintln!("{}", network::exec_inside(&own, &args));
        return ExitCode::FAILURE;
    }
    let trials = vec![
        Trial::test("pairs_in_one_boot_and_later_needs_nobody", || {
            run(pairs_in_one_boot_and_later_needs_nobody)
        }),
        Trial::test("power_cuts_on_the_way_end_in_one_gateway", || {
            run(power_cuts_on_the_way_end_in_one_gateway)
        }),
        Trial::test("a_tampered_root_is_refused", || {
            run(a_tampered_root_is_refused)
        }),
        Trial::test("a_damaged_disk_fails_the_installation", || {
            run(a_damaged_disk_fails_the_installation)
        }),
        Trial::test("an_ubuntu_shaped_image_boots", || {
            run(an_ubuntu_shaped_image_boots)
        }),
    ];
    libtest_mimic::run(&args, trials).exit_code()
}

fn run(test: fn(&Path) -> anyhow::Result<()>) -> Result<(), Failed> {
    let work = tempfile::tempdir()?;
    test(work.path()).map_err(|error| format!("{error:#}").into())
}

/// A rehearsal of the demo whose disk is written.
fn written(work: &Path) -> anyhow::Result<Rehearsal> {
    written_from(demo(), work)
}

fn written_from(image: &Path, work: &Path) -> anyhow::Result<Rehearsal> {
    written_for(Firmware::Uefi, image, work)
}

fn written_for(firmware: Firmware, image: &Path, work: &Path) -> anyhow::Result<Rehearsal> {
    let report = Report::plain(std::io::stderr());
    let gateway = userdata::load(&repository().join("profiles/demo-gateway.yaml"))?;
    let tools = program("curtin-stand-in");
    let rehearsal = Rehearsal::begin(Inputs {
        image,
        gateway,
        work,
        tools: tools.parent().context("a program has a directory")?,
        firmware,
        report: &report,
    })?;
    rehearsal.write()?;
    Ok(rehearsal)
}

/// What makes a machine this machine, read from its disk while it is off.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    machine_id: Vec<u8>,
    host_key: Vec<u8>,
    overlord: String,
}

fn identity(disk: &Path) -> anyhow::Result<Identity> {
    let etc = "/lib/postern/etc/upper";
    let state = |path: &str| read_from_disk(disk, "state", path);
    let journal: serde_json::Value = serde_json::from_slice(&state("/lib/postern/journal.json")?)?;
    let text = journal.to_string();
    ensure!(
        text.contains("healthy"),
        "the journal does not say healthy: {text}"
    );
    ensure!(
        !text.contains(PAIRING_CODE),
        "the journal holds the pairing code"
    );
    Ok(Identity {
        machine_id: state(&format!("{etc}/machine-id"))?,
        host_key: state(&format!("{etc}/ssh/ssh_host_ed25519_key.pub"))?,
        overlord: journal["overlord"].to_string(),
    })
}

/// Started by a legacy BIOS, that is MBR and GRUB, from the very disk that UEFI
/// starts in the other tests: what pairs does not know what started it. The later
/// boot shows that nothing of the first took away what a BIOS starts.
fn pairs_in_one_boot_and_later_needs_nobody(work: &Path) -> anyhow::Result<()> {
    let rehearsal = written_for(Firmware::Bios, demo(), work)?;
    let disk = rehearsal.disk();
    let built = in_front_of_the_partitions(&disk)?;
    ensure!(built.iter().any(|b| *b != 0), "nothing that a BIOS starts");
    rehearsal.install()?;
    let booted = rehearsal.first_boot()?;
    ensure!(booted.timeline.has(Milestone::PairedWithPalette));
    let events = rehearsal.events();
    booted.power_off()?;
    ensure!(
        in_front_of_the_partitions(&disk)? == built,
        "the first boot changed what a BIOS starts"
    );
    first_boot_made_every_partition(&disk)?;
    pods_are_confined(&disk)?;
    no_secret_was_told(work, &events)?;
    let first = identity(&disk)?;
    ensure!(
        !first.machine_id.is_empty() && !first.host_key.is_empty(),
        "{first:?}"
    );

    let alone = rehearsal.without_site();
    let booted = alone.later_boot()?;
    booted.power_off()?;
    let later = identity(&disk)?;
    ensure!(first == later, "identity changed: {first:?} {later:?}");
    no_secret_stays_on(&disk)
}

/// systemd-repart left what the image brought as it was, and added the rest.
fn first_boot_made_every_partition(disk: &Path) -> anyhow::Result<()> {
    let (_, raw) = Artifacts::open(demo())?
        .get(Kind::Raw)
        .map(|(found, path)| (found.path.clone(), path))
        .context("the demo has a raw disk")?;
    let places = |disk: &Path| {
        let table = postern::disk::inspect(&mut fs::File::open(disk)?)?;
        let places = table
            .partitions
            .iter()
            .map(|p| (p.role(), p.offset, p.size));
        anyhow::Ok(places.collect::<Vec<_>>())
    };
    let (built, found) = (places(&raw)?, places(disk)?);
    ensure!(found.starts_with(&built), "{built:?} became {found:?}");
    let added: Vec<_> = found[built.len()..]
        .iter()
        .map(|(role, ..)| *role)
        .collect();
    ensure!(added == Role::AT_FIRST_BOOT.map(Some), "added: {added:?}");
    Ok(())
}

/// A pod's program runs under containerd's profile, and what that denies fails.
fn pods_are_confined(disk: &Path) -> anyhow::Result<()> {
    let started = read_from_disk(disk, "state", "/lib/rancher/k3s/stand-in/started.json")?;
    let started: serde_json::Value = serde_json::from_slice(&started)?;
    let found = &started["pod-confinement"];
    let expected = serde_json::json!({
        "profile": "cri-containerd.apparmor.d (enforce)",
        "denied": true,
    });
    ensure!(*found == expected, "pods are confined like this: {found}");
    Ok(())
}

/// The plug is pulled as soon as the machine says where it is; the next boot
/// picks it up and comes one milestone further.
fn power_cuts_on_the_way_end_in_one_gateway(work: &Path) -> anyhow::Result<()> {
    let rehearsal = written(work)?;
    rehearsal.install()?;
    for milestones in [
        &[Milestone::RootVerified][..],
        // What cloud-init wrote is not synced by itself, and is not fetched again. In
        // the first boot that lasts so long: it ends before or after the machine is
        // configured, and only once.
        &[Milestone::CloudInitOff],
        // `online` follows in the same moment: it is cut as a process (`agent.rs`).
        &[Milestone::Configured],
        &[Milestone::ClusterReady],
        &[Milestone::PreflightOk],
        // Palette has acted, and whether the machine knows is a matter of moments.
        &[Milestone::ManifestsApplied, Milestone::PairedWithPalette],
        &[Milestone::Registered],
        &[Milestone::Healthy],
    ] {
        let name = format!("{:?}", milestones[0]);
        let booted = rehearsal.boot(&name, milestones)?;
        let lost = booted.agent.iter().find(|l| l.contains("unreadable"));
        ensure!(lost.is_none(), "cut before {name}: {lost:?}");
        booted.cut_power()?;
    }
    rehearsal
        .boot("last", &Milestone::LATER_BOOT)?
        .power_off()?;
    let kept = identity(&rehearsal.disk())?;
    ensure!(
        !kept.machine_id.is_empty() && !kept.host_key.is_empty(),
        "cut off: {kept:?}"
    );
    let events = rehearsal.events();
    let registered = "/register answered 204";
    let times = events.iter().filter(|e| e.contains(registered)).count();
    ensure!(times == 1, "registered {times} times: {events:#?}");
    Ok(())
}

/// No block of the used disk still says what paired it, in a file or out of one.
fn no_secret_stays_on(disk: &Path) -> anyhow::Result<()> {
    let mut file = fs::File::open(disk)?;
    let table = postern::disk::inspect(&mut file)?;
    for (secret, value) in [("MAAS' key", TOKEN), ("the pairing code", PAIRING_CODE)] {
        for partition in &table.partitions {
            let range = (partition.offset, partition.size);
            let found = places(&mut file, range, value.as_bytes())?;
            let label = &partition.label;
            ensure!(
                found.is_none(),
                "{secret} is still on {label}, at {found:?}"
            );
        }
    }
    Ok(())
}

/// The first place of `needle` in these bytes of a disk, from their start.
fn places(
    file: &mut fs::File,
    (start, size): (u64, u64),
    needle: &[u8],
) -> anyhow::Result<Option<u64>> {
    const STEP: usize = 1 << 20;
    let mut at = 0;
    let mut window = Vec::new();
    while at < size {
        file.seek(SeekFrom::Start(start + at))?;
        window.clear();
        let length = (STEP + needle.len()) as u64;
        Read::take(&mut *file, length.min(size - at)).read_to_end(&mut window)?;
        if let Some(found) = memchr::memmem::find(&window, needle) {
            return Ok(Some(at + found as u64));
        }
        at += STEP as u64;
    }
    Ok(None)
}

/// The boot code of the first sector, and what lies between the partition
/// table and the first partition.
fn in_front_of_the_partitions(disk: &Path) -> anyhow::Result<Vec<u8>> {
    let table = postern::disk::inspect(&mut fs::File::open(disk)?)?;
    let first = table.partitions.iter().map(|p| p.offset).min();
    let mut bytes = vec![0; usize::try_from(first.context("partitions")?)?];
    fs::File::open(disk)?.read_exact(&mut bytes)?;
    bytes.drain(BootArea::CODE..usize::try_from(BootArea::BEHIND_TABLE)?);
    Ok(bytes)
}

/// Nothing that a person or a log collector reads holds a secret.
fn no_secret_was_told(work: &Path, events: &[String]) -> anyhow::Result<()> {
    let mut output = events.join("\n");
    for log in ["install-console.log", "first-console.log"] {
        output.push_str(&String::from_utf8_lossy(&fs::read(work.join(log))?));
    }
    for secret in [PAIRING_CODE, postern::rehearse::site::PROXY_LOGIN.1, TOKEN] {
        ensure!(!output.contains(secret), "`{secret}` was shown");
    }
    Ok(())
}

/// Changes bytes in the middle of the partition `label`.
fn damage(disk: &PathBuf, label: &str) -> anyhow::Result<()> {
    let table = postern::disk::inspect(&mut fs::File::open(disk)?)?;
    let partition = table
        .partitions
        .iter()
        .find(|p| p.label == label)
        .context("partition")?;
    let mut file = fs::OpenOptions::new().write(true).open(disk)?;
    // The first block: read at every boot, so the test need not guess what is.
    file.seek(SeekFrom::Start(partition.offset + 64))?;
    file.write_all(b"tampered")?;
    Ok(())
}

fn a_tampered_root_is_refused(work: &Path) -> anyhow::Result<()> {
    let rehearsal = written(work)?;
    damage(&rehearsal.disk(), "root-a")?;
    let milestones = [Milestone::Kernel, Milestone::RootVerified];
    let Err(error) = rehearsal.boot("tampered", &milestones) else {
        anyhow::bail!("a machine with a tampered root booted");
    };
    let message = format!("{error:#}");
    ensure!(
        message.contains("verity"),
        "it ended for another reason: {message}"
    );
    Ok(())
}

fn a_damaged_disk_fails_the_installation(work: &Path) -> anyhow::Result<()> {
    let rehearsal = written(work)?;
    damage(&rehearsal.disk(), "root-a-verity")?;
    let Err(error) = rehearsal.install() else {
        anyhow::bail!("the hook passed a damaged disk");
    };
    let message = format!("{error:#}");
    ensure!(
        message.contains("root-a-verity") && message.contains("manifest"),
        "{message}"
    );
    Ok(())
}

/// As far as what Ubuntu's way through the builder decides: loaders, kernel
/// image, initrd, verified root. One disk in a machine with UEFI and then in one
/// with a BIOS: by then systemd-boot has renamed the kernel image.
fn an_ubuntu_shaped_image_boots(work: &Path) -> anyhow::Result<()> {
    network::loopback_up()?;
    let image = World::with(Vec::new())?.build_into(&work.join("dist"))?;
    let rehearsal = written_from(&image, work)?;
    let milestones = [Milestone::Kernel, Milestone::RootVerified];
    for firmware in [Firmware::Uefi, Firmware::Bios] {
        let name = format!("ubuntu-{firmware}");
        let booted = rehearsal.boot_by(firmware, &name, &milestones)?;
        booted.cut_power()?;
    }
    Ok(())
}
