use firn_model::derivation::DerivedOutputs;
use firn_model::realisation::{DrvOutput, Realisation};
use firn_model::signature::SecretKey;

use super::*;

fn with_realisations() -> Case {
    case_with(|options| options.ca_derivations = true)
}

fn id(letter: &str) -> DrvOutput {
    format!("sha256:{}!out", letter.repeat(64)).parse().unwrap()
}

fn floating(name: &str, inputs: &[&StorePath]) -> Derivation {
    let wanted = DerivedOutputs { outputs: ["out".to_owned()].into(), ..Default::default() };
    let output = Output::Floating { method: Method::Nar, algo: HashAlgo::Sha256 };
    Derivation {
        name: name.to_owned(),
        outputs: [("out".to_owned(), output)].into(),
        input_drvs: inputs.iter().map(|i| ((*i).clone(), wanted.clone())).collect(),
        system: "x".into(),
        builder: "y".into(),
        ..Derivation::default()
    }
}

#[test]
fn a_realisation_is_kept_and_gathers_signatures() {
    let case = with_realisations();
    let path = case.text("a", &[]);
    let mut first = Realisation::new(id("a"), path.clone());
    first.sign(&SecretKey::from_seed("k", &[1; 32]).unwrap());
    case.store.register_realisation(&first).unwrap();
    assert_eq!(case.store.query_realisation(&id("a")).unwrap(), Some(first.clone()));
    assert_eq!(case.store.query_realisation(&id("b")).unwrap(), None);

    let mut second = Realisation::new(id("a"), path);
    second.sign(&SecretKey::from_seed("l", &[2; 32]).unwrap());
    case.store.register_realisation(&second).unwrap();
    let both = case.reopened().query_realisation(&id("a")).unwrap().unwrap();
    assert_eq!(both.signatures, &first.signatures | &second.signatures);
}

#[test]
fn an_output_is_not_two_paths() {
    let case = with_realisations();
    let (a, b) = (case.text("a", &[]), case.text("b", &[]));
    case.store.register_realisation(&Realisation::new(id("a"), a.clone())).unwrap();
    let error = case.store.register_realisation(&Realisation::new(id("a"), b)).unwrap_err();
    assert!(matches!(error, Error::OtherRealisation { .. }), "{error}");
    let known = case.store.query_realisation(&id("a")).unwrap().unwrap();
    assert_eq!(known.out_path, a);
}

#[test]
fn a_realisation_goes_with_its_path() {
    let case = with_realisations();
    let path = case.text("a", &[]);
    case.store.register_realisation(&Realisation::new(id("a"), path.clone())).unwrap();
    let case = case.without_temp_roots();
    case.gc(Action::DeleteDead);
    assert_eq!(case.store.query_realisation(&id("a")).unwrap(), None);
    let error = case.store.register_realisation(&Realisation::new(id("a"), path)).unwrap_err();
    assert!(matches!(error, Error::InvalidPath { .. }), "{error}");
}

#[test]
fn without_the_feature_there_are_none() {
    let case = case();
    let path = case.text("a", &[]);
    assert_eq!(case.store.query_realisation(&id("a")).unwrap(), None);
    let error = case.store.register_realisation(&Realisation::new(id("a"), path)).unwrap_err();
    assert!(error.to_string().contains("'ca-derivations' is disabled"), "{error}");
    // who turns it on later finds the tables made
    let options = StoreOptions { ca_derivations: true, ..case.store.options.clone() };
    let later = LocalStore::open(case.store.layout.clone(), options).unwrap();
    assert_eq!(later.query_realisation(&id("a")).unwrap(), None);
}

#[test]
fn realisations_tell_where_outputs_are() {
    let case = with_realisations();
    let inner = case.store.add_derivation(&floating("inner", &[]), Repair::No).unwrap();
    let drv = floating("outer", &[&inner]);
    let outer = case.store.add_derivation(&drv, Repair::No).unwrap();
    let unknown = case.store.query_derivation_outputs(&outer).unwrap();
    assert_eq!(unknown, [("out".to_owned(), None)].into());
    let path = case.text("a", &[]);
    let ids = case.store.output_ids(&drv).unwrap();
    case.store.register_realisation(&Realisation::new(ids["out"].clone(), path.clone())).unwrap();
    let known = case.store.query_derivation_outputs(&outer).unwrap();
    assert_eq!(known, [("out".to_owned(), Some(path))].into());
}
