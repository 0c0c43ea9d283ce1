//! Whole strings inside an ELF file that become other, often longer, ones.
//!
//! A string of the same length or shorter is overwritten where it is. A longer one goes into a new
//! segment, and what refers to the old one is re-pointed: instructions that compute its address
//! (`lea reg, [rip+disp]`, on x86-64) and relocations that put it into a table (`R_X86_64_RELATIVE`). A
//! reference that is neither stays, and points to the old string. Code that holds the length of the
//! string as a constant beside the reference (a macro with `sizeof`) is changed too where that is asked for.

use std::collections::BTreeMap;

use super::edit::NewString;
use super::{
    DT_RELA, DT_RELASZ, EM_X86_64, Elf, PF_W, PF_X, PT_LOAD, Segment, index, string_at, u32_at,
    u64_at,
};

const RELA_SIZE: usize = 24;
const R_X86_64_RELATIVE: u64 = 8;

/// A place that refers to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reference {
    /// The offset of an instruction's 32-bit displacement, and the address after the instruction.
    Displacement { at: usize, next: u64 },
    /// The offset of a relocation's addend, and of the word that it fills.
    Addend { at: usize, word: Option<usize> },
}

/// The replacements that a file needs, and where.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    in_place: Vec<(usize, String, String)>,
    append: BTreeMap<String, (NewString, Vec<Reference>)>,
}

impl Moves {
    pub(crate) fn find(elf: &Elf<'_>, strings: &BTreeMap<String, NewString>) -> Self {
        let mut moves = Self::default();
        if strings.is_empty() {
            return moves;
        }
        // Every address that holds one of the strings, to its end: the tail of a longer string too, as
        // linkers share tails. Only what is referred to is touched.
        let mut addresses: BTreeMap<u64, &String> = BTreeMap::new();
        for segment in elf.segments.iter().filter(|segment| holds_constants(segment)) {
            let start = index(segment.offset);
            let Some(bytes) = elf
                .data
                .get(start..start.saturating_add(index(segment.file_size)).min(elf.data.len()))
            else {
                continue;
            };
            for (from, to) in
                strings.iter().filter(|(from, new)| !from.is_empty() && **from != new.to)
            {
                let mut ended = from.clone().into_bytes();
                ended.push(0);
                for at in memchr::memmem::find_iter(bytes, &ended) {
                    let whole = at == 0 || bytes[at - 1] == 0;
                    if to.to.len() <= from.len() {
                        if whole {
                            moves.in_place.push((start + at, from.clone(), to.to.clone()));
                        }
                    } else {
                        addresses.insert(segment.address + at as u64, from);
                    }
                }
            }
        }
        if !addresses.is_empty() {
            for_each_reference(elf, |target, reference| {
                if let Some(from) = addresses.get(&target) {
                    moves
                        .append
                        .entry((*from).clone())
                        .or_insert_with(|| (strings[*from].clone(), Vec::new()))
                        .1
                        .push(reference);
                }
            });
        }
        moves
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.in_place.is_empty() && self.append.is_empty()
    }

    pub(crate) fn all_in_place(&self) -> bool {
        self.append.is_empty()
    }

    pub(crate) fn replaced(&self) -> Vec<String> {
        let mut found: Vec<String> =
            self.in_place.iter().map(|(_, from, _)| from.clone()).collect();
        found.extend(self.append.keys().cloned());
        found.sort();
        found.dedup();
        found
    }

    pub(crate) fn write_in_place(&self, data: &mut [u8]) {
        for (at, from, to) in &self.in_place {
            let place = &mut data[*at..*at + from.len()];
            place.fill(0);
            place[..to.len()].copy_from_slice(to.as_bytes());
        }
    }

    pub(crate) fn to_append(&self) -> impl Iterator<Item = (&str, &NewString)> {
        self.append.iter().map(|(from, (to, _))| (from.as_str(), to))
    }

    /// Makes all that refers to the string refer to `address`.
    pub(crate) fn point_to(&self, data: &mut [u8], from: &str, address: u64) -> Result<(), String> {
        let Some((new, references)) = self.append.get(from) else { return Ok(()) };
        for reference in references {
            match *reference {
                Reference::Displacement { at, next } => {
                    let displacement = i32::try_from(address.wrapping_sub(next).cast_signed())
                        .map_err(|_| "is too large to reach a moved string")?;
                    data[at..at + 4].copy_from_slice(&displacement.to_le_bytes());
                    if new.with_length {
                        change_length(data, at, from.len(), new.to.len());
                    }
                }
                Reference::Addend { at, word } => {
                    data[at..at + 8].copy_from_slice(&address.to_le_bytes());
                    if let Some(word) = word {
                        data[word..word + 8].copy_from_slice(&address.to_le_bytes());
                    }
                }
            }
        }
        Ok(())
    }
}

/// Changes the constants around the displacement at `at` that are the old length, with or without the
/// ending NUL.
fn change_length(data: &mut [u8], at: usize, old: usize, new: usize) {
    /// How far from the reference a constant is looked for, in bytes.
    const WINDOW: usize = 28;
    for place in at.saturating_sub(WINDOW).max(4)..(at + WINDOW).min(data.len().saturating_sub(4)) {
        let Some(value) = u32_at(data, place).map(|value| index(value.into())) else { return };
        if !(old..=old + 1).contains(&value) || (at..at + 4).contains(&place) {
            continue;
        }
        // mov reg, imm32 (B8+r), or mov [base + disp8], imm32 (C7 /0) without and with a scale byte.
        let is_move = matches!(data[place - 1], 0xb8..=0xbf)
            || (data[place - 3] == 0xc7 && data[place - 2] & 0xf8 == 0x40)
            || (data[place - 4] == 0xc7 && data[place - 3] == 0x44);
        if is_move && let Ok(length) = u32::try_from(new + (value - old)) {
            data[place..place + 4].copy_from_slice(&length.to_le_bytes());
        }
    }
}

fn holds_constants(segment: &Segment) -> bool {
    segment.kind == PT_LOAD && segment.flags & PF_W == 0
}

/// Calls `found` with the target of every reference of the two known kinds.
fn for_each_reference(elf: &Elf<'_>, mut found: impl FnMut(u64, Reference)) {
    if elf.machine != EM_X86_64 {
        return;
    }
    for segment in
        elf.segments.iter().filter(|segment| segment.kind == PT_LOAD && segment.flags & PF_X != 0)
    {
        let start = index(segment.offset);
        let end = start.saturating_add(index(segment.file_size)).min(elf.data.len());
        let Some(code) = elf.data.get(start..end) else { continue };
        for at in memchr::memchr_iter(0x8d, code) {
            // REX.W 8D /r with a register and [rip + disp32].
            let Some(&[_, modrm, d0, d1, d2, d3]) = code.get(at..at + 6) else { continue };
            let rex = at.checked_sub(1).map_or(0, |before| code[before]);
            if !matches!(rex, 0x48 | 0x4c) || modrm & 0xc7 != 0x05 {
                continue;
            }
            let next = segment.address + at as u64 + 6;
            let target = next.wrapping_add_signed(i64::from(i32::from_le_bytes([d0, d1, d2, d3])));
            found(target, Reference::Displacement { at: start + at + 2, next });
        }
    }
    let table = || {
        let at = elf.offset_of(elf.tag(DT_RELA)?)?;
        Some((at, index(elf.tag(DT_RELASZ)?)))
    };
    let Some((table, size)) = table() else { return };
    for at in (table..table.saturating_add(size)).step_by(RELA_SIZE) {
        let (Some(place), Some(info), Some(addend)) =
            (u64_at(elf.data, at), u64_at(elf.data, at + 8), u64_at(elf.data, at + 16))
        else {
            return;
        };
        if info & 0xffff_ffff == R_X86_64_RELATIVE {
            // Linkers may write the addend into the word too; the loader overwrites it.
            let word = elf.offset_of(place).filter(|word| u64_at(elf.data, *word) == Some(addend));
            found(addend, Reference::Addend { at: at + 16, word });
        }
    }
}

/// Every constant string that code or tables refer to from its start and that begins with `/`. Sorted.
#[must_use]
pub fn referenced_paths(elf: &Elf<'_>) -> Vec<String> {
    let constants: Vec<&Segment> =
        elf.segments.iter().filter(|segment| holds_constants(segment)).collect();
    let mut paths = std::collections::BTreeSet::new();
    for_each_reference(elf, |target, _| {
        let Some(segment) = constants.iter().find(|segment| {
            target >= segment.address && target - segment.address < segment.file_size
        }) else {
            return;
        };
        let at = index(target - segment.address + segment.offset);
        if elf.data.get(at) == Some(&b'/')
            && let Some(string) = string_at(elf.data, at)
            && string.len() > 4
            && string.len() < 256
            && let Ok(path) = std::str::from_utf8(string)
            && path.bytes().all(|byte| byte.is_ascii_graphic())
        {
            paths.insert(path.to_owned());
        }
    });
    paths.into_iter().collect()
}
