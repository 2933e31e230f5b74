//! The bytes of files.
//!
//! A file is blocks one behind the other, and perhaps a tail in a fragment,
//! which is a block shared with other files. Each block has a size word: its
//! size in the image, with bit 24 set if it is not compressed; 0 is a block of
//! zeros that is not written at all.

use std::io::{self, Read};

use zstd::bulk::Decompressor;

use super::{File, Image, damaged};

/// Set in the size word of a block that is not compressed.
const PLAIN: u32 = 1 << 24;

/// Reads files' bytes; remembers the fragment unpacked last, because
/// neighbours in the tree are neighbours there.
pub struct Contents<'i> {
    image: &'i Image<'i>,
    unpack: Decompressor<'static>,
    fragment: Option<(u32, Vec<u8>)>,
}

/// One file, from its first byte to its last.
pub struct FileReader<'c, 'i> {
    contents: &'c mut Contents<'i>,
    file: &'c File,
    /// Offset in the image of the next block.
    place: u64,
    next: usize,
    left: u64,
    block: Vec<u8>,
    at: usize,
}

impl<'i> Contents<'i> {
    pub(super) fn new(image: &'i Image<'i>) -> io::Result<Self> {
        Ok(Self {
            image,
            unpack: Decompressor::new()?,
            fragment: None,
        })
    }

    /// Opens a file of this image.
    pub fn open<'c>(&'c mut self, file: &'c File) -> FileReader<'c, 'i> {
        FileReader {
            contents: self,
            file,
            place: file.start,
            next: 0,
            left: file.size,
            block: Vec::new(),
            at: 0,
        }
    }

    /// All of a file of at most `most` bytes.
    ///
    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`] for a longer one, and what reading it gives.
    pub fn read(&mut self, file: &File, most: u64) -> io::Result<Vec<u8>> {
        if file.size > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut bytes = Vec::new();
        self.open(file).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The block at `place`, which unpacks to at most a block's size.
    fn block(&mut self, place: u64, word: u32, size: usize) -> io::Result<Vec<u8>> {
        let most = self.image.superblock.block_size as usize;
        let packed = (word & !PLAIN) as usize;
        if packed > most {
            return Err(damaged("a block larger than blocks are"));
        }
        if packed == 0 {
            return Ok(vec![0; size]);
        }
        let mut bytes = vec![0; packed];
        self.image.source.read_exact_at(&mut bytes, place)?;
        if word & PLAIN != 0 {
            return Ok(bytes);
        }
        self.unpack.decompress(&bytes, most).map_err(damaged)
    }

    /// `size` bytes of a fragment.
    fn tail(&mut self, number: u32, offset: u32, size: usize) -> io::Result<Vec<u8>> {
        let bytes = match self.fragment.take() {
            Some((known, bytes)) if known == number => bytes,
            _ => {
                let fragment = self.image.fragments.get(number as usize).copied();
                let fragment =
                    fragment.ok_or_else(|| damaged("a tail that is not in its table"))?;
                self.block(fragment.start, fragment.word, 0)?
            }
        };
        let from = offset as usize;
        let tail = bytes.get(from..from.saturating_add(size));
        let tail = tail.map(<[u8]>::to_vec);
        self.fragment = Some((number, bytes));
        tail.ok_or_else(|| damaged("a tail longer than its fragment"))
    }
}

impl FileReader<'_, '_> {
    fn load(&mut self) -> io::Result<()> {
        let whole = u64::from(self.contents.image.superblock.block_size);
        let size = self.left.min(whole) as usize;
        self.block = match (self.file.blocks.get(self.next), self.file.fragment) {
            (Some(word), _) => {
                let block = self.contents.block(self.place, *word, size)?;
                self.place += u64::from(word & !PLAIN);
                self.next += 1;
                block
            }
            (None, Some((number, offset))) => self.contents.tail(number, offset, size)?,
            (None, None) => return Err(damaged("a file longer than its blocks")),
        };
        if self.block.len() != size {
            return Err(damaged("a block that is not as long as it should be"));
        }
        self.left -= size as u64;
        self.at = 0;
        Ok(())
    }
}

impl Read for FileReader<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            if self.left == 0 {
                return Ok(0);
            }
            self.load()?;
        }
        let there = &self.block[self.at..];
        let now = there.len().min(buffer.len());
        buffer[..now].copy_from_slice(&there[..now]);
        self.at += now;
        Ok(now)
    }
}
