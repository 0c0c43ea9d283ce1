//! Values as XML, as `builtins.toXML` and `nix-instantiate --xml` write it.

use crate::context::ContextBuilder;
use crate::error::Result;
use crate::machine::{Vm, looked_at};
use crate::position::PosId;
use crate::value::{Set, Value, View};
use firn_syntax::{number, sym};
use rustc_hash::FxHashSet;

struct Writer {
    out: Vec<u8>,
    indent: usize,
    strict: bool,
    location: bool,
    derivations: FxHashSet<Vec<u8>>,
}

type Attr<'a> = (&'a str, &'a [u8]);

/// A document of the value. `strict` evaluates everything, `location` adds positions.
///
/// # Errors
/// What evaluation raises.
pub fn to_xml(
    vm: &mut Vm,
    v: Value,
    strict: bool,
    location: bool,
    context: &mut ContextBuilder,
    pos: PosId,
) -> Result<Vec<u8>> {
    let mut w = Writer {
        out: b"<?xml version='1.0' encoding='utf-8'?>\n".to_vec(),
        indent: 0,
        strict,
        location,
        derivations: FxHashSet::default(),
    };
    w.open("expr", &[]);
    w.value(vm, v, context, pos)?;
    w.close("expr");
    Ok(w.out)
}

impl Writer {
    fn tag(&mut self, name: &str, attrs: &[Attr<'_>], end: &str) {
        self.out.extend(std::iter::repeat_n(b' ', self.indent * 2));
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        let mut attrs = attrs.to_vec();
        attrs.sort_by_key(|(name, _)| *name);
        for (name, value) in attrs {
            self.out.push(b' ');
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"=\"");
            for b in value {
                match b {
                    b'"' => self.out.extend_from_slice(b"&quot;"),
                    b'<' => self.out.extend_from_slice(b"&lt;"),
                    b'>' => self.out.extend_from_slice(b"&gt;"),
                    b'&' => self.out.extend_from_slice(b"&amp;"),
                    b'\n' => self.out.extend_from_slice(b"&#xA;"),
                    _ => self.out.push(*b),
                }
            }
            self.out.push(b'"');
        }
        self.out.extend_from_slice(end.as_bytes());
        self.out.push(b'\n');
    }

    fn open(&mut self, name: &str, attrs: &[Attr<'_>]) {
        self.tag(name, attrs, ">");
        self.indent += 1;
    }

    fn close(&mut self, name: &str) {
        self.indent -= 1;
        self.out.extend(std::iter::repeat_n(b' ', self.indent * 2));
        self.out.extend_from_slice(format!("</{name}>\n").as_bytes());
    }

    fn empty(&mut self, name: &str, attrs: &[Attr<'_>]) {
        self.tag(name, attrs, " />");
    }

    fn position(&self, pos: PosId) -> Vec<(&'static str, Vec<u8>)> {
        if !self.location {
            return Vec::new();
        }
        let Some(at) = pos.location() else { return Vec::new() };
        let mut attrs = Vec::new();
        if let Some(path) = at.path() {
            attrs.push(("path", crate::trees::revealed(path).display().to_string().into_bytes()));
        }
        attrs.push(("line", at.line.to_string().into_bytes()));
        attrs.push(("column", at.column.to_string().into_bytes()));
        attrs
    }

    fn value(
        &mut self,
        vm: &mut Vm,
        v: Value,
        context: &mut ContextBuilder,
        pos: PosId,
    ) -> Result<()> {
        vm.nested(pos, |vm| self.value_in(vm, v, context, pos))
    }

    fn value_in(
        &mut self,
        vm: &mut Vm,
        v: Value,
        context: &mut ContextBuilder,
        pos: PosId,
    ) -> Result<()> {
        let v = if self.strict { vm.force(v, pos)? } else { looked_at(v) };
        match v.view() {
            View::Int(i) => self.empty("int", &[("value", i.to_string().as_bytes())]),
            View::Bool(b) => self.empty("bool", &[("value", if b { b"true" } else { b"false" })]),
            View::Str(s) => {
                context.add(s.context());
                self.empty("string", &[("value", s.bytes())]);
            }
            View::Path(p) => {
                let path = super::path(vm, p.bytes())?;
                self.empty("path", &[("value", &path)]);
            }
            View::Null => self.empty("null", &[]),
            View::Float(f) => self.empty("float", &[("value", number::float(f).as_bytes())]),
            View::List(list) => {
                self.open("list", &[]);
                for element in list.iter() {
                    self.value(vm, element, context, pos)?;
                }
                self.close("list");
            }
            View::Set(set) => {
                if vm.is_derivation(set)? {
                    self.derivation(vm, set, context)?;
                } else {
                    self.open("attrs", &[]);
                    self.attrs(vm, set, context)?;
                    self.close("attrs");
                }
            }
            View::Function(f) => self.function(&f.lambda().params[0]),
            View::Partial(p) => self.function(&p.function().lambda().params[p.args().len()]),
            View::Builtin(_) | View::Applied(_) | View::Thunk(_) => self.empty("unevaluated", &[]),
        }
        Ok(())
    }

    fn attrs(&mut self, vm: &mut Vm, set: Set, context: &mut ContextBuilder) -> Result<()> {
        for (name, value) in set.sorted(&mut vm.heap) {
            let at = set.position(name);
            let position = self.position(at);
            let mut attrs: Vec<Attr<'_>> = vec![("name", name.as_bytes())];
            attrs.extend(position.iter().map(|(n, v)| (*n, &**v)));
            self.open("attr", &attrs);
            self.value(vm, value, context, at)?;
            self.close("attr");
        }
        Ok(())
    }

    fn derivation(&mut self, vm: &mut Vm, set: Set, context: &mut ContextBuilder) -> Result<()> {
        let mut found: Vec<(&str, &[u8])> = Vec::new();
        let mut drv: &[u8] = b"";
        for (name, key) in [("drvPath", sym::DRV_PATH), ("outPath", sym::OUT_PATH)] {
            let Some(v) = set.get(key) else { continue };
            let v = if self.strict { vm.force(v, set.position(key))? } else { looked_at(v) };
            if let Some(s) = v.as_str() {
                found.push((name, s.bytes()));
                if key == sym::DRV_PATH {
                    drv = s.bytes();
                }
            }
        }
        self.open("derivation", &found);
        if !drv.is_empty() && self.derivations.insert(drv.to_vec()) {
            self.attrs(vm, set, context)?;
        } else {
            self.empty("repeated", &[]);
        }
        self.close("derivation");
        Ok(())
    }

    fn function(&mut self, param: &crate::compile::Param) {
        let position = self.position(param.pos);
        let attrs: Vec<Attr<'_>> = position.iter().map(|(n, v)| (*n, &**v)).collect();
        self.open("function", &attrs);
        match param.pattern {
            Some(pattern) => {
                let mut attrs: Vec<Attr<'_>> = Vec::new();
                if let Some(arg) = param.arg {
                    attrs.push(("name", arg.as_bytes()));
                }
                if pattern.ellipsis {
                    attrs.push(("ellipsis", b"1"));
                }
                self.open("attrspat", &attrs);
                let mut names: Vec<&[u8]> =
                    pattern.formals.iter().map(|f| f.name.as_bytes()).collect();
                names.sort_unstable();
                for name in names {
                    self.empty("attr", &[("name", name)]);
                }
                self.close("attrspat");
            }
            None => {
                let name = param.arg.map_or(&b""[..], |n| n.as_bytes());
                self.empty("varpat", &[("name", name)]);
            }
        }
        self.close("function");
    }
}
