//! Evaluation errors: what went wrong, where, on the way to what. [`render`] makes text of them.

pub mod render;
mod suggest;

pub use suggest::best_matches;

use crate::position::PosId;

/// What sort of error this is; decides what `tryEval` catches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `throw`
    Throw,
    /// A failed `assert`.
    Assertion,
    /// `abort`
    Abort,
    /// A value of the wrong type.
    Type,
    /// A variable that nothing binds.
    UndefinedVariable,
    /// An attribute or argument that is not there.
    Missing,
    /// A value that needs itself.
    InfiniteRecursion,
    /// Too many nested calls, or no room on the stack.
    StackOverflow,
    /// A text that is not in the language.
    Syntax,
    /// Reading files or the store.
    Io,
    /// Access that restricted or pure evaluation forbids.
    Restricted,
    /// Building during evaluation is needed and not allowed, or failed.
    ImportFromDerivation,
    /// The name of an algorithm or format that there is not.
    Usage,
    /// The user wanted evaluation to stop.
    Interrupted,
    /// The user ended evaluation in the debugger: nothing to report.
    Quit,
    /// Anything else.
    Other,
}

/// A step on the way to the error.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Where.
    pub pos: PosId,
    /// What was being done: "while evaluating …".
    pub text: String,
    /// Shown even when other steps are left out (`addErrorContext`).
    pub always: bool,
}

/// The parts of an [`Error`].
#[derive(Clone, Debug)]
pub struct Details {
    /// What sort of error.
    pub kind: Kind,
    /// What went wrong; what users see last.
    pub message: String,
    /// Where.
    pub pos: PosId,
    /// On the way to what, innermost first.
    pub frames: Vec<Frame>,
    /// Names that may have been meant.
    pub suggestions: Vec<String>,
    /// Whether the debugger has shown it.
    pub shown: bool,
}

/// An evaluation error, one word wide.
#[derive(Clone, Debug)]
pub struct Error(Box<Details>);

/// The result of evaluating something.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without position.
    #[cold]
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error(Box::new(Details {
            kind,
            message: message.into(),
            pos: PosId::NONE,
            frames: Vec::new(),
            suggestions: Vec::new(),
            shown: false,
        }))
    }

    /// An error of no particular kind.
    #[cold]
    pub fn other(message: impl Into<String>) -> Error {
        Error::new(Kind::Other, message)
    }

    /// A value of the wrong type.
    #[cold]
    pub fn type_error(message: impl Into<String>) -> Error {
        Error::new(Kind::Type, message)
    }

    /// The same error at a position.
    #[cold]
    pub fn at(mut self, pos: PosId) -> Error {
        self.0.pos = pos;
        self
    }

    /// The same error at a position, unless it has one.
    #[cold]
    pub fn or_at(mut self, pos: PosId) -> Error {
        self.0.pos = self.0.pos.or(pos);
        self
    }

    /// The same error with a further step on the way to it.
    #[cold]
    pub fn trace(mut self, pos: PosId, text: impl Into<String>) -> Error {
        let text = text.into();
        if !text.is_empty() {
            self.0.frames.push(Frame { pos, text, always: false });
        }
        self
    }

    /// The same error with a step that is always shown.
    #[cold]
    pub fn context(mut self, text: impl Into<String>) -> Error {
        self.0.frames.push(Frame { pos: PosId::NONE, text: text.into(), always: true });
        self
    }

    /// The same error with names that may have been meant.
    #[cold]
    pub fn suggest(mut self, suggestions: Vec<String>) -> Error {
        self.0.suggestions = suggestions;
        self
    }

    /// The same error, as one that the debugger has shown.
    pub(crate) fn shown(mut self) -> Error {
        self.0.shown = true;
        self
    }

    /// Whether the debugger has shown it.
    pub(crate) fn was_shown(&self) -> bool {
        self.0.shown
    }

    /// What sort of error this is.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What went wrong, without position and trace.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// All parts.
    pub fn details(&self) -> &Details {
        &self.0
    }

    /// Whether `tryEval` catches it.
    pub fn is_catchable(&self) -> bool {
        matches!(self.0.kind, Kind::Throw | Kind::Assertion)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&crate::trees::reveal_text(&self.0.message))
    }
}

impl std::error::Error for Error {}
