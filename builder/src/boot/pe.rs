//! Portable executables: reading sections and appending some.
//!
//! Only what a unified kernel image needs: PE32+ for x86-64, unsigned,
//! sections added behind the last one (Microsoft, "PE Format"). The result is
//! a function of the input: time stamp and checksum are 0, which firmware does
//! not look at.

use object::pe::{
    IMAGE_DIRECTORY_ENTRY_SECURITY, IMAGE_FILE_MACHINE_AMD64, IMAGE_SCN_CNT_CODE,
    IMAGE_SCN_CNT_INITIALIZED_DATA, IMAGE_SCN_MEM_READ, ImageNtHeaders64, ImageSectionHeader,
};
use object::pod;
use object::read::pe::PeFile64;
use object::{LittleEndian as LE, U16, U32};

/// Sections are mapped on pages of their own, whatever the stub's alignment:
/// newer stubs start the kernel where it lies.
const PAGE: u32 = 4096;
/// Sections lie on sectors of the file: GRUB reads kernel and initrd out of it
/// by sector ([`super::bios`]).
const SECTOR: u32 = 512;
/// Bytes of a section header.
const HEADER: usize = size_of::<ImageSectionHeader>();

/// A section to append.
#[derive(Clone, Copy, Debug)]
pub struct NewSection<'a> {
    /// At most 8 bytes of ASCII, such as `.linux`.
    pub name: &'a str,
    /// Its bytes in the file.
    pub data: &'a [u8],
    /// Bytes it takes in memory if more than in the file; the rest is zero.
    pub memory: usize,
    /// Executable code, not data.
    pub code: bool,
}

/// A section found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section<'a> {
    /// Its name without the padding.
    pub name: &'a str,
    /// Its first byte in the file.
    pub offset: usize,
    /// Its bytes in the file, without the alignment's padding where the header
    /// tells it apart.
    pub data: &'a [u8],
}

/// Why an executable cannot be read or extended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeError {
    /// Not an x86-64 EFI executable, or a damaged one.
    #[error("not an x86-64 EFI executable: {0}")]
    Format(String),
    /// The header ends before all sections are listed.
    #[error("the stub has room for {room} more section headers, {needed} are needed")]
    NoRoom {
        /// Headers that fit.
        room: usize,
        /// Headers needed.
        needed: usize,
    },
    /// The stub has that section already.
    #[error("the stub already has a section {0}")]
    Twice(String),
    /// Appending would break the signature.
    #[error("the stub is signed\n  help: use the unsigned stub and sign the result")]
    Signed,
    /// More than 32-bit offsets can express.
    #[error("the image would exceed 4 GiB")]
    TooLarge,
    /// A section name that does not fit its field.
    #[error("`{0}` is not a section name: 1 to 8 ASCII characters are")]
    Name(String),
}

fn format(error: impl ToString) -> PeError {
    PeError::Format(error.to_string())
}

fn parse(bytes: &[u8]) -> Result<PeFile64<'_>, PeError> {
    let pe = PeFile64::parse(bytes).map_err(format)?;
    let machine = pe.nt_headers().file_header.machine.get(LE);
    if machine != IMAGE_FILE_MACHINE_AMD64 {
        return Err(format("it is for another processor"));
    }
    Ok(pe)
}

/// The sections of an executable, in file order.
///
/// # Errors
/// [`PeError::Format`].
pub fn sections(bytes: &[u8]) -> Result<Vec<Section<'_>>, PeError> {
    let pe = parse(bytes)?;
    pe.section_table()
        .iter()
        .map(|header| {
            let name = std::str::from_utf8(header.raw_name()).map_err(format)?;
            let data = header.pe_data(bytes).map_err(format)?;
            let offset = header.pointer_to_raw_data.get(LE) as usize;
            Ok(Section { name, offset, data })
        })
        .collect()
}

/// Bytes an executable takes in memory, zeroed tail included.
///
/// # Errors
/// [`PeError::Format`].
pub fn memory_size(bytes: &[u8]) -> Result<usize, PeError> {
    let size = parse(bytes)?.nt_headers().optional_header.size_of_image;
    Ok(size.get(LE) as usize)
}

/// The executable with `new` sections behind its own.
///
/// # Errors
/// [`PeError`].
pub fn append(stub: &[u8], new: &[NewSection<'_>]) -> Result<Vec<u8>, PeError> {
    let pe = parse(stub)?;
    let signature = pe.data_directory(IMAGE_DIRECTORY_ENTRY_SECURITY);
    if signature.is_some_and(|dir| dir.size.get(LE) != 0) {
        return Err(PeError::Signed);
    }
    check_names(stub, new)?;
    let table = Table::of(&pe)?;
    let room = (table.limit - table.end) / HEADER;
    if new.len() > room {
        let needed = new.len();
        return Err(PeError::NoRoom { room, needed });
    }
    let mut place = Place::behind(stub, &pe)?;
    let mut out =
        Vec::with_capacity(stub.len() + new.iter().map(|s| s.data.len() + 8192).sum::<usize>());
    out.extend_from_slice(stub);
    let mut data_size = 0;
    for (i, section) in new.iter().enumerate() {
        let header = place.take(section)?;
        if !section.code {
            data_size += u64::from(header.size_of_raw_data.get(LE));
        }
        out.resize(header.pointer_to_raw_data.get(LE) as usize, 0);
        out.extend_from_slice(section.data);
        out.resize(place.file as usize, 0);
        let at = table.end + i * HEADER;
        out[at..at + HEADER].copy_from_slice(pod::bytes_of(&header));
    }
    let mut headers = *pe.nt_headers();
    amend(&mut headers, new.len(), data_size, &place, table.limit)?;
    let bytes = pod::bytes_of(&headers);
    out[table.nt..table.nt + bytes.len()].copy_from_slice(bytes);
    Ok(out)
}

fn check_names(stub: &[u8], new: &[NewSection<'_>]) -> Result<(), PeError> {
    let mut taken: Vec<_> = sections(stub)?.iter().map(|s| s.name).collect();
    for section in new {
        if section.name.is_empty() || section.name.len() > 8 || !section.name.is_ascii() {
            return Err(PeError::Name(section.name.to_owned()));
        }
        if taken.contains(&section.name) {
            return Err(PeError::Twice(section.name.to_owned()));
        }
        taken.push(section.name);
    }
    Ok(())
}

/// Where the headers are, as offsets in the file.
struct Table {
    /// The NT headers.
    nt: usize,
    /// Behind the last section header.
    end: usize,
    /// Where headers must end.
    limit: usize,
}

impl Table {
    fn of(pe: &PeFile64<'_>) -> Result<Self, PeError> {
        let nt = pe.dos_header().nt_headers_offset() as usize;
        let headers = pe.nt_headers();
        // Signature (4) and file header (20) precede the optional header.
        let optional = usize::from(headers.file_header.size_of_optional_header.get(LE));
        let end = nt + 24 + optional + pe.section_table().len() * HEADER;
        let alignment = headers.optional_header.file_alignment.get(LE);
        let first_data = pe
            .section_table()
            .iter()
            .map(|s| s.pointer_to_raw_data.get(LE))
            .filter(|pointer| *pointer != 0)
            .min();
        let limit = headers
            .optional_header
            .size_of_headers
            .get(LE)
            .checked_next_multiple_of(alignment)
            .map(|limit| limit.min(first_data.unwrap_or(limit)) as usize)
            .filter(|limit| *limit >= end)
            .ok_or_else(|| format("its headers overlap its sections"))?;
        Ok(Self { nt, end, limit })
    }
}

/// Where the next section goes, in the file and in memory.
struct Place {
    file: u32,
    memory: u32,
    file_alignment: u32,
    memory_alignment: u32,
}

impl Place {
    fn behind(stub: &[u8], pe: &PeFile64<'_>) -> Result<Self, PeError> {
        let optional = &pe.nt_headers().optional_header;
        let file_alignment = optional.file_alignment.get(LE).max(SECTOR);
        let memory_alignment = optional.section_alignment.get(LE).max(PAGE);
        let aligned = file_alignment.is_power_of_two() && memory_alignment.is_power_of_two();
        let memory = pe
            .section_table()
            .iter()
            .map(|s| {
                s.virtual_address
                    .get(LE)
                    .checked_add(s.virtual_size.get(LE))
            })
            .try_fold(optional.size_of_headers.get(LE), |end, next| {
                Some(end.max(next?))
            });
        match memory.and_then(|end| end.checked_next_multiple_of(memory_alignment)) {
            Some(memory) if aligned => Ok(Self {
                file: round(stub.len(), file_alignment)?,
                memory,
                file_alignment,
                memory_alignment,
            }),
            _ => Err(format(
                "its alignment is not a power of two or its sections wrap",
            )),
        }
    }

    /// Gives a section its place and moves on.
    fn take(&mut self, section: &NewSection<'_>) -> Result<ImageSectionHeader, PeError> {
        let memory = section.data.len().max(section.memory);
        let raw = round(section.data.len(), self.file_alignment)?;
        let kind = if section.code {
            IMAGE_SCN_CNT_CODE
        } else {
            IMAGE_SCN_CNT_INITIALIZED_DATA
        };
        let mut name = [0; 8];
        name[..section.name.len()].copy_from_slice(section.name.as_bytes());
        let header = ImageSectionHeader {
            name,
            virtual_size: U32::new(LE, u32::try_from(memory).map_err(|_| PeError::TooLarge)?),
            virtual_address: U32::new(LE, self.memory),
            size_of_raw_data: U32::new(LE, raw),
            pointer_to_raw_data: U32::new(LE, self.file),
            pointer_to_relocations: U32::new(LE, 0),
            pointer_to_linenumbers: U32::new(LE, 0),
            number_of_relocations: U16::new(LE, 0),
            number_of_linenumbers: U16::new(LE, 0),
            characteristics: U32::new(LE, IMAGE_SCN_MEM_READ | kind),
        };
        self.file = self.file.checked_add(raw).ok_or(PeError::TooLarge)?;
        self.memory = round(memory, self.memory_alignment)?
            .checked_add(self.memory)
            .ok_or(PeError::TooLarge)?;
        Ok(header)
    }
}

fn round(size: usize, alignment: u32) -> Result<u32, PeError> {
    u32::try_from(size)
        .ok()
        .and_then(|size| size.checked_next_multiple_of(alignment))
        .ok_or(PeError::TooLarge)
}

fn amend(
    headers: &mut ImageNtHeaders64,
    added: usize,
    data_size: u64,
    place: &Place,
    limit: usize,
) -> Result<(), PeError> {
    let too_large = |_| PeError::TooLarge;
    let file = &mut headers.file_header;
    let added = u16::try_from(added).map_err(too_large)?;
    file.number_of_sections
        .set(LE, file.number_of_sections.get(LE) + added);
    file.time_date_stamp.set(LE, 0);
    let optional = &mut headers.optional_header;
    let initialized = u64::from(optional.size_of_initialized_data.get(LE)) + data_size;
    optional.size_of_initialized_data.set(
        LE,
        u32::try_from(initialized).map_err(|_| PeError::TooLarge)?,
    );
    optional.size_of_image.set(LE, place.memory);
    optional
        .size_of_headers
        .set(LE, u32::try_from(limit).map_err(too_large)?);
    optional.check_sum.set(LE, 0);
    Ok(())
}

#[cfg(test)]
#[path = "pe_tests.rs"]
pub(super) mod tests;
