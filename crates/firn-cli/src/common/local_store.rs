//! Opening stores on this machine: plain ones, those that are never written, those that are laid over others.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use firn_store::layout::{Location, StoreLayout, StoreReference, locate};
use firn_store::{LocalStore, Overlay, StoreOptions};

use super::legacy::{Outcome, fail};
use super::store::Opener;

/// The scheme of addresses of stores that are laid over others.
const OVERLAY: &str = "local-overlay";

/// Opens a store whose contents are on this machine.
fn open(opener: &Opener<'_>, layout: StoreLayout, read_only: bool) -> Outcome<LocalStore> {
    Ok(LocalStore::open(layout, options(opener, read_only)?)?)
}

fn options(opener: &Opener<'_>, read_only: bool) -> Outcome<StoreOptions> {
    const FEATURE: &str = "read-only-local-store";
    if read_only && !opener.settings.has_feature(FEATURE) {
        return fail(format!(
            "experimental Nix feature '{FEATURE}' is disabled; add '--extra-experimental-features {FEATURE}' to enable it"
        ));
    }
    let mut options = StoreOptions::from_settings(opener.settings, opener.logger.clone());
    options.read_only = read_only;
    options.free_space_file = opener.env.nonempty("_NIX_TEST_FREE_SPACE_FILE").map(PathBuf::from);
    Ok(options)
}

/// Opens a store that is laid over another: `local-overlay://?root=…&lower-store=…&upper-layer=…`.
fn open_overlay(opener: &Opener<'_>, reference: &StoreReference) -> Outcome<LocalStore> {
    let mut params = reference.params.clone();
    let mut path = |name: &str| match params.remove(name).filter(|path| !path.is_empty()) {
        Some(path) if path.starts_with('/') => {
            Ok(Some(firn_store::layout::canonical(path.as_ref())))
        }
        Some(path) => {
            fail(format!("the store parameter '{name}' must be an absolute path, but is '{path}'"))
        }
        None => Ok(None),
    };
    let Some(upper_layer) = path("upper-layer")? else {
        return fail(
            "a store at 'local-overlay://' needs the parameter 'upper-layer', the folder that its overlay file system writes to",
        );
    };
    let remount_hook = path("remount-hook")?;
    let check_mount = match params.remove("check-mount").as_deref() {
        None | Some("true" | "yes" | "1") => true,
        Some("false" | "no" | "0") => false,
        Some(other) => {
            return fail(format!("Boolean setting 'check-mount' has invalid value '{other}'"));
        }
    };
    let lower_uri = params.remove("lower-store").unwrap_or_default();
    let lower_uri = if lower_uri.is_empty() { "auto" } else { lower_uri.as_str() };
    let here = match locate(opener.env, Some(lower_uri))?.store {
        Location::Local { .. } | Location::Daemon { .. } => true,
        Location::Other(lower) => lower.scheme == OVERLAY,
    };
    if !here {
        return fail(format!(
            "the contents of the lower store '{lower_uri}' are not on this machine, so no store can be laid over it"
        ));
    }
    let lower = opener.open(Some(lower_uri))?;
    let lower_dir = lower.layout().real_store_dir.clone();
    let local = StoreReference {
        scheme: "local".to_owned(),
        authority: reference.authority.clone(),
        params,
    };
    let Location::Local { layout, read_only } = locate(opener.env, Some(&local.render()))?.store
    else {
        return fail(format!("'{}' is no store on this machine", reference.render()));
    };
    let overlay =
        Overlay { lower: lower.shared(), lower_dir, upper_layer, check_mount, remount_hook };
    let options = options(opener, read_only)?;
    Ok(LocalStore::open_overlay(layout, options, overlay)?)
}

/// A store that was located, open if its contents are on this machine and no daemon looks after them.
pub enum Opened {
    /// On this machine.
    Here(Arc<LocalStore>),
    /// As [`Location::Daemon`].
    Daemon {
        /// The socket.
        socket: PathBuf,
        /// The directories of its store.
        layout: StoreLayout,
        /// The parameters of its address.
        params: BTreeMap<String, String>,
    },
    /// As [`Location::Other`].
    Other(StoreReference),
}

/// Opens the store that was located if it is on this machine.
pub fn open_located(opener: &Opener<'_>, located: Location) -> Outcome<Opened> {
    Ok(match located {
        Location::Local { layout, read_only } => {
            Opened::Here(Arc::new(open(opener, layout, read_only)?))
        }
        Location::Other(reference) if reference.scheme == OVERLAY => {
            Opened::Here(Arc::new(open_overlay(opener, &reference)?))
        }
        Location::Daemon { socket, layout, params } => Opened::Daemon { socket, layout, params },
        Location::Other(reference) => Opened::Other(reference),
    })
}
