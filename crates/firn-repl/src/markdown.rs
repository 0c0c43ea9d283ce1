//! Markdown laid out for a terminal: paragraphs filled, code set off, emphasis as attributes of the text.
//! Headings, paragraphs, lists, quotes and blocks of code are known; everything else is shown as it is written.

/// How to lay out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The longest line, in characters.
    pub width: usize,
    /// Whether to use ANSI attributes.
    pub ansi: bool,
}

const BOLD: &str = "\x1b[1m";
const ITALIC: &str = "\x1b[4m";
const CODE: &str = "\x1b[1;34m";
const NORMAL: &str = "\x1b[0m";

/// What is before the lines of a block of code.
const CODE_PREFIX: &str = "  │ ";

/// A block of a text.
enum Block {
    Heading(String),
    Paragraph(String),
    Code(Vec<String>),
    /// What is before the first line, and the text.
    Item(String, String),
    Quote(String),
}

/// Lays out a text. The result ends without a line feed.
pub fn render(text: &str, layout: Layout) -> String {
    let mut out = String::new();
    let mut after_item = false;
    for block in blocks(text) {
        let is_item = matches!(block, Block::Item(..));
        if !out.is_empty() {
            out.push_str(if is_item && after_item { "\n" } else { "\n\n" });
        }
        after_item = is_item;
        match block {
            Block::Heading(text) if layout.ansi => {
                out.push_str(&format!("{BOLD}{}{NORMAL}", filled(&text, layout, "", "")));
            }
            Block::Heading(text) | Block::Paragraph(text) => {
                out.push_str(&filled(&text, layout, "", ""));
            }
            Block::Code(lines) => {
                let lines: Vec<String> =
                    lines.iter().map(|line| format!("{CODE_PREFIX}{line}")).collect();
                let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
                out.push_str(&lines.join("\n"));
            }
            Block::Item(mark, text) => {
                let rest = " ".repeat(mark.chars().count());
                out.push_str(&filled(&text, layout, &mark, &rest));
            }
            Block::Quote(text) => out.push_str(&filled(&text, layout, "  | ", "  | ")),
        }
    }
    out
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().peekable();
    // Whether the next line goes on with the last block.
    let mut open = false;
    while let Some(line) = lines.next() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if let Some(fence) = ["```", "~~~"].into_iter().find(|f| trimmed.starts_with(f)) {
            let mut code = Vec::new();
            for line in lines.by_ref() {
                if line.trim_start().starts_with(fence) {
                    break;
                }
                let strip = indent.min(line.len() - line.trim_start().len());
                code.push(line.get(strip..).unwrap_or(line).to_owned());
            }
            blocks.push(Block::Code(code));
            open = false;
        } else if trimmed.is_empty() {
            open = false;
        } else if trimmed.starts_with('#') && trimmed.trim_start_matches('#').starts_with(' ') {
            blocks.push(Block::Heading(trimmed.trim_start_matches('#').trim().to_owned()));
            open = false;
        } else if let Some((mark, rest)) = item(trimmed) {
            let indent = " ".repeat(indent.min(8));
            blocks.push(Block::Item(format!("{indent}{mark}"), rest.to_owned()));
            open = true;
        } else if let Some(rest) = trimmed.strip_prefix('>') {
            match blocks.last_mut() {
                Some(Block::Quote(text)) if open => add(text, rest),
                _ => blocks.push(Block::Quote(rest.trim().to_owned())),
            }
            open = true;
        } else if indent >= 4 && !open {
            let mut code = vec![line[4..].to_owned()];
            while let Some(line) = lines.next_if(|l| l.starts_with("    ")) {
                code.push(line[4..].to_owned());
            }
            blocks.push(Block::Code(code));
        } else {
            match blocks.last_mut() {
                Some(Block::Paragraph(text) | Block::Item(_, text)) if open => add(text, line),
                _ => blocks.push(Block::Paragraph(line.trim_start().to_owned())),
            }
            open = true;
        }
    }
    blocks
}

/// Adds a line to a text; a backslash or two spaces at the end of the one before break the line.
fn add(text: &mut String, line: &str) {
    if text.ends_with('\\') {
        text.pop();
        text.push('\n');
    } else if text.ends_with("  ") {
        text.truncate(text.trim_end().len());
        text.push('\n');
    } else {
        text.push(' ');
    }
    text.push_str(line.trim_start());
}

/// The mark of a list's item, and what follows it.
fn item(line: &str) -> Option<(String, &str)> {
    for mark in ["- ", "* ", "+ "] {
        if let Some(rest) = line.strip_prefix(mark) {
            return Some(("  · ".to_owned(), rest));
        }
    }
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = line[digits..].strip_prefix(". ")?;
    (digits > 0 && digits < 4).then(|| (format!("  {}. ", &line[..digits]), rest))
}

/// A text in lines of the layout's width, with what is to stand before the first and before the others.
fn filled(text: &str, layout: Layout, first: &str, rest: &str) -> String {
    let mut out = String::from(first);
    let mut column = first.chars().count();
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
            out.push_str(rest);
            column = rest.chars().count();
        }
        let mut between = false;
        for (word, width) in words(line, layout.ansi) {
            if between && column + 1 + width > layout.width {
                out.push('\n');
                out.push_str(rest);
                column = rest.chars().count();
            } else if between {
                out.push(' ');
                column += 1;
            }
            out.push_str(&word);
            column += width;
            between = true;
        }
    }
    out
}

/// The words of a line with their widths, emphasis and code resolved.
fn words(line: &str, ansi: bool) -> Vec<(String, usize)> {
    let mut words: Vec<(String, usize)> = Vec::new();
    let mut word = String::new();
    let mut width = 0;
    let (mut bold, mut italic, mut code) = (false, false, false);
    let mut chars = line.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let toggled = match c {
            '`' => {
                code = !code;
                Some((code, CODE))
            }
            '*' if !code && chars.peek() == Some(&'*') => {
                chars.next();
                bold = !bold;
                Some((bold, BOLD))
            }
            // A star with spaces around it is a star.
            '*' if !code && (italic || chars.peek().is_some_and(|n| !n.is_whitespace())) => {
                italic = !italic;
                Some((italic, ITALIC))
            }
            '_' if !code
                && (italic && !chars.peek().is_some_and(|n| n.is_alphanumeric())
                    || !italic
                        && !before.is_alphanumeric()
                        && chars.peek().is_some_and(|n| n.is_alphanumeric())
                        && line.matches('_').count() > 1) =>
            {
                italic = !italic;
                Some((italic, ITALIC))
            }
            _ => None,
        };
        if let Some((on, attribute)) = toggled {
            if ansi {
                word.push_str(if on { attribute } else { NORMAL });
            }
        } else if c.is_whitespace() && !code {
            if width > 0 {
                words.push((std::mem::take(&mut word), std::mem::take(&mut width)));
            }
        } else if c == '\\' && !code && chars.peek().is_some_and(char::is_ascii_punctuation) {
            word.extend(chars.next());
            width += 1;
        } else {
            word.push(c);
            width += 1;
        }
        before = c;
    }
    if !word.is_empty() {
        if code || bold || italic {
            word.push_str(if ansi { NORMAL } else { "" });
        }
        words.push((word, width));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        render(text, Layout { width: 20, ansi: false })
    }

    #[test]
    fn paragraphs_are_filled() {
        assert_eq!(plain("one two\nthree four five six"), "one two three four\nfive six");
        assert_eq!(plain("a\\\nb"), "a\nb");
        assert_eq!(plain("a\n\nb"), "a\n\nb");
    }

    #[test]
    fn emphasis_and_code() {
        assert_eq!(plain("**a** *b* `c d` 2 * 3 foo_bar"), "a b c d 2 * 3\nfoo_bar");
        let shown = render("**a** `b`", Layout { width: 20, ansi: true });
        assert_eq!(shown, "\x1b[1ma\x1b[0m \x1b[1;34mb\x1b[0m");
    }

    #[test]
    fn blocks_of_code_and_lists() {
        assert_eq!(plain("x:\n\n```nix\na  b\n```\ny"), "x:\n\n  │ a  b\n\ny");
        assert_eq!(plain("- one\n- two and more words"), "  · one\n  · two and more\n    words");
        assert_eq!(plain("# H\ntext"), "H\n\ntext");
    }
}
