//! `nix log`.

use super::call::Call;
use crate::common::legacy::{Outcome, fail};
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
            Some(drv) => store.build_log(&drv)?,
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

fn shown(store: &AnyStore, path: &firn_model::StorePath) -> String {
    store.store_dir().print(path)
}
