//! Room on the stack for walks over deeply nested trees.
//!
//! The parser bounds how deep a tree can be ([`MAX_DEPTH`]) and records its depth, so that every recursive
//! walk knows beforehand whether the ordinary stack is enough.

/// The deepest nesting that the parser accepts.
pub const MAX_DEPTH: u32 = 200_000;

/// Depth up to which a walk may run on the caller's stack.
const ORDINARY_DEPTH: u32 = 400;

/// What one level of a recursive walk may take, in bytes; for debug builds too.
const LEVEL: usize = 4096;

/// Runs `walk`, a recursion over a tree of this depth, on a stack that is large enough for it: the present
/// one, or for very deep trees that of a thread of its own.
pub fn with_depth<R: Send>(depth: u32, walk: impl FnOnce() -> R + Send) -> R {
    if depth <= ORDINARY_DEPTH {
        return walk();
    }
    on_stack((depth.min(MAX_DEPTH) as usize + 1000) * LEVEL, walk)
}

/// What one level of nesting takes in the parser, in bytes; for debug builds too.
const PARSER_LEVEL: usize = 8192;

/// Runs the parser with room for this much nesting.
pub(crate) fn with_parser_depth<R: Send>(depth: u32, run: impl FnOnce() -> R + Send) -> R {
    on_stack((depth as usize + 100) * PARSER_LEVEL, run)
}

fn on_stack<R: Send>(size: usize, walk: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("deep-tree".into())
            .stack_size(size)
            .spawn_scoped(scope, walk)
            .unwrap_or_else(|error| {
                panic!("cannot get {size} bytes of stack for a deep tree: {error}")
            });
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
