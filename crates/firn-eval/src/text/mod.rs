//! Stand-in.
pub mod float {
    pub fn fixed(f: f64) -> String {
        format!("{f:.6}")
    }
}
pub mod version {
    fn next<'a>(s: &mut &'a [u8]) -> &'a [u8] {
        let t = *s;
        let mut i = 0;
        while i < t.len() && (t[i] == b'.' || t[i] == b'-') {
            i += 1;
        }
        let start = i;
        if i < t.len() && t[i].is_ascii_digit() {
            while i < t.len() && t[i].is_ascii_digit() {
                i += 1;
            }
        } else {
            while i < t.len() && !t[i].is_ascii_digit() && t[i] != b'.' && t[i] != b'-' {
                i += 1;
            }
        }
        *s = &t[i..];
        &t[start..i]
    }
    fn lt(a: &[u8], b: &[u8]) -> bool {
        let num = |s: &[u8]| std::str::from_utf8(s).ok().and_then(|s| s.parse::<u32>().ok());
        let (n, m) = (num(a), num(b));
        if let (Some(n), Some(m)) = (n, m) {
            return n < m;
        }
        if a.is_empty() && m.is_some() {
            return true;
        }
        if a == b"pre" && b != b"pre" {
            return true;
        }
        if b == b"pre" {
            return false;
        }
        if m.is_some() {
            return true;
        }
        if n.is_some() {
            return false;
        }
        a < b
    }
    pub fn compare(mut a: &[u8], mut b: &[u8]) -> std::cmp::Ordering {
        while !a.is_empty() || !b.is_empty() {
            let (x, y) = (next(&mut a), next(&mut b));
            if lt(x, y) {
                return std::cmp::Ordering::Less;
            }
            if lt(y, x) {
                return std::cmp::Ordering::Greater;
            }
        }
        std::cmp::Ordering::Equal
    }
    pub fn components(mut v: &[u8]) -> Vec<&[u8]> {
        let mut out = Vec::new();
        while !v.is_empty() {
            let c = next(&mut v);
            if c.is_empty() {
                break;
            }
            out.push(c);
        }
        out
    }
    pub fn parse_drv_name(n: &[u8]) -> (&[u8], &[u8]) {
        for i in 0..n.len() {
            if n[i] == b'-' && i + 1 < n.len() && !n[i + 1].is_ascii_alphabetic() {
                return (&n[..i], &n[i + 1..]);
            }
        }
        (n, b"")
    }
}
pub mod regex {
    pub struct Regex(regex_automata::meta::Regex);
    #[derive(Debug)]
    pub enum Error {
        Invalid,
        TooLarge,
    }
    pub struct Match {
        pub start: usize,
        pub end: usize,
        pub groups: Vec<Option<(usize, usize)>>,
    }
    impl Regex {
        pub fn new(p: &[u8]) -> Result<Regex, Error> {
            let p = std::str::from_utf8(p).map_err(|_| Error::Invalid)?;
            regex_automata::meta::Builder::new()
                .syntax(
                    regex_automata::util::syntax::Config::new()
                        .unicode(false)
                        .utf8(false)
                        .dot_matches_new_line(true),
                )
                .configure(regex_automata::meta::Config::new().utf8_empty(false))
                .build(p)
                .map(Regex)
                .map_err(|_| Error::Invalid)
        }
        pub fn match_whole(&self, t: &[u8]) -> Result<Option<Vec<Option<(usize, usize)>>>, Error> {
            let mut caps = self.0.create_captures();
            self.0.captures(t, &mut caps);
            if let Some(m) = caps.get_match()
                && m.start() == 0
                && m.end() == t.len()
            {
                return Ok(Some(
                    (1..caps.group_len())
                        .map(|i| caps.get_group(i).map(|s| (s.start, s.end)))
                        .collect(),
                ));
            }
            Ok(None)
        }
        pub fn find_all(&self, t: &[u8]) -> Result<Vec<Match>, Error> {
            Ok(self
                .0
                .captures_iter(t)
                .map(|c| {
                    let m = c.get_match().unwrap();
                    Match {
                        start: m.start(),
                        end: m.end(),
                        groups: (1..c.group_len())
                            .map(|i| c.get_group(i).map(|s| (s.start, s.end)))
                            .collect(),
                    }
                })
                .collect())
        }
    }
}
pub fn parse_json(
    vm: &mut crate::machine::Vm,
    s: &[u8],
    pos: crate::position::PosId,
) -> crate::error::Result<crate::value::Value> {
    use crate::value::*;
    let v: serde_json::Value =
        serde_json::from_slice(s).map_err(|e| crate::error::Error::other(e.to_string()).at(pos))?;
    fn go(vm: &mut crate::machine::Vm, v: &serde_json::Value) -> Value {
        match v {
            serde_json::Value::Null => Value::NULL,
            serde_json::Value::Bool(b) => Value::bool(*b),
            serde_json::Value::Number(n) => {
                if let Some(i) = n.as_i64() {
                    vm.int(i)
                } else {
                    Value::float(&mut vm.heap, n.as_f64().unwrap_or(0.0))
                }
            }
            serde_json::Value::String(s) => vm.string(s),
            serde_json::Value::Array(a) => {
                let e: Vec<Value> = a.iter().map(|v| go(vm, v)).collect();
                List::new(&mut vm.heap, &e).value()
            }
            serde_json::Value::Object(o) => {
                let mut b = SetBuilder::default();
                for (k, v) in o {
                    let v = go(vm, v);
                    b.push(firn_syntax::Symbol::intern(k.as_bytes()), v);
                }
                b.finish(&mut vm.heap).value()
            }
        }
    }
    Ok(go(vm, &v))
}
pub fn parse_toml(
    vm: &mut crate::machine::Vm,
    s: &[u8],
    pos: crate::position::PosId,
) -> crate::error::Result<crate::value::Value> {
    parse_json(vm, s, pos)
}
