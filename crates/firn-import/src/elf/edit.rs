//! Gives a dynamic ELF file another interpreter, another RUNPATH and other strings, of any length.
//!
//! What is there keeps its address. New contents (interpreter, an enlarged copy of the dynamic string
//! table, the dynamic table where it has no spare entry, moved strings, the program headers where they
//! do not fit) go into one new loadable segment at the end of the file. Its program header takes
//! the place of the GNU property note, which loaders do not need, if there is one; else the program
//! headers move too, and the new segment's offset and address then differ by as much as the first
//! segment's do, since older kernels compute the headers' address from the first segment alone.

use std::collections::BTreeMap;

use super::strings::Moves;
use super::{
    DT_NULL, DT_RPATH, DT_RUNPATH, DT_STRSZ, DT_STRTAB, DYN_SIZE, Elf, PF_R, PF_W, PHDR_SIZE,
    PT_DYNAMIC, PT_GNU_PROPERTY, PT_INTERP, PT_LOAD, PT_PHDR, Segment, index, u16_at, u32_at,
    u64_at,
};

/// What is to change; `None` leaves a thing as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The new interpreter. Ignored for files without one.
    pub interpreter: Option<String>,
    /// The new RUNPATH (an RPATH is replaced by it); `""` removes it.
    pub runpath: Option<String>,
    /// Whole strings and what they become.
    pub strings: BTreeMap<String, NewString>,
}

/// What a string becomes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewString {
    /// The new string.
    pub to: String,
    /// Whether the code next to a reference holds the string's length as a constant, to be changed too.
    pub with_length: bool,
}

/// The edited file.
#[derive(Debug, Clone)]
pub struct Edited {
    /// Its bytes.
    pub data: Vec<u8>,
    /// The strings that were replaced.
    pub strings: Vec<String>,
}

/// Contents that are being put together for the new segment.
struct Appended {
    address: u64,
    bytes: Vec<u8>,
}

impl Appended {
    /// Adds bytes at an alignment and returns their address.
    fn push(&mut self, align: usize, bytes: &[u8]) -> u64 {
        // The segment starts aligned to a page's remainder, so addresses decide.
        while !(self.address + self.bytes.len() as u64).is_multiple_of(align as u64) {
            self.bytes.push(0);
        }
        let at = self.address + self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        at
    }
}

/// Makes the changes. Returns `None` when there is nothing to change.
///
/// # Errors
/// Says what about the file is damaged or not as the format wants it.
pub fn edit(elf: &Elf<'_>, changes: &Changes) -> Result<Option<Edited>, String> {
    let interpreter = changes
        .interpreter
        .as_deref()
        .filter(|new| elf.interpreter().is_some_and(|old| old != *new));
    let runpath =
        changes.runpath.as_deref().filter(|new| elf.runpath().unwrap_or_default() != *new);
    for segment in &elf.segments {
        let end = segment.offset.checked_add(segment.file_size);
        if end.is_none_or(|end| end > elf.data.len() as u64)
            || segment.address.checked_add(segment.memory_size).is_none_or(|end| end > 1 << 62)
            || segment.address.checked_add(segment.file_size).is_none()
        {
            return Err("has a segment beyond its end".into());
        }
    }
    let moves = Moves::find(elf, &changes.strings);
    if interpreter.is_none() && runpath.is_none() && moves.is_empty() {
        return Ok(None);
    }

    let mut data = elf.data.to_vec();
    moves.write_in_place(&mut data);
    let done = moves.replaced();
    if interpreter.is_none() && runpath.is_none() && moves.all_in_place() {
        return Ok(Some(Edited { data, strings: done }));
    }

    let loads: Vec<&Segment> =
        elf.segments.iter().filter(|segment| segment.kind == PT_LOAD).collect();
    let first = loads.first().ok_or("has no loadable segment")?;
    let align = loads.iter().map(|segment| segment.align).max().unwrap_or(0).max(0x1000);
    if !align.is_power_of_two() || align > 1 << 32 {
        return Err(format!("has a segment of alignment {align}"));
    }
    let end = loads
        .iter()
        .map(|segment| segment.address.saturating_add(segment.memory_size))
        .max()
        .unwrap_or(0);
    let end =
        end.checked_add(align - 1).ok_or("has a segment beyond the address space")? & !(align - 1);

    let spare_header = elf.segments.iter().position(|segment| segment.kind == PT_GNU_PROPERTY);
    let (offset, address) = if spare_header.is_some() {
        let offset = (data.len() as u64).next_multiple_of(16);
        (offset, end + offset % align)
    } else {
        let delta = first.address.checked_sub(first.offset).ok_or("has an odd first segment")?;
        let at = end.max((data.len() as u64 + delta).next_multiple_of(align));
        if at - delta > data.len() as u64 + (256 << 20) {
            return Err("has too large a gap between file and memory to add a segment".into());
        }
        (at - delta, at)
    };

    let mut new = Appended { address, bytes: Vec::new() };
    let mut segments = elf.segments.clone();
    let mut sections: Vec<(SectionOf, u64, usize)> = Vec::new();
    let mut header_table = None;
    match spare_header {
        Some(at) => {
            segments.remove(at);
        }
        None => {
            let size = (segments.len() + 1) * PHDR_SIZE;
            header_table = Some(new.push(8, &vec![0; size]));
        }
    }

    if let Some(interpreter) = interpreter {
        let mut bytes = interpreter.as_bytes().to_vec();
        bytes.push(0);
        let at = new.push(1, &bytes);
        for segment in segments.iter_mut().filter(|segment| segment.kind == PT_INTERP) {
            place(segment, at, offset + (at - address), bytes.len());
        }
        sections.push((SectionOf::Interpreter, at, bytes.len()));
    }

    if let Some(runpath) = runpath {
        let mut dynamic: Vec<(u64, u64)> = elf
            .dynamic
            .iter()
            .copied()
            .filter(|(tag, _)| !matches!(*tag, DT_RPATH | DT_RUNPATH))
            .collect();
        if !runpath.is_empty() {
            let table = elf.string_table().ok_or("has no dynamic string table")?;
            let mut table = table.to_vec();
            let at_string = table.len() as u64;
            table.extend_from_slice(runpath.as_bytes());
            table.push(0);
            let at = new.push(16, &table);
            sections.push((SectionOf::Strings, at, table.len()));
            for (tag, value) in &mut dynamic {
                match *tag {
                    DT_STRTAB => *value = at,
                    DT_STRSZ => *value = table.len() as u64,
                    _ => {}
                }
            }
            dynamic.push((DT_RUNPATH, at_string));
        }
        let mut bytes = Vec::with_capacity((dynamic.len() + 1) * DYN_SIZE);
        for (tag, value) in dynamic.into_iter().chain([(DT_NULL, 0)]) {
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        let old = elf.segment(PT_DYNAMIC).ok_or("has no dynamic table")?;
        let (old_at, old_size) = (index(old.offset), index(old.file_size));
        if bytes.len() <= old_size {
            // Linkers leave spare entries at the end of the table.
            bytes.resize(old_size, 0);
            data.get_mut(old_at..old_at + old_size)
                .ok_or("has a dynamic table beyond its end")?
                .copy_from_slice(&bytes);
        } else {
            let at = new.push(16, &bytes);
            for segment in segments.iter_mut().filter(|segment| segment.kind == PT_DYNAMIC) {
                place(segment, at, offset + (at - address), bytes.len());
            }
            sections.push((SectionOf::Dynamic, at, bytes.len()));
        }
    }

    for (from, to) in moves.to_append() {
        let mut bytes = to.to.as_bytes().to_vec();
        bytes.push(0);
        let at = new.push(1, &bytes);
        moves.point_to(&mut data, from, at)?;
    }

    let size = new.bytes.len() as u64;
    let load = Segment {
        kind: PT_LOAD,
        // The loader writes into a dynamic table that moved here.
        flags: PF_R | PF_W,
        offset,
        address,
        physical: address,
        file_size: size,
        memory_size: size,
        align,
    };
    // Loadable segments are in ascending order of address, and this one is the highest.
    let last = segments
        .iter()
        .rposition(|segment| segment.kind == PT_LOAD)
        .ok_or("has no loadable segment")?;
    segments.insert(last + 1, load);
    let table_size = (segments.len() * PHDR_SIZE) as u64;
    if let Some(at) = header_table {
        data[32..40].copy_from_slice(&(offset + (at - address)).to_le_bytes());
        for segment in segments.iter_mut().filter(|segment| segment.kind == PT_PHDR) {
            place(segment, at, offset + (at - address), index(table_size));
        }
    }
    let count = u16::try_from(segments.len()).map_err(|_| "has too many segments")?;
    data[56..58].copy_from_slice(&count.to_le_bytes());
    let table_at = match header_table {
        Some(at) => {
            data.resize(index(offset), 0);
            data.extend_from_slice(&new.bytes);
            index(offset + (at - address))
        }
        None => {
            data.resize(index(offset), 0);
            data.extend_from_slice(&new.bytes);
            elf.segments_at
        }
    };
    for (number, segment) in segments.iter().enumerate() {
        let at = table_at + number * PHDR_SIZE;
        segment
            .write(data.get_mut(at..at + PHDR_SIZE).ok_or("has program headers beyond its end")?);
    }
    update_sections(elf, &mut data, &sections, |at| offset + (at - address));
    Ok(Some(Edited { data, strings: done }))
}

fn place(segment: &mut Segment, address: u64, offset: u64, size: usize) {
    segment.address = address;
    segment.physical = address;
    segment.offset = offset;
    segment.file_size = size as u64;
    segment.memory_size = size as u64;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SectionOf {
    Interpreter,
    Strings,
    Dynamic,
}

/// Keeps the section headers true for what moved: linkers and debuggers read them, loaders do not.
fn update_sections(
    elf: &Elf<'_>,
    data: &mut [u8],
    moved: &[(SectionOf, u64, usize)],
    offset_of: impl Fn(u64) -> u64,
) {
    const SHT_STRTAB: u32 = 3;
    const SHT_DYNAMIC: u32 = 6;
    const SECTION_SIZE: usize = 64;
    let header =
        || Some((index(u64_at(elf.data, 40)?), u16_at(elf.data, 58)?, u16_at(elf.data, 60)?));
    let Some((table, size, count)) = header() else { return };
    if table == 0 || usize::from(size) != SECTION_SIZE {
        return;
    }
    let interpreter = elf.segment(PT_INTERP).map(|segment| segment.address);
    let strings = elf.tag(DT_STRTAB);
    for number in 0..usize::from(count) {
        let Some(at) = table.checked_add(number * SECTION_SIZE) else { return };
        let (Some(kind), Some(address)) = (u32_at(elf.data, at + 4), u64_at(elf.data, at + 16))
        else {
            return;
        };
        let which = match kind {
            SHT_DYNAMIC => SectionOf::Dynamic,
            SHT_STRTAB if address != 0 && Some(address) == strings => SectionOf::Strings,
            _ if address != 0 && Some(address) == interpreter => SectionOf::Interpreter,
            _ => continue,
        };
        if let Some((_, new, size)) = moved.iter().find(|(moved, _, _)| *moved == which) {
            let Some(section) = data.get_mut(at..at + SECTION_SIZE) else { return };
            section[16..24].copy_from_slice(&new.to_le_bytes());
            section[24..32].copy_from_slice(&offset_of(*new).to_le_bytes());
            section[32..40].copy_from_slice(&(*size as u64).to_le_bytes());
        }
    }
}
