//! Which version the real boot loaders start: systemd-boot and GRUB as they are on
//! the demo's disk, each with a version 1 that is good and a version 2 on trial that
//! fails in some way. Other builds of systemd-boot are judged by
//! `POSTERN_LOADERS=DIR cargo nextest run … --run-ignored only`, where DIR has them.
//!
//! A version is a kernel with [`bare-init`](../../sim/src/bin/bare-init.rs) as its only
//! program. Not tried here: Secure Boot, and a firmware that ignores renamed files.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use fs_err as fs;
use postern::artifact::{Artifacts, Kind};
use postern::boot::{Firmware, Uki, bios, esp};
use postern::rehearse::{accelerator::Accelerator, qemu};
use postern_contract::host::Command;
use postern_contract::partitions::Role;
use postern_e2e::{demo, program};

/// What UEFI for virtual machines prints when it has nothing left to start.
const FIRMWARE_STANDS: [&str; 2] = ["Shell>", "No bootable option"];

/// How version 2 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Second {
    Good,
    Panics,
    Truncated,
    Empty,
}

/// A disk with loaders and versions, in a directory of its own.
struct Machine {
    dir: tempfile::TempDir,
    firmware: Firmware,
    esp_offset: u64,
}

impl Machine {
    /// The demo's disk with other versions on it; `loader` is a systemd-boot in
    /// place of the demo's own.
    fn new(firmware: Firmware, second: Second, loader: Option<&Path>) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let image = Artifacts::open(demo())?;
        let (_, raw) = image.get(Kind::Raw).context("the demo has a raw disk")?;
        let disk = dir.path().join("disk");
        Command::new("cp")
            .arg("--sparse=always")
            .arg(raw)
            .arg(&disk)
            .run()?;
        let table = postern::disk::inspect(&mut fs::File::open(&disk)?)?;
        let esp_offset = table.partition(Role::Esp).context("an ESP")?.offset;
        let machine = Self {
            dir,
            firmware,
            esp_offset,
        };
        let uki = Uki::read(&machine.taken(&format!("EFI/Linux/{}", machine.only_uki()?))?)?;
        machine.mtool("mdel", &["::EFI/Linux/*", "::loader/*"])?;
        let first = version(&uki, "1", "good")?;
        for (path, content) in esp::files(
            ("edge", "1"),
            match loader {
                Some(loader) => fs::read(loader)?,
                None => machine.taken("EFI/BOOT/BOOTX64.EFI")?,
            },
            first.clone(),
            bios::esp_files(&first, "edge_1")?,
        ) {
            machine.put(&path, &content)?;
        }
        machine.put_second(&uki, second)?;
        Ok(machine)
    }

    /// Lays version 2 beside the first as an update does: on trial.
    fn put_second(&self, uki: &Uki, second: Second) -> anyhow::Result<()> {
        let end = match second {
            Second::Panics => "bad",
            Second::Good | Second::Truncated | Second::Empty => "good",
        };
        let whole = version(uki, "2", end)?;
        let written = match second {
            Second::Truncated => &whole[..whole.len() / 2],
            Second::Empty => &[],
            _ => &whole[..],
        };
        self.put("EFI/Linux/edge_2+1.efi", written)?;
        let script = "loader/edge_2.cfg";
        let files = bios::esp_files(&whole, "edge_2")?;
        let (_, content) = files
            .iter()
            .find(|(path, _)| path == script)
            .context("a script")?;
        self.put(script, content)?;
        let mut block = b"# GRUB Environment Block\ngood=edge_1\nnext=edge_2\ntries=1\n".to_vec();
        block.resize(1024, b'#');
        self.put("loader/grubenv", &block)
    }

    fn disk(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    fn mtool(&self, program: &str, args: &[&str]) -> anyhow::Result<String> {
        let image = format!("{}@@{}", self.disk().display(), self.esp_offset);
        let tool = Command::new(program).env("MTOOLS_SKIP_CHECK", "1");
        let output = tool.args(["-i", &image]).args(args).run()?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    fn put(&self, path: &str, content: &[u8]) -> anyhow::Result<()> {
        let file = self.dir.path().join("file");
        fs::write(&file, content)?;
        let file = file.to_string_lossy();
        self.mtool("mcopy", &["-o", "-D", "o", &file, &format!("::{path}")])?;
        Ok(())
    }

    fn taken(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let file = self.dir.path().join("file");
        self.mtool(
            "mcopy",
            &["-n", "-o", &format!("::{path}"), &file.to_string_lossy()],
        )?;
        Ok(fs::read(file)?)
    }

    /// The names of the UKIs on the ESP.
    fn ukis(&self) -> anyhow::Result<Vec<String>> {
        let listing = self.mtool("mdir", &["-b", "::EFI/Linux"])?;
        let names = listing.lines().filter_map(|line| line.rsplit_once('/'));
        let mut names: Vec<_> = names.map(|(_, name)| name.to_owned()).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn only_uki(&self) -> anyhow::Result<String> {
        self.ukis()?.pop().context("the demo has a UKI")
    }

    /// Runs it until it switches itself off, through all its restarts; which versions
    /// were started, in order. What systemd-boot before 258 cannot load, it gives back
    /// to the firmware; one that then stands costs a power cycle, which it gets.
    fn started(&self) -> anyhow::Result<Vec<String>> {
        let mut console = self.powered_on()?;
        if FIRMWARE_STANDS.iter().any(|words| console.contains(words)) {
            console += &self.powered_on()?;
        }
        eprintln!("{console}");
        let lines = console
            .lines()
            .filter_map(|line| line.split_once("started: "));
        let words = lines.filter_map(|(_, words)| words.split_whitespace().nth(1));
        Ok(words.map(ToOwned::to_owned).collect())
    }

    /// What it prints until it is off, or its firmware waits for a person.
    fn powered_on(&self) -> anyhow::Result<String> {
        let drive = format!("file={},format=raw,if=virtio", self.disk().display());
        let mut qemu = Command::new("qemu-system-x86_64")
            .args([
                "-machine",
                "q35",
                "-m",
                "512",
                "-display",
                "none",
                "-nodefaults",
            ])
            .args(Accelerator::of_this_machine().arguments())
            .args(["-drive", &drive, "-serial", "chardev:console"])
            .args(["-chardev", "stdio,id=console,signal=off"]);
        if self.firmware == Firmware::Uefi {
            let (code, _) = qemu::firmware()?;
            let vars = qemu::fresh_vars(self.dir.path())?;
            let flash = "if=pflash,format=raw";
            qemu = qemu
                .args([
                    "-drive",
                    &format!("{flash},readonly=on,file={}", code.display()),
                ])
                .args(["-drive", &format!("{flash},file={}", vars.display())]);
        }
        let mut child = qemu.spawn(Stdio::null(), Stdio::piped(), Stdio::inherit())?;
        let mut output = child.stdout.take().context("it is piped")?;
        let mut machine = qemu::RunningMachine::new(child);
        let (mut console, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            let count = output.read(&mut chunk)?;
            console.extend(&chunk[..count]);
            let text = String::from_utf8_lossy(&console);
            if count == 0 || FIRMWARE_STANDS.iter().any(|words| text.contains(words)) {
                machine.cut()?;
                return Ok(text.into_owned());
            }
        }
    }
}

/// A UKI of the kernel of `demo` that prints `number` and ends as `end` says.
fn version(demo: &Uki, number: &str, end: &str) -> anyhow::Result<Vec<u8>> {
    let release = [
        "ID=debian",
        "NAME=edge",
        "PRETTY_NAME=edge",
        "IMAGE_ID=edge",
        &format!("IMAGE_VERSION={number}\n"),
    ];
    let uki = Uki {
        os_release: release.join("\n"),
        cmdline: format!("console=ttyS0 quiet panic=1 -- {end} {number}"),
        uname: demo.uname.clone(),
        initrd: archive("init", &fs::read(program("bare-init"))?),
        linux: demo.linux.clone(),
    };
    let stub = fs::read("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")?;
    Ok(uki.write(&stub)?)
}

/// A cpio archive of one program (Linux, `buffer-format.rst`, "newc").
fn archive(name: &str, program: &[u8]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, mode, content) in [(name, 0o100_755, program), ("TRAILER!!!", 0, &[])] {
        let fields = [
            1,
            mode,
            0,
            0,
            1,
            0,
            content.len(),
            0,
            0,
            0,
            0,
            name.len() + 1,
            0,
        ];
        archive.extend(b"070701");
        archive.extend(
            fields
                .iter()
                .flat_map(|field| format!("{field:08x}").into_bytes()),
        );
        for part in [format!("{name}\0").as_bytes(), content] {
            archive.extend(part);
            archive.resize(archive.len().next_multiple_of(4), 0);
        }
    }
    archive
}

/// What each start of the machine must start, power-on by power-on, and the names
/// of the UKIs in the end.
type Row = (
    Second,
    &'static [&'static [&'static str]],
    &'static [&'static str],
);

/// Judges all rows at once: a machine waits for nothing but its own programs.
fn judge(firmware: Firmware, rows: &[Row], loader: Option<&Path>) -> anyhow::Result<()> {
    demo();
    std::thread::scope(|scope| {
        let machines: Vec<_> = rows
            .iter()
            .map(|row| scope.spawn(move || judge_row(firmware, row, loader)))
            .collect();
        machines
            .into_iter()
            .try_for_each(|machine| machine.join().expect("no row panics"))
    })
}

fn judge_row(
    firmware: Firmware,
    (second, starts, names): &Row,
    loader: Option<&Path>,
) -> anyhow::Result<()> {
    let machine = Machine::new(firmware, *second, loader)?;
    for expected in *starts {
        let started = machine.started()?;
        ensure!(
            started == *expected,
            "{firmware}, version 2 {second:?}: started {started:?}, not {expected:?}"
        );
    }
    let found = machine.ukis()?;
    ensure!(
        found == *names,
        "{firmware}, {second:?}: UKIs are {found:?}"
    );
    Ok(())
}

/// The first version counts nothing down, however often it is started; a second that
/// fails costs one start; one that nobody calls good is started once.
const UEFI: [Row; 4] = [
    (
        Second::Panics,
        &[&["2", "1"]],
        &["edge_1.efi", "edge_2+0-1.efi"],
    ),
    (
        Second::Truncated,
        &[&["1"]],
        &["edge_1.efi", "edge_2+0-1.efi"],
    ),
    (Second::Empty, &[&["1"]], &["edge_1.efi", "edge_2+1.efi"]),
    (
        Second::Good,
        &[&["2"], &["1"]],
        &["edge_1.efi", "edge_2+0-1.efi"],
    ),
];

/// The same of GRUB, which renames nothing and counts in its environment block.
const BIOS: [Row; 3] = [
    (
        Second::Panics,
        &[&["2", "1"]],
        &["edge_1.efi", "edge_2+1.efi"],
    ),
    (
        Second::Truncated,
        &[&["1"]],
        &["edge_1.efi", "edge_2+1.efi"],
    ),
    (
        Second::Good,
        &[&["2"], &["1"]],
        &["edge_1.efi", "edge_2+1.efi"],
    ),
];

#[test]
fn systemd_boot_comes_back_from_a_version_that_fails() {
    judge(Firmware::Uefi, &UEFI, None).unwrap();
}

#[test]
fn grub_comes_back_from_a_version_that_fails() {
    judge(Firmware::Bios, &BIOS, None).unwrap();
}

#[test]
#[ignore = "POSTERN_LOADERS must name a directory of other builds"]
#[expect(clippy::disallowed_methods, reason = "a test's own input")]
fn so_do_other_builds_of_systemd_boot() {
    let dir = std::env::var("POSTERN_LOADERS").unwrap();
    for loader in fs::read_dir(dir).unwrap() {
        let loader = loader.unwrap().path();
        eprintln!("{}", loader.display());
        judge(Firmware::Uefi, &UEFI, Some(&loader)).unwrap();
    }
}
