//! `--dump-db`, `--load-db`, `--register-validity`, `--check-validity`, `--verify`, `--verify-path`.

use std::collections::BTreeMap;

use firn_event::Level;
use firn_model::hash::HashAlgo;
use firn_store::fs::{Canonicalise, hash_path};
use firn_store::registration;

use super::{Call, realise};
use crate::common::legacy::{Failure, Outcome, fail, usage};
use crate::common::store::AnyStore;
use crate::common::store_paths::follow_links;

pub fn dump_db(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    call.no_flags()?;
    if call.args.is_empty() {
        for path in store.query_all_valid_paths()? {
            call.out.write_all(registration::print(&**store, &path, true, true)?.as_bytes())?;
        }
    }
    for arg in &call.args {
        let path = follow_links(store, arg)?;
        call.out.write_all(registration::print(&**store, &path, true, true)?.as_bytes())?;
    }
    Ok(())
}

pub fn load_db(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    call.no_flags()?;
    call.no_arguments()?;
    register(store, true, true, false)
}

pub fn register_validity(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    let (mut reregister, mut hash_given) = (false, false);
    for flag in &call.flags {
        match flag.as_str() {
            "--reregister" => reregister = true,
            "--hash-given" => hash_given = true,
            _ => return usage(format!("unknown flag '{flag}'")),
        }
    }
    call.no_arguments()?;
    register(store, reregister, hash_given, true)
}

fn register(store: &AnyStore, reregister: bool, hash_given: bool, canonicalise: bool) -> Outcome {
    let mut infos = BTreeMap::new();
    let mut input = std::io::stdin().lock();
    while let Some(mut info) = registration::read(&**store, &mut input, hash_given)? {
        if store.is_valid(&info.path)? && !reregister {
            continue;
        }
        let real = store.real_path(&info.path);
        if canonicalise {
            store.local("registerValidPaths")?.canonicalise(&real, &mut Canonicalise::default())?;
        }
        if !hash_given {
            (info.nar_hash, info.nar_size) = hash_path(&real, HashAlgo::Sha256)?;
        }
        infos.insert(info.path.clone(), info);
    }
    let infos: Vec<_> = infos.into_values().collect();
    Ok(store.register_valid(&infos)?)
}

pub fn check_validity(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    let mut print_invalid = false;
    for flag in &call.flags {
        match flag.as_str() {
            "--print-invalid" => print_invalid = true,
            _ => return usage(format!("unknown flag '{flag}'")),
        }
    }
    for arg in &call.args {
        let path = follow_links(store, arg)?;
        if store.is_valid(&path)? {
            continue;
        }
        let printed = store.store_dir().print(&path);
        if !print_invalid {
            return fail(format!("path '{printed}' is not valid"));
        }
        writeln!(call.out, "{printed}")?;
    }
    Ok(())
}

pub fn verify(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let (mut check_contents, mut repair) = (false, false);
    for flag in &call.flags {
        match flag.as_str() {
            "--check-contents" => check_contents = true,
            "--repair" => repair = true,
            _ => return usage(format!("unknown flag '{flag}'")),
        }
    }
    let common = call.common;
    let mut hook = |store: &firn_store::LocalStore, path: &_| realise::repair(store, common, path);
    let hook: Option<&mut firn_store::local::verify::RepairHook<'_>> =
        if repair { Some(&mut hook) } else { None };
    if store.verify(check_contents, hook)? {
        common.logger().warn("not all store errors were fixed");
        return Err(Failure::Exit(1));
    }
    Ok(())
}

pub fn verify_path(store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    if !call.flags.is_empty() {
        return usage("no flags expected");
    }
    let logger = call.common.logger();
    let mut modified = false;
    for arg in &call.args {
        let path = follow_links(store, arg)?;
        let printed = store.store_dir().print(&path);
        logger.message(Level::Talkative, format!("checking path '{printed}'..."));
        if let Some(actual) = store.check_path(&path)? {
            let expected = store.path_info(&path)?.nar_hash;
            logger.message(
                Level::Notice,
                format!(
                    "path '{printed}' was modified! expected hash '{expected}', got '{actual}'"
                ),
            );
            modified = true;
        }
    }
    if modified { Err(Failure::Exit(1)) } else { Ok(()) }
}
