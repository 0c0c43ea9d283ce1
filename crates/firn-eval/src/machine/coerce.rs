//! Checking and converting values: "expected a set but found …", and what becomes a string.

use super::{Ahead, Vm};
use crate::context::{ContextBuilder, Element};
use crate::error::{Error, Result};
use crate::position::PosId;
use crate::print;
use crate::trees;
use crate::value::{List, Set, Str, Value, View};
use firn_model::StorePath;
use firn_syntax::sym;
use std::borrow::Cow;

/// The bytes of a string that was there, or of one made just now.
pub type Text = Cow<'static, [u8]>;

macro_rules! force_as {
    ($(#[$doc:meta])* $name:ident, $type:ty, $as:ident, $what:literal) => {
        $(#[$doc])*
        #[inline]
        pub fn $name(&mut self, v: Value, pos: PosId, context: &str) -> Result<$type> {
            if let Some(found) = v.$as() {
                return Ok(found);
            }
            match self.force(v, pos) {
                Ok(v) => match v.$as() {
                    Some(found) => Ok(found),
                    None => Err(self.expected($what, v).at(pos).trace(pos, context)),
                },
                Err(e) => Err(e.trace(pos, context)),
            }
        }
    };
}

/// As `force_as`, but evaluation's own errors do not get the step.
macro_rules! force_structure {
    ($(#[$doc:meta])* $name:ident, $type:ty, $as:ident, $what:literal) => {
        $(#[$doc])*
        #[inline]
        pub fn $name(&mut self, v: Value, pos: PosId, context: &str) -> Result<$type> {
            if let Some(found) = v.$as() {
                return Ok(found);
            }
            let v = self.force(v, pos)?;
            v.$as().ok_or_else(|| self.expected($what, v).trace(pos, context))
        }
    };
}

impl Vm {
    force_structure! {
        /// The set that a value is, with `context` as a step of the error if it is none.
        force_set, Set, as_set, "a set"
    }
    force_structure! {
        /// The list that a value is.
        force_list, List, as_list, "a list"
    }
    force_as! {
        /// The string that a value is.
        force_string, Str, as_str, "a string"
    }
    force_as! {
        /// The Boolean that a value is.
        force_bool, bool, as_bool, "a Boolean"
    }

    /// The integer that a value is.
    pub fn force_int(&mut self, v: Value, pos: PosId, context: &str) -> Result<i64> {
        let v = self.force(v, pos).map_err(|e| e.trace(pos, context))?;
        match v.view() {
            View::Int(i) => Ok(i),
            _ => Err(self.expected("an integer", v).at(pos).trace(pos, context)),
        }
    }

    /// The number that a value is.
    pub fn force_float(&mut self, v: Value, pos: PosId, context: &str) -> Result<f64> {
        let v = self.force(v, pos).map_err(|e| e.trace(pos, context))?;
        match v.view() {
            View::Int(i) => Ok(i as f64),
            View::Float(f) => Ok(f),
            _ => Err(self.expected("a float", v).at(pos).trace(pos, context)),
        }
    }

    /// The function, or set with `__functor`, that a value is.
    pub fn force_function(&mut self, v: Value, pos: PosId, context: &str) -> Result<Value> {
        let v = self.force(v, pos).map_err(|e| e.trace(pos, context))?;
        match v.view() {
            View::Function(_) | View::Partial(_) | View::Builtin(_) | View::Applied(_) => Ok(v),
            View::Set(set) if set.has(sym::FUNCTOR) => Ok(v),
            _ => Err(self.expected("a function", v).at(pos).trace(pos, context)),
        }
    }

    /// The string without context that a value is.
    pub fn force_string_no_context(&mut self, v: Value, pos: PosId, context: &str) -> Result<Str> {
        let s = self.force_string(v, pos, context)?;
        match s.context().and_then(|c| c.elements().next()) {
            None => Ok(s),
            Some(element) => {
                let what = element.display(self.store_dir());
                Err(Error::other(format!(
                    "the string '{}' is not allowed to refer to a store path (such as '{what}')",
                    String::from_utf8_lossy(s.bytes())
                ))
                .trace(pos, context))
            }
        }
    }

    /// An attribute that a builtin needs.
    pub fn need_attr(
        &mut self,
        set: Set,
        name: firn_syntax::Symbol,
        context: &str,
    ) -> Result<Value> {
        set.get(name).ok_or_else(|| {
            Error::type_error(format!("attribute '{}' missing", firn_syntax::ast::quoted(name)))
                .trace(PosId::NONE, context)
        })
    }

    /// What a value is as a string. `more` lets numbers, Booleans, null and lists be strings; `copy` puts
    /// paths into the store.
    #[expect(clippy::too_many_arguments, reason = "the language's coercion has these knobs")]
    #[inline]
    pub fn coerce(
        &mut self,
        pos: PosId,
        v: Value,
        context: &mut ContextBuilder,
        what_for: &str,
        more: bool,
        copy: bool,
        canonical: bool,
    ) -> Result<Text> {
        if let Some(s) = v.as_str() {
            context.add(s.context());
            return Ok(Text::Borrowed(s.bytes()));
        }
        self.enter(pos)?;
        let result = self.coerce_slow(pos, v, context, what_for, more, copy, canonical);
        self.leave();
        result
    }

    #[expect(clippy::too_many_arguments, reason = "as `coerce`")]
    fn coerce_slow(
        &mut self,
        pos: PosId,
        v: Value,
        context: &mut ContextBuilder,
        what_for: &str,
        more: bool,
        copy: bool,
        canonical: bool,
    ) -> Result<Text> {
        let v = self.force(v, pos)?;
        match v.view() {
            View::Str(s) => {
                context.add(s.context());
                return Ok(Text::Borrowed(s.bytes()));
            }
            View::Path(p) => {
                if !copy {
                    return trees::reveal(p.bytes());
                }
                let path = self.copy_to_store(p.bytes(), context)?;
                return Ok(Text::Owned(self.store_dir().print(&path).into_bytes()));
            }
            View::Set(set) => {
                if let Some(text) = self.set_to_string(pos, v, set, context, more, copy)? {
                    return Ok(text);
                }
                if let Some(out) = set.get(sym::OUT_PATH) {
                    return self.coerce(pos, out, context, what_for, more, copy, canonical);
                }
            }
            View::Bool(true) if more => return Ok(Text::Borrowed(b"1")),
            View::Bool(false) | View::Null if more => return Ok(Text::Borrowed(b"")),
            View::Int(i) if more => return Ok(Text::Owned(i.to_string().into_bytes())),
            View::Float(f) if more => {
                return Ok(Text::Owned(crate::text::float::fixed(f).into_bytes()));
            }
            View::List(list) if more => {
                // What helpers do here copies paths.
                let ahead = if copy { list.len() } else { 0 };
                let mut out = Vec::new();
                self.ahead(
                    Ahead::Text,
                    ahead,
                    |_| list.iter().collect(),
                    |vm| {
                        for i in 0..list.len() {
                            let v = list.get(i);
                            let text = vm
                                .coerce(
                                    pos,
                                    v,
                                    context,
                                    "while evaluating one element of the list",
                                    more,
                                    copy,
                                    canonical,
                                )
                                .map_err(|e| e.trace(pos, what_for))?;
                            out.extend_from_slice(&text);
                            let empty_list =
                                super::eval::resolved(v).as_list().is_some_and(List::is_empty);
                            if i + 1 < list.len() && !empty_list {
                                out.push(b' ');
                            }
                        }
                        Ok(())
                    },
                )?;
                return Ok(Text::Owned(out));
            }
            _ => {}
        }
        let shown = print::for_error(self, v);
        Err(Error::type_error(format!("cannot coerce {} to a string: {shown}", v.describe()))
            .trace(pos, what_for))
    }

    /// What `__toString` gives, if the set has it.
    pub(crate) fn set_to_string(
        &mut self,
        pos: PosId,
        v: Value,
        set: Set,
        context: &mut ContextBuilder,
        more: bool,
        copy: bool,
    ) -> Result<Option<Text>> {
        let Some(f) = set.get(sym::TO_STRING) else { return Ok(None) };
        let result = self.apply(f, &[v], pos)?;
        self.coerce(
            pos,
            result,
            context,
            "while evaluating the result of the `__toString` attribute",
            more,
            copy,
            true,
        )
        .map(Some)
    }

    /// The path that a value is: an absolute, normalised name.
    pub fn coerce_path(
        &mut self,
        pos: PosId,
        v: Value,
        context: &mut ContextBuilder,
        what_for: &str,
    ) -> Result<Text> {
        let v = self.force(v, pos).map_err(|e| e.trace(pos, what_for))?;
        match v.view() {
            View::Path(p) => return Ok(Text::Borrowed(p.bytes())),
            View::Set(set) => {
                if let Some(f) = set.get(sym::TO_STRING) {
                    let result = self.apply(f, &[v], pos)?;
                    return self.nested(pos, |vm| vm.coerce_path(pos, result, context, what_for));
                }
            }
            _ => {}
        }
        let text = self.coerce(pos, v, context, what_for, false, false, true)?;
        if text.first() != Some(&b'/') {
            return Err(Error::other(format!(
                "string '{}' doesn't represent an absolute path",
                String::from_utf8_lossy(&text)
            ))
            .trace(pos, what_for));
        }
        let path = crate::paths::canonical(&text);
        Ok(Text::Owned(trees::conceal(&path).unwrap_or(path)))
    }

    /// The store path that a value is.
    pub fn coerce_store_path(
        &mut self,
        pos: PosId,
        v: Value,
        context: &mut ContextBuilder,
        what_for: &str,
    ) -> Result<StorePath> {
        let text = self.coerce(pos, v, context, what_for, false, false, true)?;
        let text = String::from_utf8_lossy(&text);
        self.store_dir().parse(&text).map_err(|_| {
            Error::other(format!("path '{text}' is not in the Nix store")).trace(pos, what_for)
        })
    }

    /// Puts a file or folder into the store, once in a run.
    pub(crate) fn copy_to_store(
        &mut self,
        path: &[u8],
        context: &mut ContextBuilder,
    ) -> Result<StorePath> {
        if path.ends_with(b".drv") {
            return Err(Error::other("file names are not allowed to end in '.drv'"));
        }
        let store_path = self.source_path(path)?;
        context.add_element(Element::Opaque(store_path.clone()));
        Ok(store_path)
    }
}
