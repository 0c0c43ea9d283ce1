use super::*;
use std::path::Path;

const TEXT: &str = r#"{
  "bashFunctions": { "f": " \n    echo \"$out\"\n" },
  "variables": {
    "out": {"type": "exported", "value": "/nix/store/a-x"},
    "outputs": {"type": "var", "value": "out"},
    "quoted": {"type": "var", "value": "it's"},
    "list": {"type": "array", "value": ["a b", "\n"]},
    "map": {"type": "associative", "value": {"k": "v"}},
    "HOME": {"type": "exported", "value": "/homeless-shelter"},
    "n": {"type": "unknown"}
  }
}"#;

fn script(env: &DevEnvironment, redirects: &BTreeMap<String, String>) -> Script {
    let (outputs, attrs) = (Path::new("/w/outputs"), Path::new("/t"));
    Script::new(env, Places { outputs, attrs, redirects, top: None }).unwrap()
}

#[test]
fn the_build_s_own_folder_may_be_there_already() {
    let env = DevEnvironment::parse(TEXT.as_bytes()).unwrap();
    let none = BTreeMap::new();
    assert!(script(&env, &none).text.contains("\nexport NIX_BUILD_TOP=\"$(mktemp -d"));
    let (outputs, attrs) = (Path::new("/w/outputs"), Path::new("/t"));
    let top = Some(Path::new("/t/it's"));
    let text = Script::new(&env, Places { outputs, attrs, redirects: &none, top }).unwrap().text;
    assert!(text.contains("\nexport NIX_BUILD_TOP='/t/it'\\''s'\nexport TMP=\"$NIX_BUILD_TOP\"\n"));
    assert!(!text.contains("mktemp"));
}

#[test]
fn environments_are_read_and_printed() {
    let env = DevEnvironment::parse(TEXT.as_bytes()).unwrap();
    assert_eq!(env.text("quoted"), Some("it's"));
    assert_eq!(env.variables["list"], Variable::Array(vec!["a b".into(), "\n".into()]));
    let again = DevEnvironment::parse(env.to_json().to_string().as_bytes()).unwrap();
    assert_eq!(again, env);
    assert!(!env.variables.contains_key("n"));
    for bad in [
        "",
        "[]",
        r#"{"bashFunctions":{}}"#,
        r#"{"bashFunctions":{},"variables":{"a":{"type":"var"}}}"#,
    ] {
        assert!(DevEnvironment::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn code_brings_the_environment_up() {
    let env = DevEnvironment::parse(TEXT.as_bytes()).unwrap();
    let redirects = BTreeMap::from([("it's".to_owned(), "no".to_owned())]);
    let found = script(&env, &redirects);
    assert!(found.files.is_empty());
    for expected in [
        "unset shellHook\nPATH=${PATH:-}\nnix_saved_PATH=\"$PATH\"\n",
        "\ndeclare -a list=('a b' '\n' )\n",
        "\ndeclare -A map=(['k']='v' )\n",
        "\nout='/w/outputs/out'\nexport out\n",
        "\nf ()\n{\n \n    echo \"$out\"\n}\n",
        "\nPATH=\"$PATH${nix_saved_PATH:+:$nix_saved_PATH}\"\n",
        "\neval \"${shellHook:-}\"\n",
    ] {
        assert!(found.text.contains(expected), "{expected} in {}", found.text);
    }
    assert!(!found.text.contains("homeless"));
}

#[test]
fn bash_takes_the_code() {
    let env = DevEnvironment::parse(TEXT.as_bytes()).unwrap();
    let code = script(&env, &BTreeMap::new()).text
        + "\nprintf '%s|' \"$quoted\" \"${list[0]}\" \"${map[k]}\" \"$(f)\"";
    let Ok(output) = std::process::Command::new("bash").args(["-c", &code]).output() else {
        return; // no bash on this machine
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "it's|a b|v|/w/outputs/out|");
}

#[test]
fn structured_attributes_become_files() {
    let text = r#"{"bashFunctions":{},"variables":{
        "outputs":{"type":"associative","value":{"out":"/nix/store/a-x"}},
        "NIX_ATTRS_SH_FILE":{"type":"exported","value":"/build/.attrs.sh"},
        "NIX_ATTRS_JSON_FILE":{"type":"exported","value":"/build/.attrs.json"}},
        "structuredAttrs":{".attrs.sh":"s","\u002eattrs.json":"{}"}}"#;
    let env = DevEnvironment::parse(text.as_bytes()).unwrap();
    let found = script(&env, &BTreeMap::new());
    assert!(found.text.contains("NIX_ATTRS_JSON_FILE='/t/.attrs.json'"));
    assert!(found.text.contains("['out']='/w/outputs/out'"));
    assert_eq!(
        found.files,
        [("/t/.attrs.sh".into(), "s".into()), ("/t/.attrs.json".into(), "{}".into())]
    );
}

/// The script, run by bash as the builder would run it.
#[test]
fn the_script_tells_all_that_a_shell_has() {
    let dir = tempfile::tempdir().unwrap();
    let stdenv = dir.path().join("stdenv");
    std::fs::create_dir(&stdenv).unwrap();
    std::fs::write(
        stdenv.join("setup"),
        "greet() { echo \"a $1\"; }\nexport line=$'x\\ny\\t\"q\" \\\\ \\001'\nlist=(a 'b c')\n\
         declare -A map=([k]=v)\ndeclare -i number=3\n\
         name=n\nkey=(1)\ntext=t\nline2=x\nchar=c\n",
    )
    .unwrap();
    let script = dir.path().join("script");
    std::fs::write(&script, include_bytes!("get-env.sh")).unwrap();
    let mut command = std::process::Command::new("bash");
    command.arg(&script).env_clear().env("stdenv", &stdenv).env("outputs", "dev out");
    command.env("dev", dir.path().join("dev")).env("out", dir.path().join("out"));
    let Ok(output) = command.output() else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(std::fs::read(dir.path().join("out")).unwrap(), b"");
    let env = DevEnvironment::parse(&std::fs::read(dir.path().join("dev")).unwrap()).unwrap();
    assert_eq!(env.text("line"), Some("x\ny\t\"q\" \\ \u{1}"));
    assert_eq!(env.variables["list"], Variable::Array(vec!["a".into(), "b c".into()]));
    assert_eq!(env.variables["map"], Variable::Associative([("k".into(), "v".into())].into()));
    // names that the script might use for itself
    for (name, value) in [("name", "n"), ("text", "t"), ("char", "c")] {
        assert_eq!(env.text(name), Some(value));
    }
    assert_eq!(env.variables["key"], Variable::Array(vec!["1".into()]));
    assert_eq!(env.text("IN_NIX_SHELL"), Some("impure"));
    assert_eq!(env.functions["greet"], " \n    echo \"a $1\"\n");
    assert_eq!(env.functions.len(), 1, "{:?}", env.functions);
    assert!(!env.variables.contains_key("number"));
    assert!(!env.variables.keys().any(|name| name.contains("firn")), "{:?}", env.variables.keys());
}
