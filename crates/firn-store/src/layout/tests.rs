use super::*;

fn layout(uri: &str, env: &[(&str, &str)]) -> StoreLayout {
    let env = Environment::from_variables(env.iter().copied(), true);
    match locate(&env, Some(uri)).unwrap().store {
        Location::Local { layout, .. } => layout,
        other => panic!("not local: {other:?}"),
    }
}

#[test]
fn root_gets_the_usual_places() {
    let found = layout("", &[]);
    assert_eq!(found.store_dir.as_str(), "/nix/store");
    assert_eq!(found.real_store_dir, Path::new("/nix/store"));
    assert_eq!(found.state_dir, Path::new("/nix/var/nix"));
    assert_eq!(found.log_dir, Path::new("/nix/var/log/nix"));
    assert!(!found.is_chroot());
}

#[test]
fn variables_move_the_directories() {
    let found = layout(
        "auto",
        &[
            ("NIX_STORE_DIR", "/tmp//a/../s/"),
            ("NIX_STATE_DIR", "/tmp/state"),
            ("NIX_LOG_DIR", "/tmp/log"),
        ],
    );
    assert_eq!(found.store_dir.as_str(), "/tmp/s");
    assert_eq!(found.real_store_dir, Path::new("/tmp/s"));
    assert_eq!(found.state_dir, Path::new("/tmp/state"));
    assert_eq!(found.log_dir, Path::new("/tmp/log"));
}

#[test]
fn a_root_keeps_the_logical_directory() {
    for uri in
        ["local?root=/tmp/r", "/tmp/r", "/tmp/x/../r", "local:///tmp/r", "local?root=%2Ftmp/r"]
    {
        let found = layout(uri, &[]);
        assert_eq!(found, StoreLayout::in_root(Path::new("/tmp/r")), "{uri}");
        assert!(found.is_chroot());
        assert_eq!(found.state_dir, Path::new("/tmp/r/nix/var/nix"));
    }
}

#[test]
fn parameters_override_one_directory_each() {
    let found = layout("local?store=/s&real=/r&state=/st&log=/l", &[]);
    assert_eq!(found.store_dir.as_str(), "/s");
    assert_eq!(found.real_store_dir, Path::new("/r"));
    assert_eq!(found.state_dir, Path::new("/st"));
    assert_eq!(found.log_dir, Path::new("/l"));
}

#[test]
fn nix_remote_is_the_default_address() {
    let env = Environment::from_variables([("NIX_REMOTE", "local?root=/tmp/r")], true);
    assert_eq!(StoreLayout::detect(&env).unwrap().0, StoreLayout::in_root(Path::new("/tmp/r")));
    let env = Environment::from_variables([("NIX_REMOTE", "daemon")], true);
    let daemon = |socket: &str, layout, params: &[(&str, &str)]| Location::Daemon {
        socket: socket.into(),
        layout,
        params: params.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
    };
    let plain = StoreLayout::from_environment(&env).unwrap();
    assert_eq!(
        locate(&env, None).unwrap().store,
        daemon("/nix/var/nix/daemon-socket/socket", plain, &[])
    );
    assert_eq!(
        locate(&env, Some("unix:///s?root=/r&max-connections=3")).unwrap().store,
        daemon(
            "/s",
            StoreLayout::in_root(Path::new("/r")),
            &[("max-connections", "3"), ("root", "/r")]
        )
    );
    assert!(StoreLayout::detect(&env).is_err());
}

#[test]
fn without_rights_a_chroot_store_appears_in_the_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_str().unwrap();
    let env = Environment::from_variables([("XDG_DATA_HOME", data)], false);
    // as root in a test machine /nix may be writable; the rule itself is what is tested here
    if accessible(Path::new("/nix/var/nix")) || could_be_created(Path::new("/nix/var/nix")) {
        return;
    }
    let (found, warnings) = StoreLayout::detect(&env).unwrap();
    assert_eq!(found, StoreLayout::in_root(&dir.path().join("nix/root")));
    assert_eq!(warnings.len(), 1);
    let (_, again) = StoreLayout::detect(&env).unwrap();
    assert!(again.is_empty(), "the warning comes only when the store is created");
}

#[test]
fn addresses_of_other_stores_are_handed_on() {
    let env = Environment::from_variables([], true);
    let found = locate(&env, Some("https://cache.example.org/x?priority=3")).unwrap().store;
    let Location::Other(reference) = found else { panic!("{found:?}") };
    assert_eq!(reference.scheme, "https");
    assert_eq!(reference.authority, "cache.example.org/x");
    assert_eq!(reference.params["priority"], "3");
    assert_eq!(reference.render(), "https://cache.example.org/x?priority=3");
}

#[test]
fn folders_are_named_with_and_without_a_host() {
    let env = Environment::from_variables([], true);
    let parse = |uri: &str| StoreReference::parse(uri, &env).unwrap();
    assert_eq!(parse("file:/tmp/x?trusted=1"), parse("file:///tmp/x?trusted=1"));
    assert_eq!(parse("file:/tmp/x").authority, "/tmp/x");
    assert_eq!(parse("./file:/x").scheme, "local");
    assert_eq!(parse("/tmp/a:/x").authority, "/tmp/a:/x");
}

#[test]
fn nonsense_is_refused_by_name() {
    let env = Environment::from_variables([], true);
    let message = |uri: &str| locate(&env, Some(uri)).unwrap_err().to_string();
    assert_eq!(message("nonsense"), "Cannot parse Nix store 'nonsense'");
    assert!(message("local?root=relative").starts_with("not an absolute path"));
    assert!(message("local?read-only=perhaps").contains("'read-only' has invalid value 'perhaps'"));
}
