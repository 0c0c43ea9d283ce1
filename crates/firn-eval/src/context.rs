//! String contexts: what a string refers to in the store. Interned, so that equal contexts are one address.

use firn_model::{StoreDir, StorePath};
use hashbrown::{HashMap, HashTable};
use parking_lot::RwLock;
use rustc_hash::{FxBuildHasher, FxHasher};
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

/// One thing that a string refers to. Ordered as C++ Nix orders them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Element {
    /// A store path.
    Opaque(StorePath),
    /// A derivation with its whole closure, outputs included.
    DrvDeep(StorePath),
    /// An output of a derivation.
    Built {
        /// The derivation, perhaps itself an output.
        drv: DerivedPath,
        /// The output's name.
        output: Box<str>,
    },
}

/// A store path, or one that building will tell.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum DerivedPath {
    /// A store path.
    Opaque(StorePath),
    /// An output of a derivation.
    Built(Box<DerivedPath>, Box<str>),
}

impl DerivedPath {
    /// `/nix/store/…-x.drv^out`.
    pub fn print(&self, dir: &StoreDir) -> String {
        match self {
            DerivedPath::Opaque(path) => dir.print(path),
            DerivedPath::Built(drv, output) => format!("{}^{output}", drv.print(dir)),
        }
    }
}

impl Element {
    /// As C++ Nix writes it in messages and in `getContext`-like encodings: `path`, `=drv`, `!out!drv`.
    pub fn encode(&self, dir_less: bool, dir: &StoreDir) -> String {
        let show = |p: &StorePath| if dir_less { p.base_name().to_owned() } else { dir.print(p) };
        fn derived(d: &DerivedPath, show: &dyn Fn(&StorePath) -> String) -> String {
            match d {
                DerivedPath::Opaque(p) => show(p),
                DerivedPath::Built(drv, output) => format!("!{output}!{}", derived(drv, show)),
            }
        }
        match self {
            Element::Opaque(p) => show(p),
            Element::DrvDeep(p) => format!("={}", show(p)),
            Element::Built { drv, output } => format!("!{output}!{}", derived(drv, &show)),
        }
    }

    /// For people: the full store path or `drv^output`.
    pub fn display(&self, dir: &StoreDir) -> String {
        match self {
            Element::Opaque(p) => dir.print(p),
            Element::DrvDeep(p) => format!("{} (deep)", dir.print(p)),
            Element::Built { drv, output } => format!("{}^{output}", drv.print(dir)),
        }
    }
}

/// A set of elements, at least one.
pub struct Elements {
    sorted: Box<[&'static Element]>,
}

/// A context that lives forever. Equal contexts are the same address.
#[derive(Clone, Copy)]
pub struct Context(&'static Elements);

impl PartialEq for Context {
    fn eq(&self, other: &Context) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}
impl Eq for Context {}

struct Tables {
    elements: RwLock<HashMap<&'static Element, (), FxBuildHasher>>,
    sets: RwLock<HashTable<&'static Elements>>,
}

fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| Tables { elements: RwLock::default(), sets: RwLock::default() })
}

/// The one copy of an element.
fn intern(element: Element) -> &'static Element {
    let table = &tables().elements;
    if let Some((found, ())) = table.read().get_key_value(&element) {
        return found;
    }
    let mut table = table.write();
    if let Some((found, ())) = table.get_key_value(&element) {
        return found;
    }
    let leaked: &'static Element = Box::leak(Box::new(element));
    table.insert(leaked, ());
    leaked
}

fn hash(elements: &[&'static Element]) -> u64 {
    let mut hasher = FxHasher::default();
    for e in elements {
        std::ptr::hash(*e, &mut hasher);
    }
    hasher.finish()
}

fn intern_set(elements: &[&'static Element]) -> Context {
    let same = |s: &&'static Elements| {
        s.sorted.len() == elements.len()
            && s.sorted.iter().zip(elements).all(|(a, b)| std::ptr::eq(*a, *b))
    };
    let hash = hash(elements);
    let table = &tables().sets;
    if let Some(found) = table.read().find(hash, same) {
        return Context(found);
    }
    let mut table = table.write();
    if let Some(found) = table.find(hash, same) {
        return Context(found);
    }
    let leaked: &'static Elements = Box::leak(Box::new(Elements { sorted: elements.into() }));
    table.insert_unique(hash, leaked, |s| self::hash(&s.sorted));
    Context(leaked)
}

impl Context {
    pub(crate) fn word(self) -> u64 {
        std::ptr::from_ref(self.0) as u64
    }

    /// # Safety
    /// The word must be 0 or come from [`Context::word`].
    pub(crate) unsafe fn from_word(word: u64) -> Option<Context> {
        // SAFETY: by the caller's promise; contexts live forever.
        unsafe { (word as *const Elements).as_ref() }.map(Context)
    }

    /// A context of one element.
    pub fn of(element: Element) -> Context {
        intern_set(&[intern(element)])
    }

    /// The elements, sorted by kind and name.
    pub fn elements(self) -> impl ExactSizeIterator<Item = &'static Element> {
        self.0.sorted.iter().copied()
    }
}

/// Collects the contexts of the strings that a string is made from.
#[derive(Default)]
pub struct ContextBuilder {
    first: Option<Context>,
    more: Vec<&'static Element>,
}

impl ContextBuilder {
    /// Nothing collected yet.
    pub const fn new() -> ContextBuilder {
        ContextBuilder { first: None, more: Vec::new() }
    }

    /// Adds all of a context.
    #[inline]
    pub fn add(&mut self, context: Option<Context>) {
        let Some(context) = context else { return };
        match self.first {
            None if self.more.is_empty() => self.first = Some(context),
            Some(first) if first == context => {}
            _ => self.more.extend(context.0.sorted.iter()),
        }
    }

    /// Adds one element.
    pub fn add_element(&mut self, element: Element) {
        self.more.push(intern(element));
    }

    /// Whether nothing was collected.
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.more.is_empty()
    }

    /// The union.
    pub fn finish(mut self) -> Option<Context> {
        if self.more.is_empty() {
            return self.first;
        }
        if let Some(first) = self.first {
            self.more.extend(first.0.sorted.iter());
        }
        if self.more.len() > 1 {
            self.more.sort_unstable_by_key(|e| std::ptr::from_ref(*e));
            self.more.dedup_by_key(|e| std::ptr::from_ref(*e));
            self.more.sort_unstable();
        }
        Some(intern_set(&self.more))
    }
}
