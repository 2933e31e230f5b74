use super::*;
use tempfile::TempDir;

/// A machine's `/sys`, `/dev` and mount table with one disk of four partitions.
struct Machine {
    dir: TempDir,
    kernel: Kernel,
    target: PathBuf,
}

const MIB: u64 = 1 << 20;

impl Machine {
    fn with_disk(disk: &str, infix: &str) -> Self {
        Self::with_partitions(disk, infix, 4)
    }

    /// The last of `count` partitions is the seed.
    fn with_partitions(disk: &str, infix: &str, count: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        let target = root.join("the target");
        let sys = root.join("sys");
        // sysfs has `!` where a name has a slash.
        let (shown, slashed) = (disk, disk.replace('!', "/"));
        let disk_dir = sys.join("devices/pci0000:00/ata1/block").join(shown);
        fs::create_dir_all(disk_dir.join("queue")).unwrap();
        fs::create_dir_all(disk_dir.join("power")).unwrap();
        fs::create_dir_all(sys.join("dev/block")).unwrap();
        fs::create_dir_all(&target).unwrap();
        let put = |path: PathBuf, text: String| fs::write(path, text).unwrap();
        put(disk_dir.join("queue/logical_block_size"), "512\n".into());
        put(disk_dir.join("uevent"), format!("DEVNAME={slashed}\n"));
        for n in 1..=count {
            let name = format!("{disk}{infix}{n}");
            let part = disk_dir.join(&name);
            fs::create_dir(&part).unwrap();
            put(part.join("partition"), format!("{n}\n"));
            put(part.join("start"), format!("{}\n", 2048 * n));
            put(part.join("size"), "2048\n".into());
            put(
                part.join("uevent"),
                format!("MAJOR=259\nMINOR={n}\nDEVNAME={slashed}{infix}{n}\nDEVTYPE=partition\n"),
            );
            std::os::unix::fs::symlink(&part, sys.join(format!("dev/block/259:{n}"))).unwrap();
        }
        let mountinfo = root.join("mountinfo");
        let point = target.display().to_string().replace(' ', "\\040");
        put(
            mountinfo.clone(),
            format!(
                "22 1 0:20 / / rw shared:1 - overlay overlayroot rw\n\
                 90 22 259:{count} / {point} rw,relatime shared:9 - ext4 /dev/{disk}{infix}{count} rw\n"
            ),
        );
        let dev = root.join("dev");
        let kernel = Kernel {
            mountinfo,
            sys,
            dev,
        };
        Self {
            dir,
            kernel,
            target,
        }
    }
}

fn seed_partition(label: &str, n: u64) -> SeedPartition {
    SeedPartition {
        label: label.into(),
        guid: uuid::Uuid::nil(),
        offset: n * MIB,
        size: MIB,
        sha256: None,
    }
}

#[test]
fn finds_the_disk_whatever_it_is_called() {
    for (name, infix) in [
        ("sda", ""),
        ("nvme0n1", "p"),
        ("vda", ""),
        ("loop0", "p"),
        ("mmcblk0", "p"),
    ] {
        let machine = Machine::with_disk(name, infix);
        let disk = Disk::holding(&machine.target, &machine.kernel).unwrap();
        assert_eq!(disk.node, machine.kernel.dev.join(name));
        assert_eq!(disk.seed, 4);
        assert_eq!(disk.logical_sector, 512);
        assert_eq!(disk.partitions.len(), 4);
        let root = disk.partition(&seed_partition("root-a", 2)).unwrap();
        assert_eq!(
            root.node,
            machine.kernel.dev.join(format!("{name}{infix}2"))
        );
        disk.check_seed(&machine.target, &seed_partition("seed", 4))
            .unwrap();
    }
}

#[test]
fn finds_a_partition_whose_number_has_two_digits() {
    for (name, infix, node) in [
        ("sda", "", "sda"),
        ("sdaa", "", "sdaa"),
        ("nvme10n2", "p", "nvme10n2"),
        ("vdb", "", "vdb"),
        ("xvda", "", "xvda"),
        ("mmcblk1", "p", "mmcblk1"),
        ("loop12", "p", "loop12"),
        ("cciss!c0d0", "p", "cciss/c0d0"),
    ] {
        let machine = Machine::with_partitions(name, infix, 12);
        let disk = Disk::holding(&machine.target, &machine.kernel).unwrap();
        assert_eq!(disk.node, machine.kernel.dev.join(node));
        assert_eq!(disk.seed, 12);
        let numbers: Vec<_> = disk.partitions.iter().map(|p| p.number).collect();
        assert_eq!(numbers, Vec::from_iter(1..=12), "by number, not by name");
        let seed = disk.partition(&seed_partition("seed", 12)).unwrap();
        assert_eq!(
            seed.node,
            machine.kernel.dev.join(format!("{node}{infix}12"))
        );
        disk.check_seed(&machine.target, &seed_partition("seed", 12))
            .unwrap();
    }
}

#[test]
fn notices_that_another_partition_is_mounted() {
    let machine = Machine::with_disk("sda", "");
    let disk = Disk::holding(&machine.target, &machine.kernel).unwrap();
    let error = disk
        .check_seed(&machine.target, &seed_partition("seed", 3))
        .unwrap_err();
    assert!(matches!(error, DiskError::NotTheSeed { found: 4, .. }));
}

#[test]
fn notices_an_old_partition_table_in_the_kernel() {
    let machine = Machine::with_disk("sda", "");
    let disk = Disk::holding(&machine.target, &machine.kernel).unwrap();
    let error = disk.partition(&seed_partition("root-a", 9)).unwrap_err();
    assert!(error.to_string().contains("root-a"), "{error}");
    assert!(error.to_string().contains("deploy again"), "{error}");
}

#[test]
fn refuses_a_target_that_is_no_partition() {
    let machine = Machine::with_disk("sda", "");
    let text = fs::read_to_string(&machine.kernel.mountinfo).unwrap();
    fs::write(&machine.kernel.mountinfo, text.replace("259:4", "253:0")).unwrap();
    let error = Disk::holding(&machine.target, &machine.kernel).unwrap_err();
    assert!(error.to_string().contains("253:0"), "{error}");
    assert!(matches!(error, DiskError::NotAPartition { .. }));
}

#[test]
fn refuses_a_target_that_is_not_mounted() {
    let machine = Machine::with_disk("sda", "");
    let other = machine.dir.path().join("other");
    fs::create_dir(&other).unwrap();
    let error = Disk::holding(&other, &machine.kernel).unwrap_err();
    assert!(matches!(error, DiskError::NotMounted(_)), "{error}");
}

#[test]
fn a_damaged_sysfs_value_names_its_file() {
    let machine = Machine::with_disk("sda", "");
    let link = machine.kernel.sys.join("dev/block/259:2");
    fs::write(link.join("start"), "many\n").unwrap();
    let error = Disk::holding(&machine.target, &machine.kernel).unwrap_err();
    assert!(error.to_string().contains("sda2/start"), "{error}");
}
