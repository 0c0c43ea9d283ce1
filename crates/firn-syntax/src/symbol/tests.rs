use super::{Symbol, known, sym, table::Table};

#[test]
fn names_round_trip_and_are_unique() {
    let a = Symbol::intern(b"alpha-one");
    assert_eq!(a, Symbol::intern(b"alpha-one"));
    assert_ne!(a, Symbol::intern(b"alpha-two"));
    assert_eq!(a.as_bytes(), b"alpha-one");
    assert_eq!(Symbol::find(b"alpha-one"), Some(a));
    assert_eq!(Symbol::find(b"a name that nobody uses"), None);
    assert_eq!(Symbol::intern(b"\xff\0").as_str(), "\u{fffd}\0");
    assert_eq!(Symbol::from_index(a.index()), a);
}

#[test]
fn known_symbols_have_their_texts() {
    for (i, text) in known::TEXTS.iter().enumerate() {
        assert_eq!(Symbol::intern(text.as_bytes()).index() as usize, i, "{text} is listed twice");
    }
    assert_eq!(sym::OUT_PATH.as_bytes(), b"outPath");
    assert_eq!(sym::EMPTY.as_bytes(), b"");
}

#[test]
fn threads_agree_while_the_table_grows() {
    let table = Table::new();
    let count = if cfg!(miri) { 300 } else { 60_000 };
    let ids: Vec<Vec<u32>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|w| {
                let table = &table;
                scope.spawn(move || {
                    let mut ids = vec![0; count];
                    for k in 0..count {
                        // Each thread goes through the names from another start.
                        let n = (k + w * count / 4) % count;
                        ids[n] = table.intern(format!("name-{n}").as_bytes());
                    }
                    ids
                })
            })
            .collect();
        workers.into_iter().map(|w| w.join().unwrap()).collect()
    });
    assert!(ids.windows(2).all(|w| w[0] == w[1]));
    assert_eq!(table.len(), count);
    for (n, id) in ids[0].iter().enumerate() {
        assert_eq!(table.bytes(*id), format!("name-{n}").as_bytes());
    }
}
