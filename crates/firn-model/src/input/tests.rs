//! Inputs and flake references; the expected values are what C++ Nix gives.

use super::*;

fn all(_: &str) -> bool {
    true
}

fn round(text: &str) -> String {
    let (flake, _) = FlakeRef::parse(text, &all).expect(text);
    to_json(&flake.to_attrs())
}

#[test]
fn references_are_taken_apart() {
    for (text, attrs) in [
        (
            "github:NixOS/nixpkgs/23.05?dir=lib",
            r#"{"dir":"lib","owner":"NixOS","ref":"23.05","repo":"nixpkgs","type":"github"}"#,
        ),
        ("nixpkgs", r#"{"id":"nixpkgs","type":"indirect"}"#),
        ("flake:nixpkgs/x", r#"{"id":"nixpkgs","ref":"x","type":"indirect"}"#),
        ("path:/a/b?lastModified=5", r#"{"lastModified":5,"path":"/a/b","type":"path"}"#),
        ("/a/b", r#"{"path":"/a/b","type":"path"}"#),
        (
            "git+https://h/r?ref=main&shallow=1&x=y",
            r#"{"ref":"main","shallow":true,"type":"git","url":"https://h/r?x=y"}"#,
        ),
        ("https://h/x.tar.gz", r#"{"type":"tarball","url":"https://h/x.tar.gz"}"#),
        ("https://h/x", r#"{"type":"tarball","url":"https://h/x"}"#),
        ("file+https://h/x", r#"{"type":"file","url":"https://h/x"}"#),
    ] {
        assert_eq!(round(text), attrs, "{text}");
    }
}

#[test]
fn references_are_put_together() {
    let rev = "0123456789012345678901234567890123456789";
    for text in [
        "github:NixOS/nixpkgs/23.05?dir=lib",
        "git+ssh://git@h/r?ref=main",
        &format!("gitlab:a/b/{rev}"),
        "path:/a/b",
        "flake:nixpkgs/x",
    ] {
        let (flake, _) = FlakeRef::parse(text, &all).expect(text);
        assert_eq!(flake.to_url().expect(text).to_string(), text);
    }
}

#[test]
fn wrong_inputs_are_refused() {
    let attrs = |list: &[(&str, Attr)]| -> Attrs {
        list.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect()
    };
    let error = |a: Attrs| Input::from_attrs(a, &all).expect_err("wrong").message;
    assert_eq!(
        error(attrs(&[])),
        "'type' attribute to specify input scheme is required but not provided"
    );
    assert_eq!(
        error(attrs(&[("type", "git".into()), ("foo", "x".into())])),
        "input attribute 'foo' not supported by scheme 'git'"
    );
    assert_eq!(error(attrs(&[("type", "git".into())])), "input attribute 'url' is missing");
    assert_eq!(
        error(attrs(&[("type", "git".into()), ("url", "/x".into()), ("ref", "a..b".into())])),
        "invalid Git branch/tag name 'a..b'"
    );
    assert!(FlakeRef::parse("./x", &all).is_err());
    let e = FlakeRef::parse("github:a/b", &|_| false).expect_err("feature");
    assert_eq!(e.feature, Some("flakes"));
}

#[test]
fn locked_inputs_name_one_content() {
    let locked = |text: &str| FlakeRef::parse(text, &all).expect(text).0.input.is_locked();
    assert!(!locked("github:a/b"));
    assert!(locked("github:a/b/0123456789012345678901234567890123456789"));
    assert!(!locked("path:/x"));
    assert!(locked("path:/x?narHash=sha256-47DEQpj8HBSa%2B%2FTImW%2B5JCeuQeRkm5NMpJWZG3hSuFU%3D"));
}
