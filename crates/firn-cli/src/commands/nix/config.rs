//! `nix config`.

use firn_store::settings::{Kind, find};
use serde_json::{Map, Value, json};

use super::call::Call;
use crate::common::legacy::{Outcome, fail, usage};

/// `nix config show`.
pub fn show(call: &mut Call<'_>) -> Outcome {
    if let [name] = &call.given.args[..] {
        if call.given.has("json") {
            return usage("'--json' is not supported when specifying a setting name");
        }
        let Some(setting) = find(name) else {
            return fail(format!("could not find setting '{name}'"));
        };
        if call.common.settings.missing_feature(setting.name).is_some() {
            return fail(format!("could not find setting '{name}'"));
        }
        let text = call.common.settings.text(setting.name).to_owned();
        return Ok(writeln!(call.out, "{text}")?);
    }
    call.one_or_no_argument()?;
    if call.given.has("json") {
        let mut all = Map::new();
        for (setting, text) in call.common.settings.iter() {
            let default: &str = setting.default;
            all.insert(
                setting.name.to_owned(),
                json!({
                    "aliases": setting.aliases,
                    "defaultValue": typed(setting.kind, default),
                    "description": "",
                    "documentDefault": true,
                    "experimentalFeature": firn_store::settings::feature_of(setting.name),
                    "value": typed(setting.kind, text),
                }),
            );
        }
        return call.print_json(&Value::Object(all));
    }
    for (setting, text) in call.common.settings.iter() {
        if call.common.settings.missing_feature(setting.name).is_some() {
            continue;
        }
        writeln!(call.out, "{} = {text}", setting.name)?;
    }
    Ok(())
}

/// A setting's text as JSON.
fn typed(kind: Kind, text: &str) -> Value {
    match kind {
        Kind::Bool => Value::Bool(text == "true"),
        Kind::Words => text.split_ascii_whitespace().collect(),
        Kind::Number => text.parse::<u64>().map_or_else(|_| text.into(), Value::from),
        _ => text.into(),
    }
}

/// `nix config check`.
pub fn check(call: &mut Call<'_>) -> Outcome {
    let store = call.store()?;
    writeln!(call.out, "Running checks against store uri: {}", store.uri())?;
    let mut failed = false;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let commands: std::collections::BTreeSet<_> = std::env::split_paths(&path)
        .map(|dir| dir.join("nix"))
        .filter_map(|nix| std::fs::canonicalize(nix).ok())
        .collect();
    if commands.len() > 1 {
        failed = true;
        writeln!(call.out, "[FAIL] Multiple versions of nix found in PATH:")?;
        for command in commands {
            writeln!(call.out, "  {}", command.display())?;
        }
    } else {
        writeln!(call.out, "[PASS] PATH contains only one nix version.")?;
    }
    let (version, trusted) = match store.managed() {
        None => (None, Some(true)),
        Some(managed) => (managed.protocol_version()?, managed.trusts_us()?),
    };
    match version {
        Some((theirs, ours)) if theirs != ours => {
            failed = true;
            writeln!(
                call.out,
                "[FAIL] Warning: protocol version of this client does not match the store.\n\
                 While this is not necessarily a problem it's recommended to keep the client in\n\
                 sync with the daemon.\n\n\
                 Client protocol: {ours}\n\
                 Store protocol: {theirs}\n"
            )?;
        }
        _ => writeln!(call.out, "[PASS] Client protocol matches store protocol.")?,
    }
    let uri = store.uri();
    match trusted {
        Some(trusted) => {
            let how = if trusted { "trusted" } else { "not trusted" };
            writeln!(call.out, "[INFO] You are {how} by store uri: {uri}")?;
        }
        None => {
            writeln!(call.out, "[INFO] Store uri: {uri} doesn't have a notion of trusted user")?;
        }
    }
    if failed { Err(crate::common::legacy::Failure::Exit(2)) } else { Ok(()) }
}
