//! The builtins: their table, and the global names.
//!
//! | file | holds |
//! | --- | --- |
//! | `arith` | numbers and comparison |
//! | `attrs`, `lists`, `strings` | data |
//! | `control` | types, errors, tracing, forcing |
//! | `context` | string contexts |
//! | `derivation` | derivations and placeholders |
//! | `files`, `sources` | reading files; putting files into the store |
//! | `json` | JSON, TOML and XML |
//! | `fetch`, `fetch_tree` | what needs the network |
//! | `native` | running programs, behind a setting |
//! | [`documentation`] | what each does, for people |
//! | `internal` | the files behind `derivation` and `<nix/fetchurl.nix>` |

mod arith;
mod attrs;
mod context;
mod control;
mod derivation;
pub mod documentation;
mod fetch;
mod fetch_closure;
mod fetch_tree;
mod files;
mod internal;
mod json;
mod lists;
mod native;
mod sources;
mod strings;

pub(crate) use arith::arith;
pub use attrs::{argument, formals};
pub(crate) use derivation::downstream_placeholder;
pub use fetch_tree::{fetch_input, open_input, tree_value, utc};
pub(crate) use internal::{
    PREFIX as INTERNAL_PREFIX, internal_file, internal_name, is_internal, load_file, revealed,
};
pub use strings::RegexCache;

use crate::compile::{ArithOp, Globals};
use crate::error::Result;
use crate::heap::Heap;
use crate::machine::{Settings, Vm};
use crate::position::PosId;
use crate::value::{List, SetBuilder, Str, Thunk, Value};
use firn_model::StoreDir;
use firn_syntax::{Symbol, sym};
use rustc_hash::FxHashMap;
use std::sync::OnceLock;

/// The version of C++ Nix whose language this is.
pub const NIX_VERSION: &str = "2.34.8";

/// What runs a builtin: it gets as many arguments as its arity, not yet evaluated. The position is none, as in
/// C++ Nix: errors inside of builtins say where the call is in the step "while calling the … builtin".
pub type Run = fn(&mut Vm, &[Value], PosId) -> Result<Value>;

/// A builtin function.
pub struct Builtin {
    /// The global name: with `__` where it has no other.
    pub name: &'static str,
    /// How many arguments it takes, at most 4.
    pub arity: u8,
    /// Whether the first argument is evaluated first thing, whatever it is.
    pub strict_first: bool,
    /// The step that errors of that evaluation get.
    pub strict_context: &'static str,
    /// Whether errors get the step "while calling the … builtin".
    pub traced: bool,
    /// The experimental feature that it belongs to.
    pub feature: Option<&'static str>,
    /// The code.
    pub run: Run,
}

impl Builtin {
    const fn new(name: &'static str, arity: u8, run: Run) -> Builtin {
        Builtin {
            name,
            arity,
            strict_first: false,
            strict_context: "",
            traced: true,
            feature: None,
            run,
        }
    }

    /// The first argument is evaluated first thing.
    const fn strict(mut self, context: &'static str) -> Builtin {
        self.strict_first = true;
        self.strict_context = context;
        self
    }

    const fn untraced(mut self) -> Builtin {
        self.traced = false;
        self
    }

    const fn feature(mut self, feature: &'static str) -> Builtin {
        self.feature = Some(feature);
        self
    }

    /// The name in `builtins`.
    pub fn short_name(&self) -> &'static str {
        self.name.strip_prefix("__").unwrap_or(self.name)
    }
}

fn all() -> &'static [Builtin] {
    static ALL: OnceLock<Vec<Builtin>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut table = Vec::new();
        for part in [
            arith::table(),
            attrs::table(),
            context::table(),
            control::table(),
            derivation::table(),
            fetch::table(),
            fetch_closure::table(),
            fetch_tree::table(),
            files::table(),
            internal::table(),
            json::table(),
            lists::table(),
            native::table(),
            sources::table(),
            strings::table(),
        ] {
            table.extend(part);
        }
        table
    })
}

/// The builtin with this number.
#[inline]
pub fn get(id: u32) -> &'static Builtin {
    &all()[id as usize]
}

/// What global names mean.
pub(crate) fn globals(heap: &mut Heap, settings: &Settings, store: &StoreDir) -> Globals {
    let mut names: FxHashMap<Symbol, Value> = FxHashMap::default();
    let mut set = SetBuilder::with_capacity(128);
    let mut add = |names: &mut FxHashMap<Symbol, Value>, name: &str, value: Value| {
        names.insert(Symbol::intern(name.as_bytes()), value);
        let short = name.strip_prefix("__").unwrap_or(name);
        set.push(Symbol::intern(short.as_bytes()), value);
    };
    let mut operators: Vec<(Symbol, Value, ArithOp)> = Vec::new();
    for (id, builtin) in all().iter().enumerate() {
        let missing = match builtin.feature {
            None => false,
            Some(native::FEATURE) => !settings.native_code,
            Some(feature) => !settings.has_feature(feature),
        };
        if missing {
            continue;
        }
        let value = Value::builtin(id as u32);
        add(&mut names, builtin.name, value);
        let op = match builtin.name {
            "__sub" => ArithOp::Sub,
            "__mul" => ArithOp::Mul,
            "__div" => ArithOp::Div,
            "__lessThan" => ArithOp::Less,
            _ => continue,
        };
        operators.push((Symbol::intern(builtin.name.as_bytes()), value, op));
    }
    add(&mut names, "true", Value::TRUE);
    add(&mut names, "false", Value::FALSE);
    add(&mut names, "null", Value::NULL);
    if !settings.pure {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| d.as_secs() as i64);
        let now = Value::int(heap, now);
        add(&mut names, "__currentTime", now);
        let system = Str::new(heap, settings.system.as_bytes()).value();
        add(&mut names, "__currentSystem", system);
    }
    let version = Str::new(heap, NIX_VERSION.as_bytes()).value();
    add(&mut names, "__nixVersion", version);
    let store = Str::new(heap, store.as_str().as_bytes()).value();
    add(&mut names, "__storeDir", store);
    let language = Value::int(heap, 6);
    add(&mut names, "__langVersion", language);
    let mut path = Vec::new();
    for (prefix, location) in &settings.search_path {
        let mut entry = SetBuilder::with_capacity(2);
        entry.push(sym::PATH, Str::new(heap, location.as_bytes()).value());
        entry.push(sym::PREFIX, Str::new(heap, prefix.as_bytes()).value());
        path.push(entry.finish(heap).value());
    }
    let path = List::new(heap, &path).value();
    add(&mut names, "__nixPath", path);
    // Evaluated at its first use: a call of the internal builtin that loads the file.
    let load = all().iter().position(|b| b.name == internal::LOAD).unwrap_or(0);
    let name = Str::new(heap, internal::DERIVATION.as_bytes()).value();
    let derivation = Thunk::apply(heap, Value::builtin(load as u32), &[name]).value();
    add(&mut names, "derivation", derivation);
    let hidden = internal::HIDDEN.map(|name| Symbol::intern(name.as_bytes()));
    for name in &hidden {
        names.remove(name);
    }

    // `builtins` contains itself.
    let itself = sym::BUILTINS;
    set.push(itself, Value::NULL);
    let mut set = set.finish(heap);
    for name in hidden {
        set = set.subset_without(heap, name);
    }
    if let Some(slot) = set.shape().and_then(|s| s.find(itself)) {
        set.init(slot, set.value());
    }
    names.insert(itself, set.value());
    let mut ops = operators.into_iter();
    let mut next =
        || ops.next().unwrap_or_else(|| unreachable!("the table has the four operators' builtins"));
    Globals { names, operators: [next(), next(), next(), next()] }
}
