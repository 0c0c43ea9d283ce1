use super::*;

fn load(text: &str) -> Result<(Settings, Vec<String>)> {
    Settings::load(&Environment::from_variables(
        [("NIX_CONF_DIR", "/nonexistent"), ("NIX_USER_CONF_FILES", ""), ("NIX_CONFIG", text)],
        false,
    ))
}

#[test]
fn the_table_is_sorted_and_its_defaults_are_valid() {
    assert!(SETTINGS.windows(2).all(|w| w[0].name < w[1].name));
    for setting in SETTINGS {
        assert_eq!(normal(setting, setting.default).unwrap(), setting.default, "{}", setting.name);
    }
}

#[test]
fn values_are_read_by_kind() {
    let (settings, warnings) = load(
        "# a comment\ncores = 4 # more\nkeep-outputs = yes\nmax-free = 2G\n\
         substituters =  https://a\t https://b \nextra-substituters = https://c\nmax-jobs = auto\n",
    )
    .unwrap();
    assert!(warnings.is_empty());
    assert_eq!(settings.number("cores"), 4);
    assert!(settings.bool("keep-outputs"));
    assert!(settings.bool("keep-derivations"));
    assert_eq!(settings.number("max-free"), 2 << 30);
    assert_eq!(settings.words("substituters"), ["https://a", "https://b", "https://c"]);
    assert!(settings.number("max-jobs") >= 1);
}

#[test]
fn extra_adds_to_the_default() {
    let (settings, _) = load("extra-trusted-users = me you").unwrap();
    assert_eq!(settings.words("trusted-users"), ["root", "me", "you"]);
}

#[test]
fn old_names_still_work() {
    let (settings, warnings) = load("build-max-jobs = 3\nbinary-caches = x").unwrap();
    assert!(warnings.is_empty());
    assert_eq!(settings.number("max-jobs"), 3);
    assert_eq!(settings.words("substituters"), ["x"]);
}

#[test]
fn unknown_settings_are_warnings_and_bad_values_errors() {
    let (_, warnings) = load("no-such-thing = 1\nextra-cores = 2").unwrap();
    assert_eq!(warnings, ["unknown setting 'extra-cores'", "unknown setting 'no-such-thing'"]);
    let message = |text: &str| load(text).unwrap_err().to_string();
    assert_eq!(message("fallback = maybe"), "Boolean setting 'fallback' has invalid value 'maybe'");
    assert_eq!(message("cores = many"), "setting 'cores' has invalid value 'many'");
    assert_eq!(
        message("max-jobs = -1"),
        "configuration setting 'max-jobs' should be 'auto' or an integer"
    );
    assert_eq!(
        message("cores 4"),
        "syntax error in configuration line 'cores 4' in \"NIX_CONFIG\""
    );
    assert_eq!(message("cores"), "syntax error in configuration line 'cores' in \"NIX_CONFIG\"");
}

#[test]
fn files_include_others_and_the_users_file_wins() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("nix.conf", "cores = 1\nmax-silent-time = 1\ninclude more.conf\n!include none.conf\n");
    write("more.conf", "timeout = 7\ninclude ./nested.conf");
    write("nested.conf", "log-lines = 99");
    write("user.conf", "cores = 2\n");
    write("low.conf", "cores = 3\nkeep-going = true\n");
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let users = format!("{}:{}", path("user.conf"), path("low.conf"));
    let env = Environment::from_variables(
        [("NIX_CONF_DIR", dir.path().to_str().unwrap()), ("NIX_USER_CONF_FILES", users.as_str())],
        false,
    );
    let (settings, _) = Settings::load(&env).unwrap();
    assert_eq!(settings.number("cores"), 2);
    assert_eq!(settings.number("timeout"), 7);
    assert_eq!(settings.number("log-lines"), 99);
    let overridden: Vec<_> = settings.overridden().map(|(n, _)| n).collect();
    assert_eq!(overridden, ["cores", "keep-going"]);

    write("nix.conf", "include nix.conf");
    assert!(Settings::load(&env).unwrap_err().to_string().contains("includes itself"));
    write("nix.conf", "include none.conf");
    assert!(Settings::load(&env).unwrap_err().to_string().contains("not found"));
}

#[test]
fn nix_path_in_the_environment_wins() {
    let env = Environment::from_variables(
        [("NIX_CONF_DIR", "/nonexistent"), ("NIX_CONFIG", "nix-path = a=b"), ("NIX_PATH", "")],
        false,
    );
    assert_eq!(Settings::load(&env).unwrap().0.text("nix-path"), "");
}

#[test]
fn settings_of_features_that_were_not_chosen_are_ignored() {
    let text = "accept-flake-config = true\nexperimental-features = nix-command\n";
    let (settings, warnings) = load(text).unwrap();
    let warning = "Ignoring setting 'accept-flake-config' because experimental feature 'flakes' is not enabled";
    assert_eq!(warnings, [warning]);
    assert!(!settings.bool("accept-flake-config"));
    assert_eq!(settings.missing_feature("flake-registry"), Some("flakes"));

    let all = "accept-flake-config = true\nexperimental-features = nix-command flakes\n";
    let added = "accept-flake-config = true\nextra-experimental-features = pipe-operators\n";
    for text in ["accept-flake-config = true\n", all, added] {
        let (settings, warnings) = load(text).unwrap();
        assert!(warnings.is_empty() && settings.bool("accept-flake-config"));
    }
}
