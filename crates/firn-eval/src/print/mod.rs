//! Values as text: as `nix-instantiate --eval` prints them, as `builtins.trace` and error messages show them,
//! and as JSON and XML.

pub mod json;
mod xml;

pub use xml::to_xml;

use crate::error::{Error, Kind, Result};
use crate::machine::Vm;
use crate::trees;
use crate::value::{Set, State, Value, View};
use firn_syntax::ast::{identifier_bytes, literal_string};
use firn_syntax::number;
use rustc_hash::FxHashSet;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Limits of what error messages show of a value.
const ERROR_DEPTH: usize = 10;
const ERROR_ITEMS: usize = 10;
const ERROR_STRING: usize = 1024;

/// A value as `nix-instantiate --eval` prints it: nothing is evaluated.
///
/// # Errors
/// If the value is nested too deeply.
pub fn ambiguous(vm: &mut Vm, v: Value) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    ambiguous_in(vm, v, &mut out, &mut Some(FxHashSet::default()))?;
    Ok(out)
}

/// As [`ambiguous`], but what occurs several times is written several times, so that the text can be read
/// again.
///
/// # Errors
/// If the value is nested too deeply.
pub fn ambiguous_whole(vm: &mut Vm, v: Value) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    ambiguous_in(vm, v, &mut out, &mut None)?;
    Ok(out)
}

/// A path as it is printed: where evaluation is pure, what is in a tree is named after what the tree was made from.
fn path<'a>(vm: &Vm, path: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    if vm.shared.settings.pure
        && let Some(shown) = trees::printed(Path::new(OsStr::from_bytes(path)))
    {
        return Ok(Cow::Owned(shown.into_bytes()));
    }
    trees::reveal(path)
}

fn looked_at(v: Value) -> Value {
    match v.as_thunk() {
        None => v,
        Some(t) => t.done().unwrap_or(v),
    }
}

fn ambiguous_in(
    vm: &mut Vm,
    v: Value,
    out: &mut Vec<u8>,
    seen: &mut Option<FxHashSet<u64>>,
) -> Result<()> {
    let cell = v;
    let v = looked_at(v);
    match v.view() {
        View::Int(i) => out.extend_from_slice(i.to_string().as_bytes()),
        View::Bool(b) => out.extend_from_slice(if b { b"true" } else { b"false" }),
        View::Str(s) => literal_string(s.bytes(), out),
        View::Path(p) => out.extend_from_slice(&path(vm, p.bytes())?),
        View::Null => out.extend_from_slice(b"null"),
        View::Float(f) => out.extend_from_slice(number::float(f).as_bytes()),
        View::Set(set) => {
            if !set.is_empty() && seen.as_mut().is_some_and(|s| !s.insert(v.0)) {
                out.extend_from_slice("«repeated»".as_bytes());
                return Ok(());
            }
            out.extend_from_slice(b"{ ");
            vm.nested(crate::position::PosId::NONE, |vm| {
                for (name, value) in set.sorted(&mut vm.heap) {
                    identifier_bytes(name.as_bytes(), out);
                    out.extend_from_slice(b" = ");
                    ambiguous_in(vm, value, out, seen)?;
                    out.extend_from_slice(b"; ");
                }
                Ok(())
            })?;
            out.push(b'}');
        }
        View::List(list) => {
            // A list is known by the cell that it is found in, as in C++ Nix. Where a variable was read once before
            // and once after it became the list, C++ Nix finds one cell and this evaluator two; to take them for
            // one would take copies for the same, which is wrong more often.
            if !list.is_empty() && seen.as_mut().is_some_and(|s| !s.insert(cell.0)) {
                out.extend_from_slice("«repeated»".as_bytes());
                return Ok(());
            }
            out.extend_from_slice(b"[ ");
            vm.nested(crate::position::PosId::NONE, |vm| {
                for value in list.iter() {
                    ambiguous_in(vm, value, out, seen)?;
                    out.push(b' ');
                }
                Ok(())
            })?;
            out.push(b']');
        }
        View::Function(_) | View::Partial(_) => out.extend_from_slice(b"<LAMBDA>"),
        View::Builtin(_) => out.extend_from_slice(b"<PRIMOP>"),
        View::Applied(_) => out.extend_from_slice(b"<PRIMOP-APP>"),
        View::Thunk(t) => out.extend_from_slice(match t.state() {
            State::Busy(_) => "«potential infinite recursion»".as_bytes(),
            _ => b"<CODE>",
        }),
    }
    Ok(())
}

/// How [`pretty`] shows values.
#[derive(Clone, Copy)]
pub struct Style {
    /// Deeper levels are shown as `...`.
    pub max_depth: usize,
    /// More attributes altogether are counted only.
    pub max_attrs: usize,
    /// More list elements altogether are counted only.
    pub max_items: usize,
    /// Longer strings are cut.
    pub max_string: usize,
    /// Evaluates what it shows.
    pub force: bool,
    /// Indentation of nested structures on lines of their own; 0 for all in one line.
    pub indent: usize,
    /// Shows a derivation as its path.
    pub derivation_paths: bool,
    /// Shows errors in place instead of ending with them.
    pub show_errors: bool,
    /// ANSI colours.
    pub colors: bool,
}

impl Style {
    /// Everything that is evaluated, in one line.
    pub const PLAIN: Style = Style {
        max_depth: usize::MAX,
        max_attrs: usize::MAX,
        max_items: usize::MAX,
        max_string: usize::MAX,
        force: false,
        indent: 0,
        derivation_paths: false,
        show_errors: true,
        colors: false,
    };
    /// As sessions show values: evaluated, on lines of their own, in colours.
    pub const SESSION: Style =
        Style { force: true, indent: 2, derivation_paths: true, colors: true, ..Style::PLAIN };
    /// As error messages show values.
    pub const ERROR: Style = Style {
        max_depth: ERROR_DEPTH,
        max_attrs: ERROR_ITEMS,
        max_items: ERROR_ITEMS,
        max_string: ERROR_STRING,
        ..Style::PLAIN
    };
}

const NORMAL: &str = "\x1b[0m";
const FAINT: &str = "\x1b[2m";
const RED: &str = "\x1b[31;1m";
const GREEN: &str = "\x1b[32;1m";
const BLUE: &str = "\x1b[34;1m";
const MAGENTA: &str = "\x1b[35;1m";
const CYAN: &str = "\x1b[36;1m";

struct Printer {
    style: Style,
    seen: FxHashSet<u64>,
    attrs: usize,
    items: usize,
    indent: usize,
    out: Vec<u8>,
}

/// A value in the language's notation, as far as it can be.
///
/// # Errors
/// What evaluation raises, if the style evaluates; nesting that is too deep.
pub fn pretty(vm: &mut Vm, v: Value, style: Style) -> Result<Vec<u8>> {
    let mut printer = Printer {
        style,
        seen: FxHashSet::default(),
        attrs: 0,
        items: 0,
        indent: 0,
        out: Vec::new(),
    };
    printer.print(vm, v, 0)?;
    Ok(printer.out)
}

/// A value in an error message. Evaluates nothing and never fails.
pub fn for_error(vm: &mut Vm, v: Value) -> String {
    match pretty(vm, v, Style::ERROR) {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => "...".into(),
    }
}

impl Printer {
    fn text(&mut self, s: &str) {
        self.out.extend_from_slice(s.as_bytes());
    }

    fn space(&mut self, lines: bool) {
        if lines {
            self.out.push(b'\n');
            self.out.extend(std::iter::repeat_n(b' ', self.indent));
        } else {
            self.out.push(b' ');
        }
    }

    fn elided(&mut self, n: usize, one: &str, many: &str) {
        self.colored(FAINT, &format!("«{n} {} elided»", if n == 1 { one } else { many }));
    }

    fn color(&mut self, code: &str) {
        if self.style.colors {
            self.text(code);
        }
    }

    fn colored(&mut self, code: &str, s: &str) {
        self.color(code);
        self.text(s);
        self.color(NORMAL);
    }

    fn print(&mut self, vm: &mut Vm, v: Value, depth: usize) -> Result<()> {
        let start = self.out.len();
        let result = vm.nested(crate::position::PosId::NONE, |vm| {
            let forced = if self.style.force {
                vm.force(v, crate::position::PosId::NONE)?
            } else {
                looked_at(v)
            };
            self.value(vm, v, forced, depth)
        });
        match result {
            Err(e)
                if self.style.force
                    && self.style.show_errors
                    && depth > 0
                    && !matches!(
                        e.kind(),
                        Kind::StackOverflow | Kind::Interrupted | Kind::Quit
                    ) =>
            {
                self.out.truncate(start);
                self.colored(RED, &format!("«error: {}»", e.message().replace('\n', " ")));
                Ok(())
            }
            other => other,
        }
    }

    /// Prints the value that was found in a cell.
    fn value(&mut self, vm: &mut Vm, cell: Value, v: Value, depth: usize) -> Result<()> {
        match v.view() {
            View::Int(i) => self.colored(CYAN, &i.to_string()),
            View::Float(f) => self.colored(CYAN, &number::float(f)),
            View::Bool(b) => self.colored(CYAN, if b { "true" } else { "false" }),
            View::Null => self.colored(CYAN, "null"),
            View::Str(s) => {
                let bytes = s.bytes();
                self.color(MAGENTA);
                if bytes.len() > self.style.max_string {
                    literal_string(&bytes[..self.style.max_string], &mut self.out);
                    self.out.push(b' ');
                    self.elided(bytes.len() - self.style.max_string, "byte", "bytes");
                } else {
                    literal_string(bytes, &mut self.out);
                    self.color(NORMAL);
                }
            }
            View::Path(p) => {
                self.color(GREEN);
                self.out.extend_from_slice(&path(vm, p.bytes())?);
                self.color(NORMAL);
            }
            View::Set(set) => self.set(vm, v, set, depth)?,
            View::List(list) => {
                if !list.is_empty() && !self.seen.insert(cell.0) {
                    self.colored(MAGENTA, "«repeated»");
                    return Ok(());
                }
                if depth >= self.style.max_depth {
                    self.text("[ ... ]");
                    return Ok(());
                }
                let values: Vec<Value> = list.iter().collect();
                let lines = self.on_lines(vm, &values)?;
                self.indent += self.style.indent;
                self.text("[");
                for (i, value) in values.iter().enumerate() {
                    self.space(lines);
                    if self.items >= self.style.max_items {
                        self.elided(values.len() - i, "item", "items");
                        break;
                    }
                    self.print(vm, *value, depth + 1)?;
                    self.items += 1;
                }
                self.indent -= self.style.indent;
                self.space(lines);
                self.text("]");
            }
            View::Function(f) => {
                let param = &f.lambda().params[0];
                self.function(param);
            }
            View::Partial(p) => {
                let param = &p.function().lambda().params[p.args().len()];
                self.function(param);
            }
            View::Builtin(id) => {
                let name = crate::builtins::get(id).short_name();
                self.colored(BLUE, &format!("«primop {name}»"));
            }
            View::Applied(a) => {
                let name = crate::builtins::get(a.builtin()).short_name();
                self.colored(BLUE, &format!("«partially applied primop {name}»"));
            }
            View::Thunk(t) => match t.state() {
                State::Busy(_) => self.colored(RED, "«potential infinite recursion»"),
                _ => self.colored(MAGENTA, "«thunk»"),
            },
        }
        Ok(())
    }

    fn function(&mut self, param: &crate::compile::Param) {
        let mut text = "«lambda".to_owned();
        if let Some(name) = param.name {
            text.push(' ');
            text.push_str(&name.as_str());
        }
        if let Some(at) = param.pos.location() {
            text.push_str(&format!(" @ {at}"));
        }
        text.push('»');
        self.colored(BLUE, &text);
    }

    /// Whether a structure's parts go on lines of their own.
    fn on_lines(&mut self, vm: &mut Vm, parts: &[Value]) -> Result<bool> {
        if self.style.indent == 0 || parts.is_empty() {
            return Ok(false);
        }
        if parts.len() > 1 {
            return Ok(true);
        }
        let v = if self.style.force {
            vm.force(parts[0], crate::position::PosId::NONE)?
        } else {
            looked_at(parts[0])
        };
        Ok(matches!(v.view(), View::Set(_) | View::List(_) | View::Thunk(_)))
    }

    fn set(&mut self, vm: &mut Vm, v: Value, set: Set, depth: usize) -> Result<()> {
        if !set.is_empty() && !self.seen.insert(v.0) {
            self.colored(MAGENTA, "«repeated»");
            return Ok(());
        }
        if self.style.force && self.style.derivation_paths && vm.is_derivation(set)? {
            self.color(GREEN);
            self.text("«derivation");
            if let Some(path) = set.get(firn_syntax::sym::DRV_PATH) {
                let mut context = crate::context::ContextBuilder::new();
                let path = vm.coerce_store_path(
                    set.position(firn_syntax::sym::DRV_PATH),
                    path,
                    &mut context,
                    "while evaluating the drvPath of a derivation",
                )?;
                let path = vm.store_dir().print(&path);
                self.text(&format!(" {path}"));
            }
            self.text("»");
            self.color(NORMAL);
            return Ok(());
        }
        if depth >= self.style.max_depth {
            self.text("{ ... }");
            return Ok(());
        }
        let mut attrs: Vec<_> = set.sorted(&mut vm.heap).collect();
        if self.style.max_attrs != usize::MAX {
            attrs.sort_by_key(|(name, _)| !matches!(name.as_bytes(), b"type" | b"_type"));
        }
        let values: Vec<Value> = attrs.iter().map(|(_, v)| *v).collect();
        let lines = self.on_lines(vm, &values)?;
        self.indent += self.style.indent;
        self.text("{");
        for (i, (name, value)) in attrs.iter().enumerate() {
            self.space(lines);
            if self.attrs >= self.style.max_attrs {
                self.elided(attrs.len() - i, "attribute", "attributes");
                break;
            }
            identifier_bytes(name.as_bytes(), &mut self.out);
            self.text(" = ");
            self.print(vm, *value, depth + 1)?;
            self.text(";");
            self.attrs += 1;
        }
        self.indent -= self.style.indent;
        self.space(lines);
        self.text("}");
        Ok(())
    }
}

/// The bytes of a string value for `--raw` output.
///
/// # Errors
/// If the value cannot be a string.
pub fn raw(vm: &mut Vm, v: Value) -> Result<Vec<u8>> {
    let mut context = crate::context::ContextBuilder::new();
    let text = vm
        .coerce(
            crate::position::PosId::NONE,
            v,
            &mut context,
            "while generating the nix-instantiate output",
            false,
            true,
            true,
        )
        .map_err(|e: Error| e)?;
    Ok(text.into_owned())
}
