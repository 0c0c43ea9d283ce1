//! Source texts, byte positions in them, and the lines and columns shown to people.

use crate::Symbol;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// Where a source text came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A file, by its absolute path.
    Path(PathBuf),
    /// An expression given as text, as with `--expr`: shown as `«string»`.
    String,
    /// Standard input: shown as `«stdin»`.
    Stdin,
    /// Text that is a part of the program, by its name: shown as `«name»`.
    Internal(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Path(path) => write!(f, "{}", path.display()),
            Origin::String => f.write_str("«string»"),
            Origin::Stdin => f.write_str("«stdin»"),
            Origin::Internal(name) => write!(f, "«{name}»"),
        }
    }
}

/// A byte offset into a [`Source`], or [`Pos::NONE`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(transparent)]
pub struct Pos(pub u32);

impl Pos {
    /// No position: a node that stands for no text of its own.
    pub const NONE: Pos = Pos(u32::MAX);

    /// Whether this is a position at all.
    #[inline]
    pub const fn is_some(self) -> bool {
        self.0 != u32::MAX
    }
}

/// Line and column, both from 1; columns count bytes, as C++ Nix does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineColumn {
    /// The line, from 1.
    pub line: u32,
    /// The column in bytes, from 1.
    pub column: u32,
}

/// A source text with its origin. Texts are limited to 2 GiB.
#[derive(Debug)]
pub struct Source {
    origin: Origin,
    /// Absent while nobody needs it: see [`Source::later`].
    text: OnceLock<Arc<[u8]>>,
    /// Offsets of the starts of lines, made when a line is first asked for.
    lines: OnceLock<Vec<u32>>,
}

impl Source {
    /// A source from its text.
    pub fn new(origin: Origin, text: impl Into<Arc<[u8]>>) -> Source {
        Source { origin, text: OnceLock::from(text.into()), lines: OnceLock::new() }
    }

    /// The source of a file whose text is read when somebody asks for it, to show where an error is. If the
    /// file cannot be read any more, its text is empty.
    pub fn later(path: PathBuf) -> Source {
        Source { origin: Origin::Path(path), text: OnceLock::new(), lines: OnceLock::new() }
    }

    /// Where the text came from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The text, as it was read.
    #[inline]
    pub fn text(&self) -> &[u8] {
        self.arc()
    }

    #[inline]
    fn arc(&self) -> &Arc<[u8]> {
        self.text.get_or_init(|| match &self.origin {
            Origin::Path(path) => std::fs::read(path).unwrap_or_default().into(),
            Origin::String | Origin::Stdin | Origin::Internal(_) => Arc::default(),
        })
    }

    /// A handle on the text that outlives the source.
    pub fn shared_text(&self) -> Arc<[u8]> {
        Arc::clone(self.arc())
    }

    fn lines(&self) -> &[u32] {
        self.lines.get_or_init(|| {
            let mut starts = vec![0];
            let text = self.text();
            for at in memchr::memchr2_iter(b'\n', b'\r', text) {
                // LF, CR LF and a lone CR each end one line.
                if text[at] == b'\n' || text.get(at + 1) != Some(&b'\n') {
                    starts.push(at as u32 + 1);
                }
            }
            starts
        })
    }

    /// The line and column of a position; `None` for [`Pos::NONE`].
    pub fn line_column(&self, pos: Pos) -> Option<LineColumn> {
        if !pos.is_some() {
            return None;
        }
        let lines = self.lines();
        let line = lines.partition_point(|start| *start <= pos.0);
        Some(LineColumn { line: line as u32, column: pos.0 - lines[line - 1] + 1 })
    }

    /// The place as C++ Nix writes it, `origin:line:column`; only the origin for [`Pos::NONE`].
    pub fn describe(&self, pos: Pos) -> String {
        match self.line_column(pos) {
            Some(at) => format!("{}:{}:{}", self.origin, at.line, at.column),
            None => self.origin.to_string(),
        }
    }

    /// The line of a position with a caret below, and the lines around it, as C++ Nix shows them (without
    /// colours). Each line ends in a line feed.
    pub fn excerpt(&self, pos: Pos) -> String {
        let mut out = String::new();
        let Some(at) = self.line_column(pos).filter(|_| !self.text().is_empty()) else {
            return out;
        };
        for number in at.line.saturating_sub(1).max(1)..=at.line + 1 {
            let Some(line) = self.line(number) else { break };
            let line = String::from_utf8_lossy(line);
            out.push_str(format!(" {number:5}| {line}").trim_end());
            out.push('\n');
            if number == at.line {
                out.push_str(&format!("      |{}^\n", " ".repeat(at.column as usize)));
            }
        }
        out
    }

    /// The text of a line (from 1) without its line end; `None` where there is no such line.
    pub fn line(&self, line: u32) -> Option<&[u8]> {
        let lines = self.lines();
        let start = *lines.get((line as usize).checked_sub(1)?)? as usize;
        let rest = &self.text()[start..];
        let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        Some(&rest[..end])
    }
}

/// A documentation comment (`/** … */`): its byte range in the source, delimiters included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DocComment {
    /// Position of the token that the comment stands right before.
    pub token: Pos,
    /// Start of `/**`.
    pub begin: Pos,
    /// Just after `*/`.
    pub end: Pos,
}

/// A name with the place where it was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Located {
    /// The name.
    pub name: Symbol,
    /// Where it stands.
    pub pos: Pos,
}
