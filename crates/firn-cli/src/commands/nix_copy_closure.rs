//! `nix-copy-closure`: copies paths and all that they need to another machine, or from it, by `ssh`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use firn_daemon::ManagedStore;
use firn_daemon::copy::copy_paths;
use firn_store::ClosureOptions;
use firn_store::layout::StoreReference;

use crate::common::legacy::{self, Common, Outcome, Taken, fail, usage};
use crate::common::remote::open_managed;

/// Runs `nix-copy-closure`.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    legacy::run("nix-copy-closure", |out| main(args, out))
}

fn main(args: Vec<OsString>, out: &mut dyn Write) -> Outcome {
    let mut words: Vec<String> = Vec::new();
    let (mut to, mut gzip, mut include_outputs, mut substitute, mut dry_run) =
        (true, false, false, false, false);
    let mut instead = None;
    let common = Common::parse("nix-copy-closure", args, |_, arg, _| {
        match arg {
            "--help" => instead = Some(HELP.to_owned()),
            "--version" => {
                instead = Some(format!("nix-copy-closure (Nix) {}\n", crate::common::NIX_VERSION));
            }
            "--gzip" | "--bzip2" | "--xz" => gzip = true,
            "--from" => to = false,
            "--to" => to = true,
            "--include-outputs" => include_outputs = true,
            "--show-progress" => {}
            "--dry-run" => dry_run = true,
            "--use-substitutes" | "-s" => substitute = true,
            _ if arg.starts_with('-') => return Ok(Taken::No),
            _ => words.push(arg.to_owned()),
        }
        Ok(Taken::Yes)
    })?;
    if let Some(text) = instead {
        return Ok(out.write_all(text.as_bytes())?);
    }
    if words.is_empty() {
        return usage("no host name specified");
    }
    let host = words.remove(0);
    let opener = common.remotes(common.logger());
    let params = if gzip { "?compress=true" } else { "" };
    let reference = StoreReference::parse(&format!("ssh://{host}{params}"), &common.env)?;
    let Some(remote) = opener.ssh(&reference)? else {
        return fail(format!("'{host}' is no host"));
    };
    let remote: Arc<dyn ManagedStore> = remote.managed();
    let local = open_managed(&opener, common.store.as_deref())?;
    let (from, target) = if to { (&local, &remote) } else { (&remote, &local) };
    let mut paths = BTreeSet::new();
    let here = if to { Some(common.open_store()?) } else { None };
    for word in &words {
        paths.insert(if let Some(here) = &here {
            crate::common::store_paths::follow_links(here, word)?
        } else {
            local
                .store()
                .store_dir()
                .parse_prefix(word)
                .map_err(|e| legacy::Failure::Message(e.to_string()))?
                .0
        });
    }
    let options = ClosureOptions { include_outputs, ..ClosureOptions::default() };
    let closure = from.store().compute_closure(&paths, options)?;
    if dry_run {
        return Ok(());
    }
    Ok(copy_paths(from.store(), &**target, &closure, substitute, &common.logger())?)
}

const HELP: &str = "\
Usage: nix-copy-closure [--to | --from] [--gzip] [--include-outputs] [--use-substitutes] [USER@]HOST PATHS…

Copies paths and all that they need to another machine (or from it) by ssh, but for what is there already.

      --to               to the other machine (default)
      --from             from the other machine
      --gzip             compress what is sent
      --include-outputs  also the outputs of derivations among the paths
  -s, --use-substitutes  let the other machine fetch what it can from elsewhere
      --dry-run          only see whether the paths are there

Options for ssh are in $NIX_SSHOPTS.
";
