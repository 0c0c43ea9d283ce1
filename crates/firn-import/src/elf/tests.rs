use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use super::edit::{Changes, NewString, edit};
use super::{Elf, PT_GNU_PROPERTY, u16_at};

const PROGRAM: &str = r#"
#include <stdio.h>
#include <string.h>
static const char *const table[] = { "/usr/share/tool/table", "short" };
static int state[40000];
int where(const char **path);
int main(void) {
    const char *path;
    state[39999] = where(&path);
    printf("%s|%s|%s|%d\n", "/usr/share/tool/direct", table[strlen(path) > 90], path, state[39999]);
    return 0;
}
"#;
const LIBRARY: &str = r#"
int where(const char **path) { *path = "/usr/lib/tool/library"; return 7; }
"#;

/// A program and its library, or `None` where there is no C compiler.
fn compiled(folder: &Path, flags: &[&str]) -> Option<(Vec<u8>, Vec<u8>)> {
    std::fs::write(folder.join("p.c"), PROGRAM).unwrap();
    std::fs::write(folder.join("l.c"), LIBRARY).unwrap();
    let cc = |arguments: &[&str]| {
        let status = Command::new("cc").current_dir(folder).args(arguments).args(flags).status();
        status.is_ok_and(|status| status.success())
    };
    if !cc(&["-O2", "-shared", "-fPIC", "-Wl,-soname,libtool.so.1", "-o", "libtool.so.1", "l.c"])
        || !cc(&["-O2", "-fPIE", "-o", "p", "p.c", "libtool.so.1"])
    {
        eprintln!("skipped: no C compiler");
        return None;
    }
    let read = |name| std::fs::read(folder.join(name)).unwrap();
    Some((read("p"), read("libtool.so.1")))
}

fn write_program(path: &Path, data: &[u8]) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, data).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs an edited program; another test's fork may hold the file open for a moment.
fn output_of(program: &Path) -> String {
    for _ in 0..100 {
        match Command::new(program).output() {
            Ok(output) => {
                assert!(output.status.success(), "{output:?}");
                return String::from_utf8(output.stdout).unwrap();
            }
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("'{}' stays busy", program.display());
}

fn moved(pairs: &[(&str, &str)]) -> BTreeMap<String, NewString> {
    let new = |to: &str| NewString { to: to.to_owned(), with_length: false };
    pairs.iter().map(|(from, to)| ((*from).to_owned(), new(to))).collect()
}

#[test]
fn programs_run_with_a_longer_interpreter_runpath_and_strings() {
    // With and without the note whose header is reused, and with no spare entry in the dynamic table.
    let variants: [&[&str]; 3] = [
        &["-fcf-protection=full"],
        &["-fcf-protection=none", "-Wl,-z,noseparate-code"],
        &["-Wl,--spare-dynamic-tags=0"],
    ];
    for flags in variants {
        let folder = tempfile::tempdir().unwrap();
        let Some((program, library)) = compiled(folder.path(), flags) else { return };
        let elf = Elf::parse(&program).unwrap();
        assert!(elf.needed().contains(&"libtool.so.1"), "{:?}", elf.needed());
        assert_eq!(elf.runpath(), None);
        let loader = elf.interpreter().unwrap();
        assert!(elf.library_strings().contains(&"libtool.so.1".to_owned()));

        let long = "x".repeat(150);
        let libraries = folder.path().join(&long);
        std::fs::create_dir(&libraries).unwrap();
        let new_loader = libraries.join("loader");
        std::os::unix::fs::symlink(loader, &new_loader).unwrap();
        let new_loader = new_loader.to_str().unwrap().to_owned();

        let library_changes = Changes {
            strings: moved(&[("/usr/lib/tool/library", &format!("/s/{long}/library"))]),
            ..Changes::default()
        };
        let edited = edit(&Elf::parse(&library).unwrap(), &library_changes).unwrap().unwrap();
        assert_eq!(edited.strings, ["/usr/lib/tool/library"]);
        assert_eq!(Elf::parse(&edited.data).unwrap().soname(), Some("libtool.so.1"));
        std::fs::write(libraries.join("libtool.so.1"), &edited.data).unwrap();

        let changes = Changes {
            interpreter: Some(new_loader.clone()),
            runpath: Some(libraries.to_str().unwrap().to_owned()),
            strings: moved(&[
                ("/usr/share/tool/direct", &format!("/s/{long}/direct")),
                ("/usr/share/tool/table", &format!("/s/{long}/table")),
            ]),
        };
        let edited = edit(&elf, &changes).unwrap().unwrap();
        let new = Elf::parse(&edited.data).unwrap();
        assert_eq!(new.interpreter(), Some(new_loader.as_str()));
        assert_eq!(new.runpath(), libraries.to_str());
        assert_eq!(new.needed(), elf.needed());
        let path = folder.path().join("edited");
        write_program(&path, &edited.data);
        let expected = format!("/s/{long}/direct|/s/{long}/table|/s/{long}/library|7\n");
        // The table's entry is the short one only for long paths.
        let expected = expected.replace(&format!("/s/{long}/table"), "short");
        assert_eq!(output_of(&path), expected, "{flags:?}");

        // Editing what was edited works, and asking for what is there changes nothing.
        assert!(
            edit(&new, &Changes { strings: BTreeMap::new(), ..changes.clone() }).unwrap().is_none()
        );
        let again = Changes {
            runpath: Some(format!("{}:/nowhere", libraries.display())),
            ..Changes::default()
        };
        let again = edit(&new, &again).unwrap().unwrap();
        write_program(&path, &again.data);
        assert_eq!(output_of(&path), expected, "{flags:?}, edited twice");

        // The program headers' place is what the kernel tells the program on all kernels.
        let first = new.segments.iter().find(|segment| segment.kind == super::PT_LOAD).unwrap();
        if let Some(headers) = new.segment(super::PT_PHDR) {
            assert_eq!(headers.address - headers.offset, first.address - first.offset);
        }
        assert!(new.segment(PT_GNU_PROPERTY).is_none());
    }
}

#[test]
fn tables_of_strings_are_moved() {
    let folder = tempfile::tempdir().unwrap();
    let Some((program, library)) = compiled(folder.path(), &[]) else { return };
    std::fs::write(folder.path().join("libtool.so.1"), library).unwrap();
    let long = "y".repeat(100);
    let changes = Changes {
        runpath: Some(folder.path().to_str().unwrap().to_owned()),
        strings: moved(&[("/usr/share/tool/table", &format!("/{long}")), ("short", "s")]),
        ..Changes::default()
    };
    let edited = edit(&Elf::parse(&program).unwrap(), &changes).unwrap().unwrap();
    let path = folder.path().join("edited");
    write_program(&path, &edited.data);
    assert_eq!(
        output_of(&path),
        format!("/usr/share/tool/direct|/{long}|/usr/lib/tool/library|7\n")
    );
    let paths = super::strings::referenced_paths(&Elf::parse(&program).unwrap());
    assert!(paths.contains(&"/usr/share/tool/direct".to_owned()), "{paths:?}");
    assert!(paths.contains(&"/usr/share/tool/table".to_owned()), "{paths:?}");
}

#[test]
fn readelf_finds_no_fault_and_patchelf_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let Some((program, _)) = compiled(folder.path(), &[]) else { return };
    let changes = Changes {
        interpreter: Some("/s/glibc/lib/ld-linux-x86-64.so.2".into()),
        runpath: Some("/s/a/lib:/s/b/lib".into()),
        ..Changes::default()
    };
    let edited = edit(&Elf::parse(&program).unwrap(), &changes).unwrap().unwrap();
    let path = folder.path().join("edited");
    std::fs::write(&path, &edited.data).unwrap();
    if let Ok(output) = Command::new("readelf").arg("-aW").arg(&path).output() {
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("Library runpath: [/s/a/lib:/s/b/lib]"), "{text}");
        assert!(text.contains("/s/glibc/lib/ld-linux-x86-64.so.2"));
    }
    for (option, expected) in [
        ("--print-rpath", "/s/a/lib:/s/b/lib\n"),
        ("--print-interpreter", "/s/glibc/lib/ld-linux-x86-64.so.2\n"),
    ] {
        if let Ok(output) = Command::new("patchelf").arg(option).arg(&path).output() {
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        }
    }
}

#[test]
fn damaged_files_are_refused_not_crashed_on() {
    let folder = tempfile::tempdir().unwrap();
    let Some((program, _)) = compiled(folder.path(), &[]) else { return };
    let changes = Changes {
        interpreter: Some("/x".repeat(40)),
        runpath: Some("/y".repeat(40)),
        strings: moved(&[("/usr/share/tool/direct", &"/z".repeat(40))]),
    };
    // Every length up to past the headers, and every byte of the headers and the dynamic table flipped.
    for length in 0..1024 {
        if let Some(elf) = Elf::parse(&program[..length]) {
            let _ = edit(&elf, &changes);
        }
    }
    let dynamic = Elf::parse(&program)
        .unwrap()
        .segment(super::PT_DYNAMIC)
        .map(|s| super::index(s.offset))
        .unwrap();
    let headers = 64 + 56 * usize::from(u16_at(&program, 56).unwrap());
    for at in (0..headers).chain(dynamic..dynamic + 512) {
        for value in [0x00, 0x7f, 0xff] {
            let mut damaged = program.clone();
            damaged[at] = value;
            if let Some(elf) = Elf::parse(&damaged) {
                let _ = (elf.needed(), elf.runpath(), elf.interpreter());
                let _ = edit(&elf, &changes);
            }
        }
    }
}

#[test]
fn lengths_beside_a_reference_are_changed_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let source = r#"
        #include <stdio.h>
        __attribute__((noinline)) void show(const char *path, unsigned length) { printf("%.*s", (int) length, path); }
        int main(void) { show("/usr/share/tool", sizeof "/usr/share/tool" - 1); return 0; }
    "#;
    std::fs::write(folder.path().join("p.c"), source).unwrap();
    let status =
        Command::new("cc").current_dir(folder.path()).args(["-O1", "-o", "p", "p.c"]).status();
    if !status.is_ok_and(|status| status.success()) {
        eprintln!("skipped: no C compiler");
        return;
    }
    let program = std::fs::read(folder.path().join("p")).unwrap();
    for with_length in [false, true] {
        let to = "/somewhere/else/entirely".to_owned();
        let strings = [("/usr/share/tool".to_owned(), NewString { to: to.clone(), with_length })];
        let changes = Changes { strings: strings.into(), ..Changes::default() };
        let edited = edit(&Elf::parse(&program).unwrap(), &changes).unwrap().unwrap();
        let path = folder.path().join("edited");
        write_program(&path, &edited.data);
        assert_eq!(output_of(&path), if with_length { &to } else { &to[..15] });
    }
}
