//! `--dump`, `--restore`, `--export`, `--import`, `--generate-binary-cache-key`.

use std::collections::BTreeSet;
use std::io::BufReader;

use firn_model::signature::SecretKey;
use firn_store::export;
use firn_store::fs::{Restore, dump_path, restore_path, write_atomically};

use super::Call;
use crate::common::legacy::{Failure, Outcome, absolute, usage};
use crate::common::store::AnyStore;
use crate::common::store_paths::follow_links;

pub fn dump(call: &mut Call<'_>) -> Outcome {
    call.no_flags()?;
    let [path] = &call.args[..] else { return usage("only one argument allowed") };
    Ok(dump_path(&absolute(path)?, &mut call.out)?)
}

pub fn restore(call: &Call<'_>) -> Outcome {
    call.no_flags()?;
    let [path] = &call.args[..] else { return usage("only one argument allowed") };
    let mut input = BufReader::with_capacity(256 * 1024, std::io::stdin());
    Ok(restore_path(&mut input, &absolute(path)?, Restore::Plain)?)
}

pub fn export(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    call.no_flag_at_all()?;
    let mut paths = BTreeSet::new();
    for arg in &call.args {
        paths.insert(follow_links(store, arg)?);
    }
    Ok(export::export_paths(&**store, &paths, &mut call.out)?)
}

pub fn import(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    call.no_flag_at_all()?;
    call.no_arguments()?;
    let mut input = BufReader::with_capacity(256 * 1024, std::io::stdin());
    for path in export::import_paths(&**store, &mut input)? {
        writeln!(call.out, "{}", store.store_dir().print(&path))?;
    }
    Ok(())
}

pub fn generate_binary_cache_key(call: &Call<'_>) -> Outcome {
    call.no_flag_at_all()?;
    let [name, secret_file, public_file] = &call.args[..] else {
        return usage("three arguments expected");
    };
    let secret = SecretKey::generate(name).map_err(|e| Failure::Message(e.to_string()))?;
    let public = secret.public_key().to_string();
    write_atomically(&absolute(public_file)?, public.as_bytes(), 0o644, true)?;
    Ok(write_atomically(&absolute(secret_file)?, secret.reveal().as_bytes(), 0o600, true)?)
}
