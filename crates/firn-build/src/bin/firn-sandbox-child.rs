//! The sandbox's guard process alone, for the tests of this crate; `firn __sandbox-child` is the
//! same for users.

#![allow(clippy::exit, reason = "this is a whole program")]

fn main() {
    let args: Vec<std::ffi::OsString> = std::env::args_os().skip(1).collect();
    if let [flag, store, real, program, args @ ..] = &args[..]
        && flag == "--enter"
    {
        let error =
            firn_build::sandbox::exec_in_store(store.as_ref(), real.as_ref(), program, args);
        #[expect(clippy::print_stderr, reason = "the test reads it")]
        {
            eprintln!("{error}");
        }
        std::process::exit(1);
    }
    std::process::exit(firn_build::sandbox::child_main());
}
