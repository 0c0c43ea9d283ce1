//! From a document to text: groups that fit in their line stay in it, the others are broken.

use super::flow::{Flow, Item, Rest, Run};
use super::{Elem, Kind, Spacing, Style, Text};

/// Spaces of one level of indentation.
const STEP: u32 = 2;

/// How many texts and spacings may be looked at for each one of the document, on average, before layout gives
/// up. Ordinary texts need fewer than a hundred.
const PATIENCE: u64 = 20_000;

/// The document has so many layouts to try that this would take too long.
#[derive(Debug)]
pub(crate) struct TooHard;

/// Lays a tidy document out in lines of so many columns, where that is possible. The result ends with a line break.
pub(crate) fn layout(elems: Vec<Elem<'_>>, width: u32) -> Result<String, TooHard> {
    let size = size(&elems);
    let doc = [Elem::Group(Kind::Plain, elems)];
    let mut layout = Layout {
        out: String::new(),
        width: i64::from(width),
        column: 0,
        indents: vec![(0, 0)],
        patience: (size + 1000) * PATIENCE,
    };
    layout.all(Run::Whole(&doc), None)?;
    let text = layout.out.trim();
    let mut result = String::with_capacity(text.len() + 1);
    result.push_str(text);
    result.push('\n');
    Ok(result)
}

fn size(elems: &[Elem<'_>]) -> u64 {
    elems.iter().map(|e| if let Elem::Group(_, inner) = e { 1 + size(inner) } else { 1 }).sum()
}

struct Layout {
    out: String,
    /// Columns of a line.
    width: i64,
    /// Columns used in this line, without its indentation; 0 at its start.
    column: i64,
    /// Indentations and the nestings that they are for; never empty.
    indents: Vec<(u32, u32)>,
    patience: u64,
}

/// What to go back to when an attempt fails.
struct Mark {
    len: usize,
    column: i64,
    indents: Vec<(u32, u32)>,
}

type Step = Result<(), TooHard>;

impl Layout {
    fn mark(&self) -> Mark {
        Mark { len: self.out.len(), column: self.column, indents: self.indents.clone() }
    }

    fn go_back(&mut self, mark: Mark) {
        self.out.truncate(mark.len);
        self.column = mark.column;
        self.indents = mark.indents;
    }

    fn spend(&mut self, amount: u64) -> Step {
        self.patience = self.patience.checked_sub(amount).ok_or(TooHard)?;
        Ok(())
    }

    fn present(&self) -> (u32, u32) {
        self.indents.last().copied().unwrap_or_default()
    }

    /// Makes the present indentation that of a nesting.
    fn turn_to(&mut self, nest: u32) {
        while self.indents.len() > 1 && self.present().1 > nest {
            self.indents.pop();
        }
        let (indent, present) = self.present();
        if nest > present {
            // Only the first level that begins in a line indents.
            let indent = if self.column == 0 { indent + STEP } else { indent };
            self.indents.push((indent, nest));
        }
    }

    fn put(&mut self, nest: u32, offset: u32, text: &str, width: i64) {
        self.turn_to(nest);
        if self.column == 0 {
            self.out.extend(std::iter::repeat_n(' ', (self.present().0 + offset) as usize));
        }
        self.out.push_str(text);
        self.column += width;
    }

    fn text(&mut self, text: &Text<'_>) {
        if text.joined {
            self.out.push_str(&text.text);
            self.column += i64::from(text.width);
        } else {
            self.put(text.nest, text.offset, &text.text, i64::from(text.width));
        }
    }

    fn space(&mut self) {
        self.out.push(' ');
        self.column += 1;
    }

    fn newlines(&mut self, n: u32) {
        self.out.extend(std::iter::repeat_n('\n', n as usize));
        self.column = 0;
    }

    /// Writes elements with their spacings broken.
    fn all(&mut self, mut run: Run<'_, '_>, then: Option<&Rest<'_, '_, '_>>) -> Step {
        while let Some(item) = run.pop() {
            self.spend(1)?;
            let rest = Rest { run, then };
            match item {
                Item::Text(text) => {
                    // A comment behind a short opening bracket would be taken for one of the first element the
                    // next time, and be moved; a second space prevents that.
                    let misread = text.style == Style::Trailing
                        && self.column == 2
                        && Flow::all(&rest).next_indent().0 > self.present().1;
                    if misread {
                        self.space();
                        self.out.push_str(&text.text);
                        self.column += i64::from(text.width);
                    } else {
                        self.text(text);
                    }
                }
                Item::Spacing(spacing) => self.spacing(spacing, &rest)?,
                Item::Group(kind, inner) => self.group(kind, inner, &rest)?,
            }
        }
        Ok(())
    }

    fn spacing(&mut self, spacing: Spacing, rest: &Rest<'_, '_, '_>) -> Step {
        if self.column == 0 {
            return Ok(());
        }
        match spacing {
            Spacing::Break | Spacing::Space | Spacing::HardLine => self.newlines(1),
            Spacing::Blank => self.newlines(2),
            Spacing::Newlines(n) => self.newlines(n),
            Spacing::HardSpace => self.space(),
            Spacing::SoftBreak => {
                if !self.line_fits(self.width - self.column, rest)? {
                    self.newlines(1);
                }
            }
            Spacing::SoftSpace => {
                if self.line_fits(self.width - self.column - 1, rest)? {
                    self.space();
                } else {
                    self.newlines(1);
                }
            }
        }
        Ok(())
    }

    fn group(&mut self, kind: Kind, inner: &[Elem<'_>], rest: &Rest<'_, '_, '_>) -> Step {
        if self.flat(Run::Whole(inner), rest)? {
            return Ok(());
        }
        if kind != Kind::Through {
            let mut elems = Vec::new();
            let mut first = Vec::new();
            pick(inner, &mut elems, &mut first);
            for &(start, end) in first.iter().rev() {
                if self.break_one(&elems, start, end, rest)? {
                    return Ok(());
                }
            }
        }
        self.all(Run::Whole(inner), Some(rest))
    }

    /// Tries to break only the elements of this range, with those before and after them in one line each.
    fn break_one(
        &mut self,
        elems: &[&Elem<'_>],
        start: usize,
        end: usize,
        rest: &Rest<'_, '_, '_>,
    ) -> Result<bool, TooHard> {
        let (before, middle, after) = (&elems[..start], &elems[start..end], &elems[end..]);
        // Spares the attempt where it must fail.
        if self.width_of(Flow::only(Run::Picked(after)), self.width, self.width)?.is_none() {
            return Ok(false);
        }
        let mark = self.mark();
        let rest_after = Rest { run: Run::Picked(after), then: Some(rest) };
        let rest_middle = Rest { run: Run::Picked(middle), then: Some(&rest_after) };
        if !self.flat(Run::Picked(before), &rest_middle)? {
            self.go_back(mark);
            return Ok(false);
        }
        // What is after it will stand in one line, and has to be seen so.
        let compact = Rest { run: Run::Compact(after), then: Some(rest) };
        self.all(Run::Picked(middle), Some(&compact))?;
        if !self.flat(Run::Picked(after), rest)? {
            self.go_back(mark);
            return Ok(false);
        }
        Ok(true)
    }

    /// Writes elements in one line, if they and what is bound to follow them fit in it.
    fn flat(&mut self, run: Run<'_, '_>, rest: &Rest<'_, '_, '_>) -> Result<bool, TooHard> {
        let mut first = run;
        let Some(head) = first.pop() else { return Ok(true) };
        let ahead = self.first_line_width(Flow::all(rest))?;
        let next = Flow::all(rest).next_indent().0;
        let (_, line_nest) = self.present();
        if self.column > 0 {
            let indent = if next > line_nest { i64::from(STEP) } else { 0 };
            return self.write_flat(
                Flow::only(run),
                indent - self.column,
                self.width - self.column - ahead,
                None,
            );
        }
        // At the start of a line the spacing that would begin it is left out.
        let flow = match head {
            Item::Spacing(_) => Flow::only(first),
            Item::Group(_, [Elem::Spacing(_), inner @ ..]) => {
                let mut flow = Flow::only(first);
                flow.enter(inner);
                flow
            }
            _ => Flow::only(run),
        };
        let (nest, offset) = flow.clone().next_indent();
        let line_nest = line_nest + if nest > line_nest { STEP } else { 0 };
        let indent = if next > line_nest { i64::from(STEP) } else { 0 };
        self.write_flat(flow, indent, self.width - ahead, Some((nest, offset)))
    }

    /// Writes what a flow has in one line of this many columns; `indent` as in [`Layout::width_of`].
    fn write_flat(
        &mut self,
        mut flow: Flow<'_, '_, '_>,
        mut indent: i64,
        columns: i64,
        start: Option<(u32, u32)>,
    ) -> Result<bool, TooHard> {
        let Some(width) = self.width_of(flow.clone(), indent, columns)? else { return Ok(false) };
        if let Some((nest, offset)) = start {
            self.put(nest, offset, "", 0);
        }
        while let Some(item) = flow.next() {
            match item {
                Item::Text(text) => match text.style {
                    Style::Plain => {
                        indent -= i64::from(text.width);
                        self.out.push_str(&text.text);
                    }
                    Style::Trailing => {
                        if indent == 0 {
                            self.out.push(' ');
                        }
                        self.out.push_str(&text.text);
                    }
                    Style::Comment => self.out.push_str(&text.text),
                    Style::IfBroken => {}
                },
                Item::Spacing(spacing) => {
                    if spacing.compact().is_some() {
                        indent -= 1;
                        self.out.push(' ');
                    }
                }
                Item::Group(_, inner) => flow.enter(inner),
            }
        }
        self.column += width;
        Ok(true)
    }

    /// How many columns a flow takes in one line, comments included, if it can be written in one of `columns`
    /// columns (comments not included). `indent` is by how much the next line is indented further, less the
    /// columns already used in this one: where it is 0 at a comment, that gets a second space.
    fn width_of(
        &mut self,
        mut flow: Flow<'_, '_, '_>,
        mut indent: i64,
        columns: i64,
    ) -> Result<Option<i64>, TooHard> {
        let mut left = columns;
        let mut width = 0;
        while left >= 0 {
            let Some(item) = flow.next() else { return Ok(Some(width)) };
            self.spend(1)?;
            match item {
                Item::Text(text) => {
                    let own = i64::from(text.width);
                    match text.style {
                        Style::Plain => {
                            indent -= own;
                            left -= own;
                            width += own;
                        }
                        Style::Comment => width += own,
                        Style::Trailing => width += own + i64::from(indent == 0),
                        Style::IfBroken => {}
                    }
                }
                Item::Spacing(spacing) => match spacing.compact() {
                    None => {}
                    Some(Spacing::HardSpace) => {
                        indent -= 1;
                        left -= 1;
                        width += 1;
                    }
                    Some(_) => return Ok(None),
                },
                Item::Group(_, inner) => flow.enter(inner),
            }
        }
        Ok(None)
    }

    /// How many columns come before the first possible break.
    fn first_line_width(&mut self, mut flow: Flow<'_, '_, '_>) -> Result<i64, TooHard> {
        let mut width = 0;
        while let Some(item) = flow.next() {
            self.spend(1)?;
            match item {
                Item::Text(text) => match text.style {
                    Style::Comment | Style::Trailing => {}
                    Style::Plain | Style::IfBroken => width += i64::from(text.width),
                },
                Item::Spacing(Spacing::HardSpace) => width += 1,
                Item::Spacing(_) => break,
                Item::Group(_, inner) => flow.enter(inner),
            }
        }
        Ok(width)
    }

    /// Whether what comes before the next break fits in this many columns, if groups are broken only where
    /// they would not fit in a whole line.
    fn line_fits(&mut self, columns: i64, rest: &Rest<'_, '_, '_>) -> Result<bool, TooHard> {
        let mut flow = Flow::all(rest);
        let mut left = self.width;
        while left >= 0 {
            let Some(item) = flow.next() else { return Ok(self.width - left <= columns) };
            self.spend(1)?;
            match item {
                Item::Text(text) => {
                    if text.style == Style::Plain {
                        left -= i64::from(text.width);
                    }
                }
                Item::Spacing(Spacing::HardSpace) => left -= 1,
                Item::Spacing(_) => return Ok(self.width - left <= columns),
                Item::Group(_, inner) => {
                    let ahead = self.first_line_width(flow.clone())?;
                    match self.width_of(Flow::only(Run::Whole(inner)), 0, left - ahead)? {
                        Some(width) => left -= width,
                        None => flow.enter(inner),
                    }
                }
            }
        }
        Ok(false)
    }
}

/// The elements of a group, with those of groups of kind [`Kind::First`] and [`Kind::Through`] in their place,
/// and where those of the former are.
fn pick<'d, 't>(
    elems: &'d [Elem<'t>],
    out: &mut Vec<&'d Elem<'t>>,
    first: &mut Vec<(usize, usize)>,
) {
    for elem in elems {
        match elem {
            Elem::Group(Kind::First, inner) => {
                let start = out.len();
                out.extend(inner);
                first.push((start, out.len()));
            }
            Elem::Group(Kind::Through, inner) => pick(inner, out, first),
            other => out.push(other),
        }
    }
}
