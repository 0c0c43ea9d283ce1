//! `/*nixfmt:disable*/` and `/*nixfmt:enable*/`: the lines between them, and their own, stay as they are.
//!
//! The whole text is formatted; where a directive stands there is a *mark* in the result. What lies between the
//! marks of a region is then replaced by the region's lines. Marks have NUL bytes, which no expression has.

use std::ops::Range;

/// A directive that has its line for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directive {
    /// Whether it ends formatting rather than going on with it.
    pub disable: bool,
    /// Its line, without the line's end.
    pub line: Range<usize>,
}

/// The words of a directive that is but a comment, since other things stand in its line.
pub(crate) fn words(disable: bool) -> &'static str {
    if disable { "nixfmt:disable" } else { "nixfmt:enable" }
}

/// The directive that begins here, and where its line ends.
pub(crate) fn at(text: &str, start: usize) -> Option<(bool, usize)> {
    let rest = text[start..].strip_prefix("/*nixfmt:")?;
    let disable = rest.starts_with("disable*/");
    if !disable && !rest.starts_with("enable*/") {
        return None;
    }
    let end = text[start..].find(['\n', '\r']).map_or(text.len(), |len| start + len);
    let behind = &text[start + "/*".len() + words(disable).len() + "*/".len()..end];
    behind.trim().is_empty().then_some((disable, end))
}

/// The directive with its line, if nothing stands before it there.
pub(crate) fn alone(text: &str, disable: bool, start: usize, end: usize) -> Option<Directive> {
    let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
    text[line..start].trim().is_empty().then_some(Directive { disable, line: line..end })
}

impl Directive {
    /// What stands for it until the whole is laid out.
    pub fn mark(&self) -> String {
        let letter = if self.disable { 'D' } else { 'E' };
        format!("\0{letter}{}:{}\0", self.line.start, self.line.end)
    }

    fn read(mark: &str) -> Option<Self> {
        let disable = mark.starts_with('D');
        let (start, end) = mark.get(1..)?.split_once(':')?;
        Some(Self { disable, line: start.parse().ok()?..end.parse().ok()? })
    }
}

/// Puts the regions of `text` in place of what was made of them in `laid_out`.
pub(crate) fn resolve(laid_out: String, text: &str) -> String {
    if !laid_out.contains('\0') {
        return laid_out;
    }
    let mut out = String::with_capacity(laid_out.len());
    // Where the region that is open begins in the text.
    let mut open: Option<usize> = None;
    for line in laid_out.split_inclusive('\n') {
        let mut parts = line.splitn(3, '\0');
        let before = parts.next().unwrap_or_default();
        let found = parts.next().and_then(Directive::read);
        let after = parts.next().unwrap_or_default();
        match (found, open) {
            (None, None) => out.push_str(line),
            (None, Some(_)) => {}
            (Some(directive), None) if directive.disable => {
                if !before.trim().is_empty() {
                    out.push_str(before.trim_end());
                    out.push('\n');
                }
                open = Some(directive.line.start);
            }
            (Some(_), None) => {
                out.push_str(before);
                out.push_str("/*nixfmt:enable*/");
                out.push_str(after);
            }
            (Some(directive), Some(start)) if !directive.disable => {
                out.push_str(&text[start..directive.line.end]);
                out.push_str(after);
                open = None;
            }
            (Some(_), Some(_)) => {}
        }
    }
    if let Some(start) = open {
        out.push_str(&text[start..]);
    }
    out
}
