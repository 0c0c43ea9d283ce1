//! Abstract sockets: a builder that shares the host's network must not reach, or be reached by,
//! processes outside through sockets that have no file (this is how file descriptors were smuggled
//! out of fixed-output builds, CVE-2024-27297). Landlock can confine them since Linux 6.12; on
//! older kernels the copy that is made of every fixed output protects alone.

/// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL`, see `landlock(7)`.
const SCOPES: u64 = 0b11;

#[repr(C)]
struct RulesetAttributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// Confines abstract sockets and signals to this process and its children. Returns whether the
/// kernel can; needs `no_new_privs`.
pub(super) fn scope_sockets() -> bool {
    let attributes =
        RulesetAttributes { handled_access_fs: 0, handled_access_net: 0, scoped: SCOPES };
    // SAFETY: the pointer and the size describe `attributes`, which the kernel only reads.
    let ruleset = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &attributes,
            size_of::<RulesetAttributes>(),
            0,
        )
    };
    if ruleset < 0 {
        return false;
    }
    // SAFETY: `ruleset` is a file descriptor that was just made and is used by nobody else.
    unsafe {
        let done = libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) == 0;
        libc::close(ruleset as libc::c_int);
        done
    }
}
