//! The derivation whose output is the environment of another one's build.

use bstr::BStr;
use firn_model::StorePath;
use firn_model::derivation::{Derivation, Output};
use firn_store::{Repair, Store};

use crate::error::{Failure, FailureKind};

/// What the derivation runs in place of the builder.
const SCRIPT: &[u8] = include_bytes!("get-env.sh");

/// Constraints on outputs, which mean nothing for an environment.
const CHECKS: [&str; 4] =
    ["allowedReferences", "allowedRequisites", "disallowedReferences", "disallowedRequisites"];

/// Writes the derivation that has the same inputs and nearly the same variables as `drv`, but writes the
/// environment that its builder would work in to its first output.
///
/// # Errors
/// If the builder is not bash, or the store raises an error.
pub fn environment_derivation(
    store: &dyn Store,
    drv: &Derivation,
) -> Result<(StorePath, Derivation), Failure> {
    let builder: &[u8] = &drv.builder;
    if builder.rsplit(|b| *b == b'/').next() != Some(b"bash") {
        return Err(Failure::new(
            FailureKind::InputRejected,
            "'nix develop' only works on derivations that use 'bash' as their builder",
        ));
    }
    let script = store.add_text("get-env.sh", SCRIPT, &[].into(), Repair::No)?;
    let mut env = drv.clone();
    env.args = vec![store.store_dir().print(&script).into()];
    env.input_srcs.insert(script);
    without_checks(&mut env)?;
    env.name.push_str("-env");
    env.env.insert("name".into(), env.name.as_str().into());
    for (name, output) in &mut env.outputs {
        if matches!(output, Output::InputAddressed(_) | Output::Fixed(_)) {
            *output = Output::Deferred;
            env.env.insert(name.as_str().into(), "".into());
        }
    }
    store.fill_output_paths(&mut env)?;
    let path = store.add_derivation(&env, Repair::No)?;
    Ok((path, env))
}

fn without_checks(env: &mut Derivation) -> Result<(), Failure> {
    let Some(mut structured) = env.structured_attrs()? else {
        for name in CHECKS {
            env.env.remove(BStr::new(name));
        }
        return Ok(());
    };
    // the text stays as it is unless something goes
    if structured.shift_remove("outputChecks").is_some() {
        let text = serde_json::to_vec(&structured).map_err(Failure::misc)?;
        env.env.insert("__json".into(), text.into());
    }
    Ok(())
}
