//! `nix realisation`: what outputs of derivations came to be (experimental feature `ca-derivations`).

use firn_build::DerivedPath;
use serde_json::{Value, json};

use super::call::Call;
use super::installables::{at_end_of, outputs};
use crate::common::legacy::Outcome;

/// `nix realisation info`.
pub fn info(call: &mut Call<'_>) -> Outcome {
    call.need_feature("ca-derivations")?;
    let items = call.installables()?;
    let store = call.store()?;
    let dir = store.store_dir();
    let (mut shown, mut lines) = (Vec::new(), Vec::new());
    for wanted in call.derived_paths(&items)?.into_iter().flatten() {
        let paths = outputs(&store, &wanted)?;
        let drv = match &wanted {
            DerivedPath::Opaque(_) => None,
            DerivedPath::Built { drv, .. } => Some(drv.clone()),
            DerivedPath::Dynamic { drv, via, .. } => Some(at_end_of(&store, drv, via)?),
        };
        let ids = match &drv {
            Some(drv) => store.output_ids(&store.read_derivation(drv)?)?,
            None => Default::default(),
        };
        for (name, path) in paths {
            let realisation = match ids.get(&name) {
                Some(id) => store.query_realisation(id)?,
                None => None,
            };
            match realisation {
                Some(found) => {
                    lines.push(format!("{} {}", found.id, dir.print(&found.out_path)));
                    shown.push(found.to_json());
                }
                None => {
                    lines.push(dir.print(&path));
                    shown.push(json!({ "opaquePath": dir.print(&path) }));
                }
            }
        }
    }
    if call.given.has("json") {
        return call.print_json(&Value::Array(shown));
    }
    for line in lines {
        writeln!(call.out, "{line}")?;
    }
    Ok(())
}
