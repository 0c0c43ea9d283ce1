use super::*;

fn shape(names: &[&str]) -> ShapeRef {
    let mut symbols: Vec<Symbol> = names.iter().map(|n| Symbol::intern(n.as_bytes())).collect();
    symbols.sort();
    intern(&symbols)
}

fn texts(shape: ShapeRef) -> Vec<String> {
    shape.order().iter().map(|s| shape.names()[*s as usize].to_string()).collect()
}

#[test]
fn same_names_are_the_same_shape() {
    assert!(std::ptr::eq(shape(&["zeta", "alpha"]), shape(&["alpha", "zeta"])));
    assert!(!std::ptr::eq(shape(&["zeta"]), shape(&["alpha"])));
    assert!(std::ptr::eq(shape(&[]), empty()));
}

#[test]
fn order_is_by_bytes() {
    assert_eq!(texts(shape(&["b", "a", "B", "ab", "_x"])), ["B", "_x", "a", "ab", "b"]);
}

#[test]
fn every_width_finds_its_names() {
    for n in [1usize, 9, 10, 11, 47, 48, 49, 500] {
        let names: Vec<String> = (0..n).map(|i| format!("w{n}-{i}")).collect();
        let s = shape(&names.iter().map(String::as_str).collect::<Vec<_>>());
        for name in &names {
            let symbol = Symbol::intern(name.as_bytes());
            let slot = s.find(symbol).expect("present");
            assert_eq!(s.names()[slot], symbol);
        }
        assert_eq!(s.find(Symbol::intern(b"absent from every shape")), None);
    }
}

#[test]
fn update_prefers_the_right() {
    let u = update(shape(&["a", "b", "c"]), shape(&["b", "d"]));
    assert_eq!(texts(u.result), ["a", "b", "c", "d"]);
    for (slot, source) in u.sources.iter().enumerate() {
        let name = u.result.names()[slot];
        let from_right = source & FROM_RIGHT != 0;
        assert_eq!(from_right, u.right.find(name).is_some());
        let side = if from_right { u.right } else { u.left };
        assert_eq!(side.names()[(source & !FROM_RIGHT) as usize], name);
    }
    assert!(std::ptr::eq(u, update(shape(&["a", "b", "c"]), shape(&["b", "d"]))));
}

#[test]
fn subsets_keep_the_right_slots() {
    let whole = shape(&["a", "b", "c", "d"]);
    assert_eq!(texts(removal(whole, shape(&["b", "x"])).result), ["a", "c", "d"]);
    let i = intersection(shape(&["b", "x", "d"]), whole);
    assert_eq!(texts(i.result), ["b", "d"]);
    for (slot, source) in i.sources.iter().enumerate() {
        assert_eq!(whole.names()[*source as usize], i.result.names()[slot]);
    }
}
