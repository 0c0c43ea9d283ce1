//! `nix bundle`.

use firn_build::DerivedPath;
use firn_eval::packages::Package;
use firn_eval::position::PosId;

use super::call::Call;
use super::flags::{Flag, option};
use super::flakes::Targets;
use super::installables::{Installable, Root};
use crate::common::eval::current_dir;
use crate::common::legacy::{Failure, Outcome};

/// Flags of `nix bundle`.
#[rustfmt::skip]
pub const FLAGS: &[Flag] = &[
    option("bundler", None, &["flake-url"], "the bundler, 'github:NixOS/bundlers' if not given"),
    option("out-link", Some('o'), &["path"], "the name of the link to the result, that of the bundle if not given"),
];

/// `nix bundle`
pub fn bundle(call: &mut Call<'_>) -> Outcome {
    call.one_or_no_argument()?;
    call.targets = Targets::Apps;
    let text = call.given.args.first().cloned();
    let text = text.unwrap_or_else(|| if call.has_source() { String::new() } else { ".".into() });
    let item = call.installable(&text)?;
    let bundler = call.given.value("bundler").unwrap_or("github:NixOS/bundlers").to_owned();
    let (reference, fragment) = firn_flake::reference::parse(&bundler, &current_dir())
        .map_err(|e| Failure::Message(e.message().to_owned()))?;
    let bundler_item = Installable::Flake { reference, fragment, outputs: None };
    let session = call.session()?;
    let source = call.root(&session)?;
    let tools: Root = source.for_targets(Targets::Bundlers);
    let (drv, out, name) = call.evaluate(&session, false, |vm, args| {
        let program = source.values(args).get(vm, &item)?.value;
        let function = tools.values(args).get(vm, &bundler_item)?.value;
        let value = vm.apply1(function, program, PosId::NONE)?;
        let none =
            || Failure::Message(format!("the bundler '{bundler}' does not produce a derivation"));
        let attrs = value.as_set().ok_or_else(none)?;
        if !vm.is_derivation(attrs)? {
            return Err(none().into());
        }
        let package = Package { attrs };
        Ok((package.drv_path(vm)?, package.out_path(vm)?, package.name(vm)?))
    })?;
    let bench = call.bench()?;
    bench
        .store
        .build(&[DerivedPath::all_outputs(drv)], &bench.options, bench.logger())
        .map_err(|e| super::realise::failure(&e))?;
    let link = call.given.value("out-link").unwrap_or(&name);
    bench.store.add_perm_root(&out, &current_dir().join(link))?;
    Ok(())
}
