use super::search::Search;
use super::{Error, Regex};
use proptest::prelude::*;

fn groups(pattern: &str, text: &str) -> Option<Vec<Option<String>>> {
    let found = Regex::new(pattern.as_bytes()).unwrap().match_whole(text.as_bytes())?;
    Some(found.into_iter().map(|g| g.map(|(a, b)| text[a..b].to_owned())).collect())
}

fn split(pattern: &str, text: &str) -> Vec<String> {
    let found = Regex::new(pattern.as_bytes()).unwrap().find_all(text.as_bytes());
    found.iter().map(|f| text[f.start..f.end].to_owned()).collect()
}

#[test]
fn whole_texts() {
    let some = |parts: &[Option<&str>]| {
        Some(parts.iter().map(|p| p.map(str::to_owned)).collect::<Vec<_>>())
    };
    assert_eq!(groups("ab", "abc"), None);
    assert_eq!(groups("a(b)(c)", "abc"), some(&[Some("b"), Some("c")]));
    assert_eq!(groups("(a)|b", "b"), some(&[None]));
    assert_eq!(groups("(a|(b))*", "ba"), some(&[Some("a"), Some("b")]));
    assert_eq!(groups("(.*)-([0-9]+)", "foo-bar-12"), some(&[Some("foo-bar"), Some("12")]));
    assert_eq!(groups("(x*)*", ""), some(&[Some("")]));
}

#[test]
fn all_matches() {
    assert_eq!(split("a|ab|abc", "abcab"), ["abc", "ab"]);
    assert_eq!(split("x*", "axb"), ["", "x", "", ""]);
    assert_eq!(split("^a", "aa"), ["a"]);
}

#[test]
fn errors() {
    for pattern in [
        "(", ")", "*a", "a|*b", "[a", "[z-a]", "a{2,1}", "a{,2}", "a{", "\\d", "\\", "[[:x:]]",
        "[a-a-z]",
    ] {
        assert_eq!(Regex::new(pattern.as_bytes()).unwrap_err(), Error::Invalid, "{pattern}");
    }
    assert_eq!(Regex::new(b"(a{1000}){100}").unwrap_err(), Error::TooLarge);
}

#[test]
fn long_texts_and_bad_patterns_are_no_trouble() {
    let text = "a".repeat(if cfg!(debug_assertions) { 20_000 } else { 200_000 });
    assert_eq!(groups("(a|b)*", &text).unwrap().len(), 1);
    assert_eq!(groups("(a*)*b", &text), None);
    assert_eq!(groups("((a|a)*)*c", &text[..2000]), None);
    assert_eq!(groups("(a|aa)+$x", &text[..5000]), None);
    assert_eq!(split("(a|a|a)*", &text[..500]), [&text[..500], ""]);
    let deep = "(".repeat(20_000) + &")".repeat(20_000);
    assert!(Regex::new(deep.as_bytes()).is_ok());
}

fn patterns() -> impl Strategy<Value = String> {
    let atom = prop::sample::select(&["a", "b", "[ab]", "[^a]", ".", "^", "$", "c"][..]);
    atom.prop_map(str::to_owned).prop_recursive(4, 16, 3, |inner| {
        let quantifier = prop::sample::select(&["*", "+", "?", "{0,2}", "{2}", "{1,}"][..]);
        prop_oneof![
            (inner.clone(), quantifier).prop_map(|(p, q)| format!("({p}){q}")),
            (inner.clone(), inner.clone()).prop_map(|(p, q)| format!("{p}{q}")),
            (inner.clone(), inner.clone()).prop_map(|(p, q)| format!("({p}|{q})")),
            inner.prop_map(|p| format!("{p}b*a+")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// What is remembered changes no result.
    #[test]
    fn memory_is_exact(pattern in patterns(), text in "[abc]{0,7}") {
        let regex = Regex::new(pattern.as_bytes()).unwrap();
        let search = |patience| Search::new(&regex.program, text.as_bytes()).patience(patience);
        prop_assert_eq!(search(0).whole(), search(u32::MAX).whole());
        prop_assert_eq!(search(0).all(), search(u32::MAX).all());
    }
}
