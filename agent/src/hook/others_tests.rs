use gptman::GPT;

use super::super::fixture::{LAYOUT, image};
use super::super::gpt::SECTOR as UNIT;
use super::*;

/// Disks of a machine, as sysfs and `/dev` show them.
struct Machine {
    dir: tempfile::TempDir,
    kernel: Kernel,
}

const ESP: [u8; 16] = *b"\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b";

impl Machine {
    fn new(uefi: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let at = |name: &str| root.join(name);
        for name in ["dev", "sys/block", "sys/devices"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        if uefi {
            fs::create_dir_all(at("sys/firmware/efi")).unwrap();
        }
        let kernel = Kernel {
            mountinfo: at("mountinfo"),
            sys: at("sys"),
            dev: at("dev"),
        };
        Self { dir, kernel }
    }

    /// Adds a disk with `content`, with partitions where the image has them;
    /// `files` are further files of sysfs.
    fn with(self, name: &str, content: &[u8], files: &[(&str, &[u8])]) -> Self {
        let dir = self.kernel.sys.join("devices").join(name);
        let put = |path: PathBuf, bytes: &[u8]| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        let text = |path: &str, text: String| put(dir.join(path), text.as_bytes());
        text("size", format!("{}\n", content.len() / 512));
        text("uevent", format!("DEVNAME={name}\n"));
        for (n, (offset, size)) in (1..).zip(LAYOUT) {
            text(&format!("p{n}/partition"), format!("{n}\n"));
            text(&format!("p{n}/start"), format!("{}\n", offset / 512));
            text(&format!("p{n}/size"), format!("{}\n", size / 512));
            text(&format!("p{n}/uevent"), format!("DEVNAME={name}p{n}\n"));
        }
        for (file, bytes) in files {
            put(dir.join(file), bytes);
        }
        put(self.kernel.dev.join(name), content);
        let link = self.kernel.sys.join("block").join(name);
        std::os::unix::fs::symlink(&dir, link).unwrap();
        self
    }

    /// The warnings where the image is on `own`, and these ESPs have a loader.
    fn warned(&self, own: &str, config: &str, loaders: &[&str]) -> Vec<String> {
        let (_, manifest) = image();
        let own = Disk {
            node: self.kernel.dev.join(own),
            logical_sector: 512,
            partitions: Vec::new(),
            seed: 4,
        };
        let has_loader = |node: &Path| -> io::Result<bool> {
            let name = node.file_name().unwrap().to_string_lossy();
            Ok(loaders.contains(&&*name))
        };
        let probe = SystemProbe {
            kernel: &self.kernel,
            has_loader: &has_loader,
        };
        let root = fs::canonicalize(self.dir.path()).unwrap();
        let found = warnings(&own, &manifest, config, probe).unwrap();
        let short = |line: String| line.replace(&format!("{}/", root.display()), "/");
        found.into_iter().map(short).collect()
    }
}

const DEVICE: (&str, &[u8]) = ("device/model", b"m\n");

/// Another image than the one that was written, with an ESP.
fn another() -> Vec<u8> {
    let (bytes, _) = image();
    let mut disk = io::Cursor::new(bytes);
    let mut table = GPT::read_from(&mut disk, UNIT).unwrap();
    table.header.disk_guid = [0x77; 16];
    table[1].partition_type_guid = ESP;
    table.write_into(&mut disk).unwrap();
    disk.into_inner()
}

fn blank() -> Vec<u8> {
    vec![0; 1 << 20]
}

#[test]
fn one_disk_alone_needs_no_words() {
    let machine = Machine::new(true).with("vda", &image().0, &[DEVICE]);
    let config = r#"{"storage": {"config": [{"type": "disk", "grub_device": true}]}}"#;
    assert_eq!(machine.warned("vda", config, &[]), [""; 0]);
    assert_eq!(machine.warned("vda", "{}", &[]), [""; 0]);
    assert_eq!(machine.warned("vda", "no json", &[]), [""; 0]);
}

#[test]
fn a_stale_esp_is_told_where_uefi_starts_the_machine() {
    let machine = |uefi| {
        Machine::new(uefi)
            .with("sda", &another(), &[DEVICE])
            .with("sdb", &image().0, &[DEVICE])
            .with("sdc", &blank(), &[DEVICE])
    };
    let found = machine(true).warned("sdb", "{}", &["sdap1", "sdap2"]);
    assert_eq!(
        found,
        [
            "/dev/sdap1 is an EFI system partition with EFI/BOOT/BOOTX64.EFI: MAAS' local boot may start it and not /dev/sdb; erase that disk (release the machine with erasing)"
        ]
    );
    assert_eq!(machine(true).warned("sdb", "{}", &[]), [""; 0]);
    let found = machine(false).warned("sdb", "{}", &["sdap1"]);
    assert_eq!(
        found,
        [
            "/dev/sda has boot code: a BIOS whose first disk it is starts it and not /dev/sdb; change the order of disks, or erase that disk"
        ]
    );
}

#[test]
fn the_same_image_on_a_second_disk_is_told() {
    let machine = Machine::new(true)
        .with("nvme0n1", &image().0, &[DEVICE])
        .with("nvme1n1", &image().0, &[DEVICE]);
    let found = machine.warned("nvme1n1", "{}", &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("/dev/nvme0n1 holds this image too"),
        "{found:?}"
    );
}

#[test]
fn what_is_no_disk_of_its_own_or_cannot_be_read_is_left_out() {
    let machine = Machine::new(false)
        .with("vda", &image().0, &[DEVICE])
        .with("loop0", &image().0, &[])
        .with("sr0", &[], &[DEVICE])
        .with("sdb", &another()[..100 * 512], &[DEVICE]);
    fs::remove_file(machine.kernel.dev.join("sdb")).unwrap();
    assert_eq!(machine.warned("vda", "{}", &[]), [""; 0]);
}

#[test]
fn the_disk_that_maas_chose_is_compared_by_its_serial_number() {
    let config = |serial: &str| {
        format!(
            r#"{{"storage": {{"config": [
                {{"type": "disk", "serial": "DATA"}},
                {{"type": "partition", "grub_device": true, "serial": "P"}},
                {{"type": "disk", "grub_device": true, {serial}}}]}}}}"#
        )
    };
    let virtio: (&str, &[u8]) = ("serial", b"S1");
    let nvme: (&str, &[u8]) = ("device/serial", b"S1   \n");
    let scsi: (&str, &[u8]) = ("device/vpd_pg80", b"\0\x80\0\x06    S1");
    for (name, serial) in [("vda", virtio), ("nvme0n1", nvme), ("sda", scsi)] {
        let machine = Machine::new(true)
            .with(name, &image().0, &[DEVICE, serial])
            .with("vdz", &blank(), &[DEVICE]);
        for same in ["S1", "0QEMU_HARDDISK_S1"] {
            let config = config(&format!(r#""serial": "{same}""#));
            assert_eq!(machine.warned(name, &config, &[]), [""; 0], "{name} {same}");
        }
        let found = machine.warned(name, &config(r#""serial": "S2""#), &[]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("serial number S2"), "{found:?}");
        assert!(
            found[0].contains(&format!("/dev/{name} with S1")),
            "{found:?}"
        );
    }
}

#[test]
fn disks_without_a_serial_number_are_told_if_there_is_a_choice() {
    let config =
        r#"{"storage": {"config": [{"type": "disk", "grub_device": true, "path": "/dev/vdb"}]}}"#;
    let one = Machine::new(true).with("vda", &image().0, &[DEVICE, ("serial", b"")]);
    assert_eq!(one.warned("vda", config, &[]), [""; 0]);
    let two = one.with("vdb", &blank(), &[DEVICE]);
    let found = two.warned("vda", config, &[]);
    assert_eq!(
        found,
        [
            "MAAS knows no serial number of the disk it boots from, so the image went to the first of 2 disks, /dev/vda; give the machine's disks serial numbers and commission it again"
        ]
    );
    // MAAS has one, the disk shows none: nothing to compare.
    let known = config.replace("path", "serial");
    assert_eq!(two.warned("vda", &known, &[]), [""; 0]);
}
