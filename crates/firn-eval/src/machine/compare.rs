//! Equality and order of values.

use super::Vm;
use crate::error::{Error, Kind, Result};
use crate::position::PosId;
use crate::print;
use crate::value::{Value, View};
use firn_syntax::ast::quoted;
use firn_syntax::sym;

/// What a comparison came to: kept apart from `std`'s so that floats that do not compare are "not less".
pub type Ordering3 = bool;

impl Vm {
    /// `a == b` for the operator itself: functions are never equal there, even to themselves.
    #[inline]
    pub(crate) fn equal_top(&mut self, a: Value, b: Value, pos: PosId) -> Result<bool> {
        match (a.view(), b.view()) {
            (View::Str(x), View::Str(y)) => Ok(x.bytes() == y.bytes()),
            (View::Null, View::Null) => Ok(true),
            (View::Bool(x), View::Bool(y)) => Ok(x == y),
            (View::Null, _) | (_, View::Null) => Ok(false),
            (View::Set(x), View::Set(y)) if x == y => self.nested(pos, |vm| vm.same_set(a, pos)),
            _ => self.equal_views(a, b, pos),
        }
    }

    /// Comparing a set with itself: nothing to compare, but what C++ Nix looks at is looked at.
    fn same_set(&mut self, a: Value, pos: PosId) -> Result<bool> {
        if let Some(set) = a.as_set()
            && self.is_derivation(set)?
            && let Some(out) = set.get(sym::OUT_PATH)
        {
            self.force(out, pos)?;
        }
        Ok(true)
    }

    /// Whether two values are equal, as elements and attributes are compared.
    pub fn equal(&mut self, a: Value, b: Value, pos: PosId) -> Result<bool> {
        if a == b && !a.is_thunk() {
            return Ok(true);
        }
        let x = self.force(a, pos)?;
        let y = self.force(b, pos)?;
        // The same cell is equal to itself even if it is a function or not a number.
        if x == y {
            return Ok(true);
        }
        self.equal_views(x, y, pos)
    }

    fn equal_views(&mut self, a: Value, b: Value, pos: PosId) -> Result<bool> {
        Ok(match (a.view(), b.view()) {
            (View::Int(x), View::Int(y)) => x == y,
            (View::Int(x), View::Float(y)) => x as f64 == y,
            (View::Float(x), View::Int(y)) => x == y as f64,
            (View::Float(x), View::Float(y)) => x == y,
            (View::Bool(x), View::Bool(y)) => x == y,
            (View::Null, View::Null) => true,
            (View::Str(x), View::Str(y)) | (View::Path(x), View::Path(y)) => x.bytes() == y.bytes(),
            (View::List(x), View::List(y)) => {
                if x.len() != y.len() {
                    return Ok(false);
                }
                return self.nested(pos, |vm| {
                    for i in 0..x.len() {
                        if !vm.equal(x.get(i), y.get(i), pos)? {
                            return Ok(false);
                        }
                    }
                    Ok(true)
                });
            }
            (View::Set(x), View::Set(y)) => {
                return self.nested(pos, |vm| {
                    if vm.is_derivation(x)?
                        && vm.is_derivation(y)?
                        && let (Some(i), Some(j)) = (x.get(sym::OUT_PATH), y.get(sym::OUT_PATH))
                    {
                        return vm.equal(i, j, pos);
                    }
                    if x.len() != y.len() {
                        return Ok(false);
                    }
                    let (x, y) = (x.flat(&mut vm.heap), y.flat(&mut vm.heap));
                    if x.shape_word() != y.shape_word() {
                        // C++ Nix compares attributes in their order until the names differ.
                        let (left, right) = (x.iter(&mut vm.heap), y.iter(&mut vm.heap));
                        for ((m, v), (n, w)) in left.zip(right) {
                            if m != n || !vm.equal(v, w, pos)? {
                                return Ok(false);
                            }
                        }
                        return Ok(false);
                    }
                    for i in 0..x.len() {
                        if !vm.equal(x.slot(i), y.slot(i), pos)? {
                            return Ok(false);
                        }
                    }
                    Ok(true)
                });
            }
            _ => false,
        })
    }

    /// `a < b` for evaluated values.
    pub fn less(&mut self, a: Value, b: Value, pos: PosId, context: &str) -> Result<Ordering3> {
        let result = match (a.view(), b.view()) {
            (View::Int(x), View::Int(y)) => return Ok(x < y),
            (View::Str(x), View::Str(y)) => return Ok(x.bytes() < y.bytes()),
            (View::Path(x), View::Path(y)) => {
                return Ok(crate::trees::reveal(x.bytes())? < crate::trees::reveal(y.bytes())?);
            }
            (View::Float(x), View::Float(y)) => return Ok(x < y),
            (View::Int(x), View::Float(y)) => return Ok((x as f64) < y),
            (View::Float(x), View::Int(y)) => return Ok(x < y as f64),
            (View::List(x), View::List(y)) => self.nested(pos, |vm| {
                for i in 0.. {
                    if i == y.len() {
                        return Ok(false);
                    }
                    if i == x.len() {
                        return Ok(true);
                    }
                    if !vm.equal(x.get(i), y.get(i), pos)? {
                        let (v, w) = (vm.force(x.get(i), pos)?, vm.force(y.get(i), pos)?);
                        return vm.less(v, w, pos, "while comparing two list elements");
                    }
                }
                Ok(false)
            }),
            _ => {
                let (x, y) = (print::for_error(self, a), print::for_error(self, b));
                let same = a.type_name() == b.type_name();
                Err(Error::other(format!(
                    "cannot compare {} with {}; values {}are {x} and {y}{}",
                    a.describe(),
                    b.describe(),
                    if same { "of that type are incomparable (values " } else { "" },
                    if same { ")" } else { "" },
                )))
            }
        };
        result.map_err(|e| e.trace(PosId::NONE, context))
    }

    /// Says how two values that should be equal differ; `Ok` if they do not.
    pub(crate) fn assert_equal(&mut self, a: Value, b: Value, pos: PosId, top: bool) -> Result<()> {
        self.nested(pos, |vm| vm.assert_equal_in(a, b, pos, top))
    }

    fn assert_equal_in(&mut self, a: Value, b: Value, pos: PosId, top: bool) -> Result<()> {
        let fail = |message: String| Err(Error::new(Kind::Assertion, message));
        let a = self.force(a, pos)?;
        let b = self.force(b, pos)?;
        let set = a.as_set().is_some();
        if a == b && !set && !(top && matches!(a.view(), View::Function(_) | View::Float(_))) {
            return Ok(());
        }
        let (x, y) = (print::for_error(self, a), print::for_error(self, b));
        match (a.view(), b.view()) {
            (View::Int(_) | View::Float(_), View::Int(_) | View::Float(_)) => {
                if self.equal_views(a, b, pos)? {
                    return Ok(());
                }
                fail(format!(
                    "{} with value '{x}' is not equal to {} with value '{y}'",
                    a.describe(),
                    b.describe()
                ))
            }
            (View::Bool(m), View::Bool(n)) if m == n => Ok(()),
            (View::Bool(_), View::Bool(_)) => {
                fail(format!("boolean '{x}' is not equal to boolean '{y}'"))
            }
            (View::Null, View::Null) => Ok(()),
            (View::Str(m), View::Str(n)) if m.bytes() == n.bytes() => Ok(()),
            (View::Str(_), View::Str(_)) => {
                fail(format!("string '{x}' is not equal to string '{y}'"))
            }
            (View::Path(m), View::Path(n)) if m.bytes() == n.bytes() => Ok(()),
            (View::Path(_), View::Path(_)) => {
                fail(format!("path '{x}' is not equal to path '{y}'"))
            }
            (View::List(m), View::List(n)) => {
                if m.len() != n.len() {
                    return fail(format!(
                        "list of size '{}' is not equal to list of size '{}', left hand side is '{x}', right hand side is '{y}'",
                        m.len(),
                        n.len()
                    ));
                }
                for i in 0..m.len() {
                    self.assert_equal(m.get(i), n.get(i), pos, false)
                        .map_err(|e| e.trace(pos, format!("while comparing list element {i}")))?;
                }
                Ok(())
            }
            (View::Set(m), View::Set(n)) => {
                if self.is_derivation(m)?
                    && self.is_derivation(n)?
                    && let (Some(i), Some(j)) = (m.get(sym::OUT_PATH), n.get(sym::OUT_PATH))
                {
                    return self.assert_equal(i, j, pos, false).map_err(|e| {
                        e.trace(pos, "while comparing a derivation by its 'outPath' attribute")
                    });
                }
                if m.len() != n.len() {
                    return fail(format!(
                        "attribute names of attribute set '{x}' differs from attribute set '{y}'"
                    ));
                }
                for (name, v) in m.iter(&mut self.heap) {
                    let Some(w) = n.get(name) else {
                        return fail(format!(
                            "attribute name '{}' is contained in '{x}', but not in '{y}'",
                            quoted(name)
                        ));
                    };
                    self.assert_equal(v, w, pos, false).map_err(|mut e| {
                        for (side, set) in [("right", n), ("left", m)] {
                            let at = set.position(name);
                            if at.is_some() {
                                e = e.trace(at, format!("where {side} hand side is"));
                            }
                        }
                        e.trace(pos, format!("while comparing attribute '{name}'"))
                    })?;
                }
                Ok(())
            }
            _ if a.type_name() != b.type_name() => fail(format!(
                "{} of value '{x}' is not equal to {} of value '{y}'",
                a.describe(),
                b.describe()
            )),
            _ => fail(
                "distinct functions and immediate comparisons of identical functions compare as unequal"
                    .into(),
            ),
        }
    }
}
