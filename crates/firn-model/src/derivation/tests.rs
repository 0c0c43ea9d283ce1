//! Tests of both forms and of output paths; the expected paths are what C++ Nix computes for the same
//! expressions.

use super::*;
use proptest::prelude::*;

fn dir() -> StoreDir {
    StoreDir::default()
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<BString, BString> {
    pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect()
}

/// A fixed output, a derivation with two outputs that needs it, and one that needs both of those.
fn three() -> [Derivation; 3] {
    let hash = Hash::parse_sri("sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=").unwrap();
    let fixed = Derivation {
        name: "src".into(),
        outputs: [("out".into(), Output::Fixed(ContentAddress { method: Method::Flat, hash }))]
            .into(),
        system: "x86_64-linux".into(),
        builder: "builtin:fetchurl".into(),
        env: env(&[
            ("builder", "builtin:fetchurl"),
            ("name", "src"),
            ("out", "/nix/store/y3s4bz3kpk4pb2ha5m8w030ikys0bhbw-src"),
            ("outputHash", "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
            ("outputHashMode", "flat"),
            ("system", "x86_64-linux"),
            ("url", "http://example.org/x"),
        ]),
        ..Derivation::default()
    };
    let only = |o: &[&str]| DerivedOutputs {
        outputs: o.iter().map(|o| (*o).to_owned()).collect(),
        dynamic: BTreeMap::new(),
    };
    let a = Derivation {
        name: "a".into(),
        outputs: [("out".into(), Output::Deferred), ("dev".into(), Output::Deferred)].into(),
        input_drvs: [(fixed.store_path(&dir()).unwrap(), only(&["out"]))].into(),
        system: "x86_64-linux".into(),
        builder: "/bin/sh".into(),
        args: vec!["-c".into(), "echo \"hi\\n\" > $out\n".into()],
        env: env(&[
            ("builder", "/bin/sh"),
            ("dev", ""),
            ("name", "a"),
            ("out", ""),
            ("outputs", "out dev"),
            ("src", "/nix/store/y3s4bz3kpk4pb2ha5m8w030ikys0bhbw-src"),
            ("system", "x86_64-linux"),
        ]),
        ..Derivation::default()
    };
    let b = Derivation {
        name: "b".into(),
        outputs: [("out".into(), Output::Deferred)].into(),
        input_srcs: [StorePath::from_base_name("n67lcg14n0q7xc51d5sm6j6i40kpnvfk-t").unwrap()]
            .into(),
        system: "x86_64-linux".into(),
        builder: "/bin/sh".into(),
        env: env(&[
            ("a", "/nix/store/727n6nl93c2lzmrqscc323dc2bpa1b05-a"),
            ("builder", "/bin/sh"),
            ("dev", "/nix/store/3fpvv6y29m2b2b97c2674b7l7y5mnz8x-a-dev"),
            ("name", "b"),
            ("out", ""),
            ("system", "x86_64-linux"),
            ("txt", "/nix/store/n67lcg14n0q7xc51d5sm6j6i40kpnvfk-t"),
        ]),
        ..Derivation::default()
    };
    let mut known: BTreeMap<StorePath, DrvHashModulo> = BTreeMap::new();
    let mut done = [fixed, a, b];
    for i in 0..3 {
        if i == 2 {
            let a = done[1].store_path(&dir()).unwrap();
            done[2].input_drvs.insert(a, only(&["dev", "out"]));
        }
        let drv = &mut done[i];
        let mut look = |p: &StorePath| Ok(known[p].clone());
        let masked = hash_modulo(drv, &dir(), true, &mut look).unwrap();
        drv.fill_output_paths(&dir(), &masked).unwrap();
        let whole = hash_modulo(drv, &dir(), false, &mut look).unwrap();
        known.insert(drv.store_path(&dir()).unwrap(), whole);
    }
    done
}

#[test]
fn paths_are_those_that_nix_computes() {
    let [fixed, a, b] = three();
    let drv = |d: &Derivation| d.store_path(&dir()).unwrap().to_string();
    assert_eq!(drv(&fixed), "b7n0iv1wz5mrps18p8479ca3a990cj7d-src.drv");
    assert_eq!(drv(&a), "7mj5ijrvqgk9b42p7swfswdjw4gnqj7i-a.drv");
    assert_eq!(drv(&b), "2d6nkzraj2zb1cp3z5nw1mhaz6r19k22-b.drv");
    let out = |d: &Derivation, o| d.output_path(&dir(), o).unwrap().unwrap().to_string();
    assert_eq!(out(&fixed, "out"), "y3s4bz3kpk4pb2ha5m8w030ikys0bhbw-src");
    assert_eq!(out(&a, "dev"), "3fpvv6y29m2b2b97c2674b7l7y5mnz8x-a-dev");
    assert_eq!(out(&a, "out"), "727n6nl93c2lzmrqscc323dc2bpa1b05-a");
    assert_eq!(out(&b, "out"), "b8f6gjgiamrniiypppgvw3ilqnvz0h4j-b");
}

#[test]
fn both_forms_read_back() {
    for drv in three() {
        let text = drv.to_aterm(&dir());
        assert_eq!(Derivation::parse(&drv.name, &text, &dir()).unwrap(), drv);
        assert_eq!(Derivation::from_json(&drv.to_json().unwrap()).unwrap(), drv);
    }
}

#[test]
fn json_is_what_nix_derivation_show_prints() {
    let expected = r#"{"args":[],"builder":"/bin/sh","env":{"a":"/nix/store/727n6nl93c2lzmrqscc323dc2bpa1b05-a","builder":"/bin/sh","dev":"/nix/store/3fpvv6y29m2b2b97c2674b7l7y5mnz8x-a-dev","name":"b","out":"/nix/store/b8f6gjgiamrniiypppgvw3ilqnvz0h4j-b","system":"x86_64-linux","txt":"/nix/store/n67lcg14n0q7xc51d5sm6j6i40kpnvfk-t"},"inputs":{"drvs":{"7mj5ijrvqgk9b42p7swfswdjw4gnqj7i-a.drv":{"dynamicOutputs":{},"outputs":["dev","out"]}},"srcs":["n67lcg14n0q7xc51d5sm6j6i40kpnvfk-t"]},"name":"b","outputs":{"out":{"path":"b8f6gjgiamrniiypppgvw3ilqnvz0h4j-b"}},"system":"x86_64-linux","version":4}"#;
    assert_eq!(three()[2].to_json().unwrap().to_string(), expected);
}

#[test]
fn damaged_text_is_told_with_its_place() {
    let text = three()[2].to_aterm(&dir());
    for cut in 0..text.len() {
        assert!(Derivation::parse("b", &text[..cut], &dir()).is_err(), "cut at {cut}");
    }
    let err = Derivation::parse("b", b"Derive([", &dir()).unwrap_err().to_string();
    assert_eq!(err, "error parsing derivation 'b' at byte 8: expected string '('");
    let err = Derivation::parse("b", b"{}", &dir()).unwrap_err().to_string();
    assert!(err.ends_with("derivation does not start with 'Derive' or 'DrvWithVersion'"), "{err}");
}

#[test]
fn kinds_of_outputs_do_not_mix() {
    let mut drv = three()[1].clone();
    drv.outputs
        .insert("x".into(), Output::Floating { method: Method::Nar, algo: HashAlgo::Sha256 });
    assert_eq!(drv.kind(), Err(Error::MixedOutputs));
    drv.outputs.clear();
    assert_eq!(drv.kind(), Err(Error::NoOutputs));
}

#[test]
fn dynamic_inputs_are_written_in_the_versioned_form() {
    let mut drv = three()[2].clone();
    let inner = DerivedOutputs { outputs: ["out".to_owned()].into(), dynamic: BTreeMap::new() };
    if let Some(first) = drv.input_drvs.values_mut().next() {
        first.dynamic.insert("out".into(), inner);
    }
    let text = drv.to_aterm(&dir());
    assert!(text.starts_with(b"DrvWithVersion(\"xp-dyn-drv\",["));
    assert_eq!(Derivation::parse("b", &text, &dir()).unwrap(), drv);
}

proptest! {
    #[test]
    fn any_bytes_in_strings_survive(value: Vec<u8>, arg: Vec<u8>) {
        let mut drv = three()[2].clone();
        drv.env.insert("x".into(), value.into());
        drv.args.push(arg.into());
        prop_assert_eq!(Derivation::parse("b", &drv.to_aterm(&dir()), &dir()).unwrap(), drv);
    }
    #[test]
    fn changed_bytes_are_no_panic(at: prop::sample::Index, byte: u8) {
        let mut text = three()[1].to_aterm(&dir());
        let at = at.index(text.len());
        text[at] = byte;
        let _ = Derivation::parse("a", &text, &dir());
    }
}

#[test]
fn completing_is_the_steps_in_one() {
    let mut known: BTreeMap<StorePath, DrvHashModulo> = BTreeMap::new();
    for drv in three() {
        let mut look = |p: &StorePath| Ok(known[p].clone());
        let mut open = drv.clone();
        for (name, output) in &mut open.outputs {
            if matches!(output, Output::InputAddressed(_)) {
                *output = Output::Deferred;
                open.env.insert(name.as_str().into(), "".into());
            }
        }
        let done = complete(&mut open, &dir(), &mut look).unwrap();
        assert_eq!(open, drv);
        assert_eq!(done.text, drv.to_aterm(&dir()));
        assert_eq!(done.hash, Hash::digest(HashAlgo::Sha256, &done.text));
        assert_eq!(done.path, drv.store_path(&dir()).unwrap());
        assert_eq!(done.modulo, hash_modulo(&drv, &dir(), false, &mut look).unwrap());
        known.insert(done.path, done.modulo);
    }
}

#[test]
fn outputs_stay_deferred_while_an_input_is() {
    let [_, _, mut b] = three();
    let out = b.outputs.get_mut("out").unwrap();
    *out = Output::Deferred;
    b.env.insert("out".into(), "".into());
    let before = b.clone();
    let unknown = DrvHashModulo::Deferred(Hash::digest(HashAlgo::Sha256, b"not known"));
    let mut look = |_: &StorePath| Ok(unknown.clone());
    let done = complete(&mut b, &dir(), &mut look).unwrap();
    assert_eq!(b, before);
    assert!(matches!(done.modulo, DrvHashModulo::Deferred(_)));
    assert_eq!(done.modulo, hash_modulo(&b, &dir(), false, &mut look).unwrap());
    assert_eq!(done.text, b.to_aterm(&dir()));
}

#[test]
fn escapes_are_found_wherever_they_stand() {
    for at in 0..40 {
        for escape in ['"', '\\', '\n', '\r', '\t'] {
            let mut text = "é".repeat(20);
            text.insert(at / 2 * 2, escape);
            let drv = Derivation { builder: text.as_str().into(), ..three()[0].clone() };
            let read = Derivation::parse(&drv.name, &drv.to_aterm(&dir()), &dir()).unwrap();
            assert_eq!(read, drv);
            assert!(!drv.to_aterm(&dir()).contains(&b'\n'));
        }
    }
}
