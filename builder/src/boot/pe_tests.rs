use super::*;
use fs_err as fs;
use postern_contract::host::Command;
use proptest::prelude::*;

/// systemd's own stub, from the package systemd-boot-efi.
const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";

/// The smallest executable our reader takes: one `.text` section of 16 bytes
/// and room for `room` more headers.
pub(in crate::boot) fn minimal(room: usize) -> Vec<u8> {
    let headers: usize = 64 + 24 + 240 + HEADER * (1 + room);
    let raw = headers.next_multiple_of(512);
    let mut out = vec![0; raw + 512];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(60, &64_u32.to_le_bytes());
    put(64, b"PE\0\0");
    put(68, &0x8664_u16.to_le_bytes());
    put(70, &1_u16.to_le_bytes()); // sections
    put(72, &0x5f5f_5f5f_u32.to_le_bytes()); // time stamp
    put(84, &240_u16.to_le_bytes()); // optional header
    let optional = 88;
    put(optional, &0x20b_u16.to_le_bytes());
    put(optional + 32, &4096_u32.to_le_bytes()); // section alignment
    put(optional + 36, &512_u32.to_le_bytes()); // file alignment
    put(optional + 56, &8192_u32.to_le_bytes()); // size of image
    put(optional + 60, &(headers as u32).to_le_bytes());
    put(optional + 64, &7_u32.to_le_bytes()); // checksum
    put(optional + 108, &16_u32.to_le_bytes()); // data directories
    let section = optional + 240;
    put(section, b".text");
    put(section + 8, &16_u32.to_le_bytes());
    put(section + 12, &4096_u32.to_le_bytes());
    put(section + 16, &512_u32.to_le_bytes());
    put(section + 20, &(raw as u32).to_le_bytes());
    put(raw, &[0xc3; 16]);
    out
}

fn data<'a>(name: &'a str, data: &'a [u8]) -> NewSection<'a> {
    let memory = 0;
    NewSection {
        name,
        data,
        memory,
        code: false,
    }
}

/// `objdump -h`: name, size in memory, file offset.
fn objdump(bytes: &[u8]) -> Vec<(String, usize, usize)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let output = Command::new("objdump")
        .arg("-h")
        .arg(file.path())
        .run()
        .unwrap();
    let hex = |field: &str| usize::from_str_radix(field, 16).unwrap();
    String::from_utf8(output)
        .unwrap()
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.len() == 7 && fields[0].parse::<u8>().is_ok())
        .map(|fields| (fields[1].to_owned(), hex(fields[2]), hex(fields[5])))
        .collect()
}

fn agrees_with_objdump(stub: &[u8]) {
    let (small, large) = (vec![1; 3], vec![2; 70_001]);
    let own = sections(stub).unwrap().len();
    let out = append(stub, &[data(".small", &small), data(".large", &large)]).unwrap();
    let seen = objdump(&out);
    assert_eq!(seen.len(), own + 2);
    for ((name, size, offset), bytes) in seen[own..].iter().zip([&small, &large]) {
        assert_eq!(*size, bytes.len(), "{name}");
        assert_eq!(&out[*offset..offset + size], &bytes[..], "{name}");
        assert_eq!(offset % 512, 0, "{name}");
    }
    assert_eq!(out.len() % 512, 0);
    assert_eq!(sections(&out).unwrap()[own + 1].data, large);
}

#[test]
fn objdump_sees_the_sections_of_a_minimal_stub() {
    agrees_with_objdump(&minimal(2));
}

#[test]
fn objdump_sees_the_sections_of_the_real_stub() {
    agrees_with_objdump(&fs::read(STUB).unwrap());
}

#[test]
fn time_stamp_and_checksum_are_zero_and_the_image_grows() {
    let stub = minimal(4);
    let mut zeros = data(".zeros", b"x");
    zeros.memory = 5000;
    let out = append(&stub, &[zeros, data(".next", b"y")]).unwrap();
    assert_eq!(&out[72..76], &[0; 4]);
    assert_eq!(&out[88 + 64..88 + 68], &[0; 4]);
    // .text at 4096, .zeros at 8192 on two pages, .next at 16384.
    assert_eq!(memory_size(&out).unwrap(), 16384 + 4096);
    assert_eq!(out, append(&stub, &[zeros, data(".next", b"y")]).unwrap());
}

#[test]
fn sections_lie_on_sectors_whatever_the_stub_wants() {
    let mut stub = minimal(4);
    stub[88 + 36..88 + 40].copy_from_slice(&32_u32.to_le_bytes());
    stub.resize(stub.len() + 33, 0);
    let out = append(&stub, &[data(".one", b"x"), data(".two", &[7; 600])]).unwrap();
    assert_eq!(out.len() % 512, 0);
    for section in &sections(&out).unwrap()[1..] {
        assert_eq!(section.offset % 512, 0, "{}", section.name);
        let there = &out[section.offset..section.offset + section.data.len()];
        assert_eq!(there, section.data);
    }
}

#[test]
fn header_room_is_counted() {
    // 64 + 24 + 240 + 40 × n bytes of headers, to the next 512.
    let stub = minimal(1);
    let room = (512 - (64 + 24 + 240 + HEADER)) / HEADER;
    let names: Vec<_> = (0..=room).map(|i| format!(".s{i}")).collect();
    let new: Vec<_> = names.iter().map(|name| data(name, b"x")).collect();
    assert!(append(&stub, &new[..room]).is_ok());
    let error = append(&stub, &new).unwrap_err();
    assert_eq!(
        error,
        PeError::NoRoom {
            room,
            needed: room + 1
        }
    );
}

#[test]
fn what_would_break_is_refused() {
    let stub = minimal(3);
    let twice = append(&stub, &[data(".text", b"x")]);
    assert_eq!(twice, Err(PeError::Twice(".text".to_owned())));
    let twice = append(&stub, &[data(".a", b"x"), data(".a", b"x")]);
    assert_eq!(twice, Err(PeError::Twice(".a".to_owned())));
    let long = append(&stub, &[data(".too-long", b"x")]);
    assert_eq!(long, Err(PeError::Name(".too-long".to_owned())));
    let mut signed = stub.clone();
    signed[88 + 112 + 4 * 8 + 1] = 8; // offset 2048
    signed[88 + 112 + 4 * 8 + 4] = 8; // size
    assert_eq!(append(&signed, &[]).unwrap_err(), PeError::Signed);
    let mut arm = stub.clone();
    arm[68..70].copy_from_slice(&0xaa64_u16.to_le_bytes());
    assert!(matches!(append(&arm, &[]), Err(PeError::Format(_))));
    assert!(matches!(append(b"MZ", &[]), Err(PeError::Format(_))));
}

proptest! {
    #[test]
    fn what_was_appended_reads_back(
        contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..2000), 0..6)
    ) {
        let names: Vec<_> = (0..contents.len()).map(|i| format!(".s{i}")).collect();
        let new: Vec<_> = names.iter().zip(&contents).map(|(n, c)| data(n, c)).collect();
        let out = append(&minimal(8), &new).unwrap();
        let found = sections(&out).unwrap();
        prop_assert_eq!(found[0].name, ".text");
        let found: Vec<_> = found[1..].iter().map(|s| s.data.to_vec()).collect();
        prop_assert_eq!(found, contents);
    }

    #[test]
    fn damaged_headers_are_read_or_refused(at in 0_usize..420, byte in any::<u8>()) {
        let mut stub = minimal(2);
        stub[at] = byte;
        let _ = append(&stub, &[data(".new", b"x")]);
    }
}
