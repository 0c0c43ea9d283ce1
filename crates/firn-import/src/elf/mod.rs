//! ELF files: what they need ([`Elf`]), and giving them another interpreter, RUNPATH and other strings
//! ([`edit`]). 64-bit, little-endian; other files are not understood and left alone by callers.
//!
//! The editor is ours because it does what no crate does: besides a longer interpreter and RUNPATH it
//! moves whole strings and re-points the code and relocations that refer to them ([`strings`]), which is
//! how a path that was compiled in becomes a store path. Format: the System V ABI and the x86-64 psABI.

pub mod edit;
pub mod strings;
#[cfg(test)]
mod tests;

/// `PT_LOAD`
pub(crate) const PT_LOAD: u32 = 1;
pub(crate) const PT_DYNAMIC: u32 = 2;
pub(crate) const PT_INTERP: u32 = 3;
pub(crate) const PT_PHDR: u32 = 6;
pub(crate) const PT_GNU_PROPERTY: u32 = 0x6474_e553;
pub(crate) const PF_X: u32 = 1;
pub(crate) const PF_W: u32 = 2;
pub(crate) const PF_R: u32 = 4;

pub(crate) const DT_NULL: u64 = 0;
pub(crate) const DT_NEEDED: u64 = 1;
pub(crate) const DT_STRTAB: u64 = 5;
pub(crate) const DT_RELA: u64 = 7;
pub(crate) const DT_RELASZ: u64 = 8;
pub(crate) const DT_STRSZ: u64 = 10;
pub(crate) const DT_SONAME: u64 = 14;
pub(crate) const DT_RPATH: u64 = 15;
pub(crate) const DT_RUNPATH: u64 = 29;

/// The size of a program header and of an entry of the dynamic table, in bytes.
pub(crate) const PHDR_SIZE: usize = 56;
pub(crate) const DYN_SIZE: usize = 16;

/// Relocatable file (objects, kernel modules).
pub const ET_REL: u16 = 1;
/// x86-64.
pub const EM_X86_64: u16 = 62;

/// A program header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// What it is (`PT_*`).
    pub kind: u32,
    /// `PF_*`.
    pub flags: u32,
    /// Where its bytes are in the file.
    pub offset: u64,
    /// Where they are in memory.
    pub address: u64,
    /// Physical address; equals `address` in practice.
    pub physical: u64,
    /// Bytes in the file.
    pub file_size: u64,
    /// Bytes in memory.
    pub memory_size: u64,
    /// Alignment.
    pub align: u64,
}

/// A view of an ELF file.
#[derive(Debug, Clone)]
pub struct Elf<'a> {
    pub(crate) data: &'a [u8],
    /// `ET_*`.
    pub kind: u16,
    /// `EM_*`.
    pub machine: u16,
    /// Program headers.
    pub segments: Vec<Segment>,
    pub(crate) segments_at: usize,
    /// The dynamic table up to its end mark, as (tag, value).
    pub dynamic: Vec<(u64, u64)>,
}

pub(crate) fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(data.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(crate) fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

pub(crate) fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(data.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// A file offset or size as an index; absurd values become one that no slice has.
pub(crate) fn index(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

impl Segment {
    fn read(data: &[u8], at: usize) -> Option<Self> {
        Some(Self {
            kind: u32_at(data, at)?,
            flags: u32_at(data, at + 4)?,
            offset: u64_at(data, at + 8)?,
            address: u64_at(data, at + 16)?,
            physical: u64_at(data, at + 24)?,
            file_size: u64_at(data, at + 32)?,
            memory_size: u64_at(data, at + 40)?,
            align: u64_at(data, at + 48)?,
        })
    }

    pub(crate) fn write(&self, data: &mut [u8]) {
        data[..4].copy_from_slice(&self.kind.to_le_bytes());
        data[4..8].copy_from_slice(&self.flags.to_le_bytes());
        let words = [
            self.offset,
            self.address,
            self.physical,
            self.file_size,
            self.memory_size,
            self.align,
        ];
        for (at, word) in words.into_iter().enumerate() {
            data[8 + at * 8..16 + at * 8].copy_from_slice(&word.to_le_bytes());
        }
    }
}

impl<'a> Elf<'a> {
    /// Reads the headers. `None` when it is not a 64-bit little-endian ELF file or is damaged.
    #[must_use]
    pub fn parse(data: &'a [u8]) -> Option<Self> {
        // Magic number, 64-bit class, little-endian.
        if data.get(..6)? != b"\x7fELF\x02\x01" {
            return None;
        }
        let segments_at = index(u64_at(data, 32)?);
        let count = usize::from(u16_at(data, 56)?);
        if count > 0 && usize::from(u16_at(data, 54)?) != PHDR_SIZE {
            return None;
        }
        let mut segments = Vec::with_capacity(count);
        for number in 0..count {
            segments.push(Segment::read(data, segments_at.checked_add(number * PHDR_SIZE)?)?);
        }
        let mut elf = Self {
            data,
            kind: u16_at(data, 16)?,
            machine: u16_at(data, 18)?,
            segments,
            segments_at,
            dynamic: Vec::new(),
        };
        if let Some(table) = elf.segment(PT_DYNAMIC) {
            let mut at = index(table.offset);
            let end = at.saturating_add(index(table.file_size)).min(data.len());
            while at + DYN_SIZE <= end {
                let (tag, value) = (u64_at(data, at)?, u64_at(data, at + 8)?);
                if tag == DT_NULL {
                    break;
                }
                elf.dynamic.push((tag, value));
                at += DYN_SIZE;
            }
        }
        Some(elf)
    }

    /// The first segment of a kind.
    #[must_use]
    pub fn segment(&self, kind: u32) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.kind == kind)
    }

    /// Whether it is linked dynamically (has a dynamic table).
    #[must_use]
    pub fn is_dynamic(&self) -> bool {
        self.segment(PT_DYNAMIC).is_some() && !self.dynamic.is_empty()
    }

    /// The file offset of an address that is loaded from the file.
    #[must_use]
    pub fn offset_of(&self, address: u64) -> Option<usize> {
        self.segments
            .iter()
            .filter(|segment| segment.kind == PT_LOAD)
            .find(|segment| {
                address >= segment.address && address - segment.address < segment.file_size
            })
            .map(|segment| index(address - segment.address + segment.offset))
    }

    pub(crate) fn tag(&self, tag: u64) -> Option<u64> {
        self.dynamic.iter().find(|(found, _)| *found == tag).map(|(_, value)| *value)
    }

    /// The dynamic string table's bytes.
    #[must_use]
    pub fn string_table(&self) -> Option<&'a [u8]> {
        let at = self.offset_of(self.tag(DT_STRTAB)?)?;
        self.data.get(at..at.checked_add(index(self.tag(DT_STRSZ)?))?)
    }

    fn dynamic_strings(&self, tag: u64) -> Vec<&'a str> {
        let Some(table) = self.string_table() else { return Vec::new() };
        self.dynamic
            .iter()
            .filter(|(found, _)| *found == tag)
            .filter_map(|(_, at)| std::str::from_utf8(string_at(table, index(*at))?).ok())
            .collect()
    }

    /// The libraries it is linked with.
    #[must_use]
    pub fn needed(&self) -> Vec<&'a str> {
        self.dynamic_strings(DT_NEEDED)
    }

    /// The name others link with it by.
    #[must_use]
    pub fn soname(&self) -> Option<&'a str> {
        self.dynamic_strings(DT_SONAME).first().copied()
    }

    /// RUNPATH, or RPATH where there is none.
    #[must_use]
    pub fn runpath(&self) -> Option<&'a str> {
        let runpath = self.dynamic_strings(DT_RUNPATH).first().copied();
        runpath.or_else(|| self.dynamic_strings(DT_RPATH).first().copied())
    }

    /// The program that starts it.
    #[must_use]
    pub fn interpreter(&self) -> Option<&'a str> {
        let segment = self.segment(PT_INTERP)?;
        let at = index(segment.offset);
        let bytes = self.data.get(at..at.checked_add(index(segment.file_size))?)?;
        std::str::from_utf8(string_at(bytes, 0)?).ok()
    }

    /// The names of libraries (`libx.so`, `libx.so.1`) in the file's strings: besides those linked with, the ones
    /// it may open at run time. Sorted.
    #[must_use]
    pub fn library_strings(&self) -> Vec<String> {
        library_names(self.data)
    }
}

/// The bytes from `at` up to the next NUL.
pub(crate) fn string_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = bytes.get(at..)?;
    Some(&rest[..memchr::memchr(0, rest)?])
}

/// Names that begin a string and look like `lib*.so*`.
fn library_names(data: &[u8]) -> Vec<String> {
    let mut found = std::collections::BTreeSet::new();
    for at in memchr::memmem::find_iter(data, b".so") {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_+.-".contains(byte);
        let start = data[..at].iter().rposition(|byte| !is_name(byte)).map_or(0, |at| at + 1);
        let end = data[at..].iter().position(|byte| !is_name(byte)).map_or(data.len(), |n| at + n);
        let before = start.checked_sub(1).map_or(0, |at| data[at]);
        if data[start..].starts_with(b"lib")
            && matches!(before, 0 | b'/')
            && data.get(end).is_none_or(|&byte| byte == 0)
            && end - start < 128
        {
            let suffix = &data[at + 3..end];
            if suffix.is_empty() || suffix[0] == b'.' {
                found.insert(String::from_utf8_lossy(&data[start..end]).into_owned());
            }
        }
    }
    found.into_iter().collect()
}
