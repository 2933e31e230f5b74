use super::*;
use crate::disk::layout::tests::identity;
use crate::disk::{Backup, Bytes, Sizes, Table, inspect};
use crate::extent::Reader;
use postern_contract::host::Command;
use std::fmt::Write as _;

/// Images of odd sizes, with holes, and the disk made of them.
struct Case {
    dir: tempfile::TempDir,
    layout: Layout,
    images: Images,
}

fn case() -> Case {
    let dir = tempfile::tempdir().unwrap();
    let image = |name: &str, size: u64, fill: u8| {
        let path = dir.path().join(name);
        let file = fs::File::create(&path).unwrap();
        file.set_len(size).unwrap();
        file.write_all_at(&[fill; 3000], size / 2).unwrap();
        path
    };
    let images = Images {
        esp: image("esp", 40 << 20, 1),
        root: image("root", (5 << 20) + 4096, 2),
        verity: image("verity", 12288, 3),
        seed: image("seed", 8 << 20, 4),
        boot: Some(BootArea::new([0x90; BootArea::CODE], &[0xb1; 5000]).unwrap()),
    };
    let size = |path: &Path| Bytes(fs::metadata(path).unwrap().len());
    let sizes = Sizes {
        esp: size(&images.esp),
        root: size(&images.root),
        verity: size(&images.verity),
        seed: size(&images.seed),
        first_boot: Bytes(2 << 30),
    };
    let layout = Layout::plan(&identity(), &sizes).unwrap();
    Case {
        dir,
        layout,
        images,
    }
}

impl Case {
    fn raw(&self) -> PathBuf {
        let path = self.dir.path().join("disk.raw");
        let disk = Disk::assemble(&self.layout, &self.images).unwrap();
        disk.write(&path).unwrap();
        path
    }
}

#[test]
fn sfdisk_reads_the_table_we_mean() {
    let case = case();
    let raw = case.raw();
    let output = Command::new("sfdisk")
        .arg("--verify")
        .arg(&raw)
        .run()
        .unwrap();
    let output = String::from_utf8(output).unwrap();
    assert!(output.contains("No errors detected"), "{output}");
    let dump = Command::new("sfdisk").arg("-d").arg(&raw).run().unwrap();
    let dump = String::from_utf8(dump).unwrap();
    let upper = |uuid: uuid::Uuid| uuid.to_string().to_uppercase();
    let mut expected = format!("label-id: {}\n", upper(case.layout.disk_guid()));
    for slot in case.layout.slots() {
        writeln!(
            expected,
            "start={}, size={}, type={}, uuid={}, name=\"{}\"",
            slot.offset.sectors().0,
            slot.size.sectors().0,
            upper(slot.role.type_guid()),
            upper(slot.guid),
            slot.role.label(),
        )
        .unwrap();
    }
    let found: String = dump
        .lines()
        .filter(|l| l.starts_with("label-id") || l.contains(" : start"))
        .map(|l| l.split_once(" : ").map_or(l, |(_, rest)| rest))
        .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ") + "\n")
        .map(|l| l.replace("= ", "="))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn partx_sees_all_four() {
    let raw = case().raw_kept();
    let output = Command::new("partx")
        .args(["--show", "--noheadings", "--output", "NR,NAME"])
        .arg(raw.path().join("disk.raw"))
        .run()
        .unwrap();
    let output = String::from_utf8(output).unwrap();
    let fields: Vec<_> = output.split_whitespace().collect();
    assert_eq!(
        fields,
        ["1", "esp", "2", "root-a", "3", "root-a-verity", "4", "seed"]
    );
}

impl Case {
    fn raw_kept(self) -> tempfile::TempDir {
        self.raw();
        self.dir
    }
}

#[test]
fn the_raw_file_is_the_disk_and_sparse() {
    let case = case();
    let raw = fs::read(case.raw()).unwrap();
    let disk = Disk::assemble(&case.layout, &case.images).unwrap();
    let mut all = vec![0xff; raw.len()];
    disk.read_exact_at(&mut all, 0).unwrap();
    assert!(raw == all);
    assert_eq!(raw.len() as u64, case.layout.size().0);
    for slot in case.layout.slots() {
        let mut image = fs::read(case.images.of(slot.role).unwrap()).unwrap();
        image.resize(slot.size.0 as usize, 0);
        let from = slot.offset.0 as usize;
        assert!(raw[from..from + image.len()] == image, "{:?}", slot.role);
    }
    use std::os::unix::fs::MetadataExt;
    let used = fs::metadata(case.raw()).unwrap().blocks() * 512;
    assert!(used < 8 << 20, "{used} bytes on disk for {}", raw.len());
}

#[test]
fn the_same_inputs_give_the_same_disk() {
    let (one, two) = (case(), case());
    assert!(fs::read(one.raw()).unwrap() == fs::read(two.raw()).unwrap());
}

#[test]
fn an_image_too_large_for_its_partition_is_refused() {
    let case = case();
    let grow = fs::OpenOptions::new().write(true).open(&case.images.seed);
    grow.unwrap().set_len((8 << 20) + 1).unwrap();
    let error = Disk::assemble(&case.layout, &case.images).err().unwrap();
    assert!(matches!(
        error,
        DiskError::Room {
            role: Role::Seed,
            ..
        }
    ));
    fs::remove_file(&case.images.seed).unwrap();
    let error = Disk::assemble(&case.layout, &case.images).err().unwrap();
    let error = format!("{:#}", anyhow::Error::from(error));
    assert!(error.contains("/seed"), "{error}");
}

#[test]
fn the_seed_manifest_describes_the_disk_byte_by_byte() {
    let case = case();
    let Images { root, verity, .. } = &case.images;
    let areas = case.images.boot.as_ref().unwrap().described();
    let manifest =
        seed_manifest(&identity(), &case.layout, root, verity, areas, Vec::new()).unwrap();
    let raw = fs::read(case.raw()).unwrap();
    for area in &manifest.areas {
        let (from, size) = (area.offset as usize, area.size as usize);
        let found = Digest::of(&raw[from..from + size]);
        assert_eq!(area.sha256, found, "{}", area.label);
    }
    assert_eq!(manifest.areas.len(), 2);
    assert_eq!(manifest.disk_size, raw.len() as u64);
    let needed = raw.len() as u64 + (2 << 30);
    assert_eq!(manifest.needed_disk_size, Some(needed));
    let hashed: Vec<_> = manifest
        .partitions
        .iter()
        .filter_map(|p| {
            let (from, size) = (p.offset as usize, p.size as usize);
            let found = Digest::of(&raw[from..from + size]);
            p.sha256.as_ref().map(|expected| {
                assert_eq!(*expected, found, "{}", p.label);
                p.label.as_str()
            })
        })
        .collect();
    assert_eq!(hashed, ["root-a", "root-a-verity"]);
    assert_eq!(manifest.partitions.len(), 4);
}

/// systemd-repart discards what the table calls free: the loader's place must
/// not be free.
#[test]
fn the_table_does_not_offer_what_is_in_front_of_the_partitions() {
    let case = case();
    let dump = Command::new("sfdisk").arg("-d").arg(case.raw()).run();
    let dump = String::from_utf8(dump.unwrap()).unwrap();
    assert!(dump.contains("first-lba: 2048\n"), "{dump}");
    let raw = fs::read(case.raw()).unwrap();
    assert!(raw[..440].iter().all(|b| *b == 0x90));
    assert_eq!(raw[510..512], [0x55, 0xaa], "and still a protective MBR");
    let loader = BootArea::LOADER.bytes().0 as usize;
    assert!(raw[loader..loader + 5000].iter().all(|b| *b == 0xb1));
}

fn inspected(case: &Case) -> Table {
    let disk = Disk::assemble(&case.layout, &case.images).unwrap();
    inspect(&mut Reader::new(&disk)).unwrap()
}

#[test]
fn inspecting_gives_the_layout_back() {
    let case = case();
    let table = inspected(&case);
    assert_eq!(table.disk_guid, case.layout.disk_guid());
    assert_eq!(
        (table.size, table.backup),
        (case.layout.size().0, Backup::Good)
    );
    for slot in case.layout.slots() {
        let found = table.partition(slot.role).unwrap();
        assert_eq!((found.offset, found.size), (slot.offset.0, slot.size.0));
        assert_eq!(found.guid, slot.guid);
    }
}

#[test]
fn a_cut_or_damaged_disk_is_an_error() {
    let case = case();
    let mut raw = fs::read(case.raw()).unwrap();
    let read = |raw: &[u8]| inspect(&mut io::Cursor::new(raw));
    raw.resize(raw.len() + 512, 0);
    assert_eq!(read(&raw).unwrap().backup, Backup::Missing);
    let shorter = read(&raw[..20 << 20]).unwrap_err().to_string();
    assert!(shorter.contains("inside the disk"), "{shorter}");
    raw[512 + 60] ^= 1;
    let error = format!("{:#}", anyhow::Error::from(read(&raw).unwrap_err()));
    assert!(error.contains("CRC32"), "{error}");
    assert!(read(&raw[..100]).is_err());
    assert!(read(&[]).is_err());
}
