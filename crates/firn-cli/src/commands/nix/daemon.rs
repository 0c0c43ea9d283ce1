//! `nix daemon`.

use super::call::Call;
use super::flags::{Flag, flag};
use crate::commands::nix_daemon::{Options, daemon};
use crate::common::legacy::Outcome;

/// Flags of `nix daemon`.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    flag("stdio", None, "attach to standard I/O, instead of using UNIX socket(s)"),
    flag("force-trusted", None, "force the daemon to trust connecting clients"),
    flag("force-untrusted", None, "force the daemon to not trust connecting clients"),
    flag("default-trust", None, "use Nix's default trust"),
    flag("process-ops", None, "do operations here instead of handing them on to another daemon"),
];

/// `nix daemon`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let mut options = Options::default();
    for flag in FLAGS {
        if call.given.has(flag.long) {
            options.take(&call.common, &format!("--{}", flag.long))?;
        }
    }
    daemon(&call.common, options)
}
