use super::*;
use crate::heap::Heap;
use crate::shape;
use firn_syntax::Symbol;

fn sym(name: &str) -> Symbol {
    Symbol::intern(name.as_bytes())
}

fn set(heap: &mut Heap, attrs: &[(&str, i64)]) -> Set {
    let mut b = SetBuilder::default();
    for (name, v) in attrs {
        let v = Value::int(heap, *v);
        b.push(sym(name), v);
    }
    b.finish(heap)
}

fn int(v: Option<Value>) -> Option<i64> {
    match v?.view() {
        View::Int(i) => Some(i),
        _ => None,
    }
}

#[test]
fn a_value_is_one_word() {
    assert_eq!(size_of::<Value>(), 8);
    assert_eq!(size_of::<crate::compile::Node>(), 16);
    assert_eq!(size_of::<crate::error::Result<Value>>(), 16);
}

#[test]
fn integers_of_all_sizes_come_back() {
    let mut heap = Heap::new();
    for i in [0, 1, -1, i64::MAX, i64::MIN, 1 << 59, 1 << 60, -(1 << 60), -(1 << 60) - 1] {
        assert_eq!(int(Some(Value::int(&mut heap, i))), Some(i));
    }
    assert_eq!(Value::small_int(1 << 60), None);
}

#[test]
fn immediates_are_told_apart() {
    assert!(matches!(Value::NULL.view(), View::Null));
    assert_eq!(Value::TRUE.as_bool(), Some(true));
    assert_eq!(Value::FALSE.as_bool(), Some(false));
    assert_eq!(Value::NULL.as_bool(), None);
    assert_eq!(Value::builtin(77).as_builtin(), Some(77));
    assert_eq!(Value::busy(5).busy_owner(), Some(5));
    assert_eq!(Value::TRUE.busy_owner(), None);
}

#[test]
fn strings_remember_their_symbol() {
    let mut heap = Heap::new();
    let s = Str::new(&mut heap, b"hello \xff world");
    assert_eq!(s.bytes(), b"hello \xff world");
    assert_eq!(s.symbol(), s.symbol());
    assert_eq!(s.symbol().as_bytes(), s.bytes());
    assert_eq!(s.len(), 13);
    let name = sym("a name");
    assert_eq!(Str::of_symbol(&mut heap, name).value(), Str::of_symbol(&mut heap, name).value());
}

#[test]
fn builders_keep_the_first_of_equal_names() {
    let mut heap = Heap::new();
    let s = set(&mut heap, &[("b", 1), ("a", 2), ("b", 3)]);
    assert_eq!(s.len(), 2);
    assert_eq!(int(s.get(sym("b"))), Some(1));
    assert_eq!(int(s.get(sym("a"))), Some(2));
    assert_eq!(s.get(sym("absent")), None);
}

#[test]
fn narrow_updates_are_flat() {
    let mut heap = Heap::new();
    let a = set(&mut heap, &[("a", 1), ("b", 2)]);
    let b = set(&mut heap, &[("b", 3), ("c", 4)]);
    let u = Set::update(&mut heap, a, b);
    assert!(u.shape().is_some());
    assert_eq!(
        [int(u.get(sym("a"))), int(u.get(sym("b"))), int(u.get(sym("c")))],
        [Some(1), Some(3), Some(4)]
    );
}

#[test]
fn wide_updates_are_layers_that_mean_the_same() {
    let mut heap = Heap::new();
    let names: Vec<String> = (0..500).map(|i| format!("wide{i:03}")).collect();
    let attrs: Vec<(&str, i64)> = names.iter().map(|n| (n.as_str(), 1)).collect();
    let wide = set(&mut heap, &attrs);
    let mut layered = wide;
    // Each step adds one name and hides another one.
    for i in 0..60i64 {
        let new = format!("new{i}");
        let hidden = format!("wide{:03}", i * 7);
        let over = set(&mut heap, &[(&new, i), (&hidden, -i)]);
        layered = Set::update(&mut heap, layered, over);
        assert_eq!(layered.len() as i64, 501 + i);
    }
    assert!(layered.shape().is_none(), "a small layer on a wide set is not copied");
    for i in 0..60i64 {
        assert_eq!(int(layered.get(sym(&format!("new{i}")))), Some(i));
        assert_eq!(int(layered.get(sym(&format!("wide{:03}", i * 7)))), Some(-i));
    }
    assert_eq!(int(layered.get(sym("wide001"))), Some(1));
    assert_eq!(layered.get(sym("absent")), None);
    let flat = layered.flat(&mut heap);
    assert_eq!(flat.len(), layered.len());
    for (name, v) in flat.iter(&mut heap) {
        assert_eq!(Some(v), layered.get(name));
    }
    let order: Vec<Symbol> = layered.sorted(&mut heap).map(|(n, _)| n).collect();
    assert!(order.is_sorted_by_key(|n| n.as_bytes()));
}

#[test]
fn subsets_keep_values() {
    let mut heap = Heap::new();
    let s = set(&mut heap, &[("p", 1), ("q", 2), ("r", 3)]);
    let shape = s.shape().expect("flat");
    let part = s.subset(&mut heap, shape::removal(shape, shape::intern(&[sym("q")])));
    assert_eq!(part.len(), 2);
    assert_eq!(int(part.get(sym("p"))), Some(1));
    assert_eq!(int(part.get(sym("r"))), Some(3));
    assert_eq!(int(part.get(sym("q"))), None);
}
