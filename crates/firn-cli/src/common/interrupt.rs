//! Ctrl-C: the first one asks everything to stop and tidy up, the second one ends the program.

use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, OnceLock};

use firn_eval::Vm;
use firn_eval::machine::Interrupter;

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

/// What Ctrl-C interrupts in a session, once there is one.
static EVALUATION: AtomicPtr<Interrupter> = AtomicPtr::new(std::ptr::null_mut());

extern "C" fn interrupt(_: libc::c_int) {
    // Only atomics: this may interrupt any code.
    if let Some(flag) = FLAG.get() {
        flag.store(true, Ordering::Relaxed);
    }
    // SAFETY: null, or what `evaluation` leaked.
    if let Some(interrupter) = unsafe { EVALUATION.load(Ordering::Acquire).as_ref() } {
        interrupter.interrupt();
    }
}

/// From now on Ctrl-C ends what is being evaluated or built, and not the program. The evaluator must not be
/// interrupted at the moment.
pub fn evaluation(vm: &Vm) -> Interrupter {
    let interrupter = vm.interrupter();
    if EVALUATION.load(Ordering::Acquire).is_null() {
        // One for the program: sessions within sessions are on the same evaluator.
        let leaked = Box::leak(Box::new(interrupter.clone()));
        EVALUATION.store(leaked, Ordering::Release);
    }
    reset(&interrupter);
    interrupter
}

/// Nothing is interrupted any more. To be called before each evaluation, since editors of lines have handlers
/// of their own.
pub fn reset(interrupter: &Interrupter) {
    // SAFETY: `interrupt` does only what a handler may do.
    unsafe {
        libc::signal(libc::SIGINT, interrupt as *const () as libc::sighandler_t);
    }
    if let Some(flag) = FLAG.get() {
        flag.store(false, Ordering::Relaxed);
    }
    interrupter.reset();
}
