//! The system call filter: what no builder may do, whatever the sandbox around it allows.
//!
//! Refused are: setting the setuid and setgid bits, by any call that takes a mode (`EPERM`);
//! extended attributes and ACLs, which a NAR cannot hold (`ENOTSUP`); and io_uring and `openat2`,
//! whose arguments a filter cannot see (`ENOSYS`, so that programs fall back to what it can see).
//! Everything else is allowed. Programs for the 32-bit architecture of the machine run too, under
//! the same rules; any other architecture is killed.
//!
//! The filter is classic BPF, see `seccomp(2)`; this module only computes it and installs it.

use std::io;

/// `EPERM`, `ENOSYS` and `EOPNOTSUPP` are the same numbers on all architectures of Linux here.
const EPERM: u32 = libc::EPERM as u32;
const ENOSYS: u32 = libc::ENOSYS as u32;
const ENOTSUP: u32 = libc::EOPNOTSUPP as u32;

const SET_ID_BITS: u32 = 0o6000;
/// `O_CREAT` and the bit of `O_TMPFILE` that is its own: only with them is there a mode argument.
const CREATE_FLAGS: u32 = libc::O_CREAT as u32 | 0o20_000_000;

/// The x32 calls of x86-64 have the same numbers with this bit set.
const X32_BIT: u32 = 0x4000_0000;

/// How one call is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Always refused with this error.
    Refuse(u32),
    /// `EPERM` if the mode in this argument has a set-id bit.
    Mode(u8),
    /// `EPERM` if the flags in the first argument say that a file is created and the mode in the
    /// second has a set-id bit.
    Create {
        /// Index of the flags.
        flags: u8,
        /// Index of the mode.
        mode: u8,
    },
}

/// An architecture: its `AUDIT_ARCH_*` number and its rules by call number.
struct Architecture {
    audit: u32,
    x32: bool,
    rules: Vec<(u32, Rule)>,
}

/// Calls with the same number everywhere, because they were added after the numbers were unified.
fn unified(lenient: bool) -> Vec<(u32, Rule)> {
    let mut rules = vec![
        (425, Rule::Refuse(ENOSYS)),  // io_uring_setup
        (426, Rule::Refuse(ENOSYS)),  // io_uring_enter
        (427, Rule::Refuse(ENOSYS)),  // io_uring_register
        (452, Rule::Mode(2)),         // fchmodat2
        (463, Rule::Refuse(ENOTSUP)), // setxattrat
        (464, Rule::Refuse(ENOTSUP)), // getxattrat
        (469, Rule::Refuse(ENOTSUP)), // file_setattr
    ];
    if !lenient {
        rules.push((437, Rule::Refuse(ENOSYS))); // openat2
    }
    rules
}

fn xattrs(numbers: [u32; 6]) -> impl Iterator<Item = (u32, Rule)> {
    numbers.into_iter().map(|number| (number, Rule::Refuse(ENOTSUP)))
}

fn architectures(lenient: bool) -> Vec<Architecture> {
    let architecture = |audit, x32, own: &[(u32, Rule)], attrs| {
        let mut rules = unified(lenient);
        rules.extend_from_slice(own);
        rules.extend(xattrs(attrs));
        Architecture { audit, x32, rules }
    };
    if cfg!(target_arch = "x86_64") {
        let amd64 = [
            (2, Rule::Create { flags: 1, mode: 2 }),   // open
            (85, Rule::Mode(1)),                       // creat
            (90, Rule::Mode(1)),                       // chmod
            (91, Rule::Mode(1)),                       // fchmod
            (133, Rule::Mode(1)),                      // mknod
            (257, Rule::Create { flags: 2, mode: 3 }), // openat
            (259, Rule::Mode(2)),                      // mknodat
            (268, Rule::Mode(2)),                      // fchmodat
        ];
        let i386 = [
            (5, Rule::Create { flags: 1, mode: 2 }),
            (8, Rule::Mode(1)),
            (14, Rule::Mode(1)),
            (15, Rule::Mode(1)),
            (94, Rule::Mode(1)),
            (295, Rule::Create { flags: 2, mode: 3 }),
            (297, Rule::Mode(2)),
            (306, Rule::Mode(2)),
        ];
        vec![
            architecture(0xC000_003E, true, &amd64, [188, 189, 190, 191, 192, 193]),
            architecture(0x4000_0003, false, &i386, [226, 227, 228, 229, 230, 231]),
        ]
    } else if cfg!(target_arch = "aarch64") {
        let arm64 = [
            (33, Rule::Mode(2)),                      // mknodat
            (52, Rule::Mode(1)),                      // fchmod
            (53, Rule::Mode(2)),                      // fchmodat
            (56, Rule::Create { flags: 2, mode: 3 }), // openat
        ];
        let arm = [
            (5, Rule::Create { flags: 1, mode: 2 }),
            (8, Rule::Mode(1)),
            (14, Rule::Mode(1)),
            (15, Rule::Mode(1)),
            (94, Rule::Mode(1)),
            (322, Rule::Create { flags: 2, mode: 3 }),
            (324, Rule::Mode(2)),
            (333, Rule::Mode(2)),
        ];
        vec![
            architecture(0xC000_00B7, false, &arm64, [5, 6, 7, 8, 9, 10]),
            architecture(0x4000_0028, false, &arm, [226, 227, 228, 229, 230, 231]),
        ]
    } else {
        Vec::new()
    }
}

/// One BPF instruction, laid out as the kernel's `sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    value: u32,
}

const fn op(code: u16, jump_true: u8, jump_false: u8, value: u32) -> Instruction {
    Instruction { code, jump_true, jump_false, value }
}
/// `BPF_LD | BPF_W | BPF_ABS`
const LOAD: u16 = 0x20;
/// `BPF_JMP | BPF_JEQ | BPF_K`
const JUMP_EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JSET | BPF_K`
const JUMP_ANY_BIT: u16 = 0x45;
/// `BPF_ALU | BPF_AND | BPF_K`
const AND: u16 = 0x54;
/// `BPF_RET | BPF_K`
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const ERRNO: u32 = 0x0005_0000;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;

/// Offset of the low half of an argument; all architectures here are little-endian.
const fn argument(index: u8) -> u32 {
    16 + 8 * index as u32
}

/// The filter program. With `lenient`, `openat2` is allowed (for builders that are built in).
pub(super) fn program(lenient: bool) -> Option<Vec<Instruction>> {
    let architectures = architectures(lenient);
    if architectures.is_empty() {
        return None;
    }
    let mut program = vec![op(LOAD, 0, 0, ARCH)];
    for architecture in architectures {
        let block = block(&architecture);
        // A conditional jump reaches only 255 instructions, which a block stays below (tested).
        program.push(op(JUMP_EQUAL, 0, u8::try_from(block.len()).ok()?, architecture.audit));
        program.extend(block);
    }
    program.push(op(RETURN, 0, 0, KILL_PROCESS));
    Some(program)
}

fn block(architecture: &Architecture) -> Vec<Instruction> {
    let mut block = vec![op(LOAD, 0, 0, NUMBER)];
    if architecture.x32 {
        block.push(op(AND, 0, 0, !X32_BIT));
    }
    for (number, rule) in &architecture.rules {
        let body = match *rule {
            Rule::Refuse(error) => vec![op(RETURN, 0, 0, ERRNO | error)],
            Rule::Mode(mode) => vec![
                op(LOAD, 0, 0, argument(mode)),
                op(JUMP_ANY_BIT, 0, 1, SET_ID_BITS),
                op(RETURN, 0, 0, ERRNO | EPERM),
                op(RETURN, 0, 0, ALLOW),
            ],
            Rule::Create { flags, mode } => vec![
                op(LOAD, 0, 0, argument(flags)),
                op(JUMP_ANY_BIT, 0, 3, CREATE_FLAGS),
                op(LOAD, 0, 0, argument(mode)),
                op(JUMP_ANY_BIT, 0, 1, SET_ID_BITS),
                op(RETURN, 0, 0, ERRNO | EPERM),
                op(RETURN, 0, 0, ALLOW),
            ],
        };
        block.push(op(JUMP_EQUAL, 0, body.len() as u8, *number));
        block.extend(body);
    }
    block.push(op(RETURN, 0, 0, ALLOW));
    block
}

/// Installs the filter in this thread and all that it starts; it can never be taken off again.
/// `no_new_privs` must be set, or the caller must have `CAP_SYS_ADMIN`.
///
/// # Errors
/// When the kernel refuses it, or on an architecture without rules.
pub(super) fn install(lenient: bool) -> io::Result<()> {
    let Some(program) = program(lenient) else {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "there is no system call filter for this architecture; you can go without it by \
             setting the option 'filter-syscalls' to false, but then untrusted builds can create \
             setuid binaries",
        ));
    };
    #[repr(C)]
    struct Program {
        length: u16,
        filter: *const Instruction,
    }
    let descriptor = Program {
        length: u16::try_from(program.len())
            .map_err(|_| io::Error::other("the system call filter is too long"))?,
        filter: program.as_ptr(),
    };
    const SECCOMP_SET_MODE_FILTER: libc::c_ulong = 1;
    // SAFETY: `descriptor` has the layout of `struct sock_fprog` and points to `length`
    // instructions that outlive the call; the kernel copies and checks them.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0 as libc::c_ulong, &descriptor)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the program as the kernel would.
    fn judge(program: &[Instruction], arch: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let load = |offset: u32| match offset {
            NUMBER => number,
            ARCH => arch,
            _ => arguments[(offset as usize - 16) / 8] as u32,
        };
        let (mut at, mut accumulator) = (0, 0u32);
        loop {
            let i = program[at];
            at += 1;
            match i.code {
                LOAD => accumulator = load(i.value),
                AND => accumulator &= i.value,
                JUMP_EQUAL | JUMP_ANY_BIT => {
                    let hit = if i.code == JUMP_EQUAL {
                        accumulator == i.value
                    } else {
                        accumulator & i.value != 0
                    };
                    at += usize::from(if hit { i.jump_true } else { i.jump_false });
                }
                RETURN => return i.value,
                code => panic!("unknown instruction {code:#x}"),
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn refuses_set_id_modes_on_every_path() {
        let program = program(false).unwrap();
        let (amd64, i386) = (0xC000_003E, 0x4000_0003);
        let refused = ERRNO | EPERM;
        let creat = u64::from(libc::O_CREAT as u32);
        let tmpfile = libc::O_TMPFILE as u64;
        for (arch, number, arguments, verdict) in [
            (amd64, 90, [0, 0o4755, 0, 0, 0, 0], refused),
            (amd64, 90, [0, 0o2755, 0, 0, 0, 0], refused),
            (amd64, 90, [0, 0o1755, 0, 0, 0, 0], ALLOW),
            (amd64, 90, [0o4000, 0o755, 0o4000, 0, 0, 0], ALLOW),
            (amd64, 91, [0, 0o4000, 0, 0, 0, 0], refused),
            (amd64, 268, [0, 0, 0o4000, 0, 0, 0], refused),
            (amd64, 452, [0, 0, 0o4000, 0, 0, 0], refused),
            (amd64, 452 | X32_BIT, [0, 0, 0o4000, 0, 0, 0], refused),
            (amd64, 90 | X32_BIT, [0, 0o4000, 0, 0, 0, 0], refused),
            (amd64, 85, [0, 0o4755, 0, 0, 0, 0], refused),
            (amd64, 2, [0, creat, 0o4755, 0, 0, 0], refused),
            (amd64, 2, [0, tmpfile, 0o4755, 0, 0, 0], refused),
            (amd64, 2, [0, 0, 0o4755, 0, 0, 0], ALLOW),
            (amd64, 257, [0, 0, creat, 0o2755, 0, 0], refused),
            (amd64, 257, [0, 0, creat, 0o755, 0, 0], ALLOW),
            (amd64, 257, [0, 0, 0, 0o2755, 0, 0], ALLOW),
            (amd64, 133, [0, 0o104_755, 0, 0, 0, 0], refused),
            (amd64, 259, [0, 0, 0o104_755, 0, 0, 0], refused),
            (amd64, 437, [0; 6], ERRNO | ENOSYS),
            (amd64, 425, [0; 6], ERRNO | ENOSYS),
            (amd64, 190, [0; 6], ERRNO | ENOTSUP),
            (amd64, 463, [0; 6], ERRNO | ENOTSUP),
            (amd64, 0, [0; 6], ALLOW),
            (i386, 15, [0, 0o4755, 0, 0, 0, 0], refused),
            (i386, 306, [0, 0, 0o4755, 0, 0, 0], refused),
            (i386, 5, [0, creat, 0o4755, 0, 0, 0], refused),
            (i386, 226, [0; 6], ERRNO | ENOTSUP),
            (i386, 90, [0, 0o4755, 0, 0, 0, 0], ALLOW),
            (0xC000_00B7, 52, [0; 6], KILL_PROCESS),
        ] {
            assert_eq!(judge(&program, arch, number, arguments), verdict, "{arch:#x} {number}");
        }
        let lenient = super::program(true).unwrap();
        assert_eq!(judge(&lenient, amd64, 437, [0; 6]), ALLOW);
        assert_eq!(judge(&lenient, amd64, 90, [0, 0o4000, 0, 0, 0, 0]), refused);
    }

    #[test]
    fn every_jump_stays_inside() {
        for lenient in [false, true] {
            let Some(program) = program(lenient) else { return };
            for (at, i) in program.iter().enumerate() {
                assert!(at + 1 + usize::from(i.jump_true.max(i.jump_false)) < program.len() + 1);
            }
            assert!(program.len() < 4096);
        }
    }
}
