//! Ctrl-C: the first one asks everything to stop and tidy up, the second one ends the program.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

extern "C" fn note(signal: libc::c_int) {
    // Only atomics and `signal`, `raise`: this may interrupt any code.
    if let Some(flag) = FLAG.get() {
        flag.store(true, Ordering::Relaxed);
    }
    // SAFETY: setting the default action is allowed in a handler.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// The flag that is set by Ctrl-C, SIGTERM and SIGHUP from now on.
pub fn flag() -> Arc<AtomicBool> {
    let flag = FLAG.get_or_init(Arc::default).clone();
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: `note` does only what a handler may do. A signal that is ignored, as under nohup,
        // stays ignored.
        unsafe {
            let before = libc::signal(signal, note as *const () as libc::sighandler_t);
            if before == libc::SIG_IGN {
                libc::signal(signal, libc::SIG_IGN);
            }
        }
    }
    flag
}
