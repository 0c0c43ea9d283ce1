//! Positions in source texts as single numbers, valid across all texts of the process.

use firn_syntax::source::{Origin, Pos, Source};
use parking_lot::RwLock;
use std::path::PathBuf;
use std::sync::Arc;

/// A position in some registered source, or none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
#[repr(transparent)]
pub struct PosId(u32);

/// A registered source: makes position numbers from byte offsets.
#[derive(Clone, Copy)]
pub struct SourceId {
    base: u32,
}

struct Table {
    next: u32,
    sources: Vec<(u32, Arc<Source>)>,
}

static TABLE: RwLock<Table> = RwLock::new(Table { next: 1, sources: Vec::new() });

/// Gives a source's positions their numbers.
pub fn register(source: &Arc<Source>) -> SourceId {
    add(Arc::clone(source), source.text().len())
}

/// As [`register`] for a file, without keeping its text, which is read again when it is to be shown.
pub(crate) fn register_later(path: PathBuf, len: usize) -> SourceId {
    add(Arc::new(Source::later(path)), len)
}

fn add(source: Arc<Source>, len: usize) -> SourceId {
    let mut table = TABLE.write();
    let base = table.next;
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    // Texts beyond 4 GiB altogether share the last numbers: wrong positions, but no failure.
    table.next = base.saturating_add(len).saturating_add(1);
    table.sources.push((base, source));
    SourceId { base }
}

impl SourceId {
    /// The number of a position in this source.
    pub fn at(self, pos: Pos) -> PosId {
        if pos.is_some() { PosId(self.base.saturating_add(pos.0)) } else { PosId::NONE }
    }
}

impl SourceId {
    /// For a text that is this source with `n` bytes before it.
    pub(crate) fn after(self, n: u32) -> SourceId {
        SourceId { base: self.base.saturating_sub(n) }
    }
}

/// A position for people.
#[derive(Clone)]
pub struct Location {
    /// The text it is in.
    pub source: Arc<Source>,
    /// From 1.
    pub line: u32,
    /// From 1, in bytes.
    pub column: u32,
}

impl PosId {
    /// No position.
    pub const NONE: PosId = PosId(0);

    /// Whether this is a position at all.
    #[inline]
    pub const fn is_some(self) -> bool {
        self.0 != 0
    }

    /// This position, or the other where there is none.
    #[inline]
    pub const fn or(self, other: PosId) -> PosId {
        if self.is_some() { self } else { other }
    }

    /// Where in its source this is, in bytes.
    pub fn offset(self) -> Option<u32> {
        if !self.is_some() {
            return None;
        }
        let table = TABLE.read();
        let i = table.sources.partition_point(|(base, _)| *base <= self.0).checked_sub(1)?;
        Some(self.0 - table.sources[i].0)
    }

    /// Which file, line and column this is.
    pub fn location(self) -> Option<Location> {
        if !self.is_some() {
            return None;
        }
        let table = TABLE.read();
        let i = table.sources.partition_point(|(base, _)| *base <= self.0).checked_sub(1)?;
        let (base, source) = &table.sources[i];
        let at = source.line_column(Pos(self.0 - base))?;
        Some(Location { source: Arc::clone(source), line: at.line, column: at.column })
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (line, column) = (self.line, self.column);
        // Files that are part of the evaluator have no place on a disk.
        if let Some(path) = self.path()
            && let Ok(file) = path.strip_prefix(crate::builtins::INTERNAL_PREFIX)
        {
            return write!(f, "«nix-internal»/{}:{line}:{column}", file.display());
        }
        match self.path() {
            Some(path) => write!(f, "{}:{line}:{column}", crate::trees::shown(path)),
            None => write!(f, "{}:{line}:{column}", self.source.origin()),
        }
    }
}

impl Location {
    /// The file, if the source is one.
    pub fn path(&self) -> Option<&std::path::Path> {
        match self.source.origin() {
            Origin::Path(path) => Some(path),
            _ => None,
        }
    }
}
