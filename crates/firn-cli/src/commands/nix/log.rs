//! `nix log`.

use super::call::Call;
use crate::common::legacy::{Common, Failure, Outcome, fail};
use crate::common::store::AnyStore;

/// `nix log`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let text = call.one_argument("installable")?.to_owned();
    let item = call.installable(&text)?;
    let store = call.store()?;
    let wanted: Vec<_> = call.derived_paths(&[item])?.into_iter().flatten().collect();
    for path in &wanted {
        let path = path.store_path();
        let drv = if path.is_derivation() {
            Some(path.clone())
        } else {
            store.query_path_info(path)?.and_then(|info| info.deriver.clone())
        };
        let log = match drv {
            Some(drv) => find_log(&call.common, &store, &drv)?,
            None => None,
        };
        match log {
            Some(log) => call.out.write_all(&log)?,
            None => {
                return fail(format!("build log of '{}' is not available", shown(&store, path)));
            }
        }
    }
    Ok(())
}

/// The log of a derivation's build, from the store or else from a substituter.
pub fn find_log(
    common: &Common,
    store: &AnyStore,
    drv: &firn_model::StorePath,
) -> Outcome<Option<Vec<u8>>> {
    if let Some(log) = store.build_log(drv)? {
        return Ok(Some(log));
    }
    // what was built is the derivation with its inputs in place, if that is another
    if store.is_valid(drv)? {
        let given = store.read_derivation(drv)?;
        let built = firn_build::shell::resolved(&**store, given.clone());
        if let Some(built) = built.ok().filter(|built| *built != given) {
            let path = built.store_path(store.store_dir());
            let path = path.map_err(|e| Failure::Message(e.to_string()))?;
            if let Some(log) = store.build_log(&path)? {
                return Ok(Some(log));
            }
        }
    }
    let Some(substituters) = common.substituters() else { return Ok(None) };
    for other in substituters.get().stores() {
        match other.build_log(drv) {
            Ok(None) => {}
            Ok(found) => return Ok(found),
            Err(error) => common.logger().warn(error.to_string()),
        }
    }
    Ok(None)
}

fn shown(store: &AnyStore, path: &firn_model::StorePath) -> String {
    store.store_dir().print(path)
}
