//! Documentation of values: builtins have entries in a table, functions and attributes comments where they
//! are written. All of it is Markdown.

use firn_eval::builtins::documentation;
use firn_eval::compile::Param;
use firn_eval::position::PosId;
use firn_eval::{Error, Result, Value, View, Vm};
use firn_syntax::ast::Expr;
use firn_syntax::{Ast, Origin, Source, Symbol};

use super::Session;

/// What an attribute is called, and where it is written.
struct Attribute {
    name: Symbol,
    pos: PosId,
}

/// The documentation of what an expression comes to, or of the attribute that it selects.
///
/// # Errors
/// If there is none, and what evaluating the expression raises.
pub fn of_expression(session: &Session, vm: &mut Vm, text: &str) -> Result<Option<String>> {
    let Some(ast) = session.parse(vm, text)? else { return Ok(None) };
    let attribute = selected(session, vm, &ast)?;
    let value = vm.eval_typed(&ast, ast.root(), session.names())?;
    if let Some(text) = of_value(vm, value)? {
        return Ok(Some(text));
    }
    match attribute {
        Some(attribute) => Ok(Some(of_attribute(&attribute))),
        None => Err(Error::other("value does not have documentation")),
    }
}

/// The attribute that an expression selects last, if it is a selection and the attribute is written
/// somewhere.
fn selected(session: &Session, vm: &mut Vm, ast: &Ast) -> Result<Option<Attribute>> {
    let Expr::Select { subject, path, default } = ast.expr(ast.root()) else { return Ok(None) };
    let names: Option<Vec<Symbol>> = ast
        .attr_path(path)
        .iter()
        .map(|name| match name {
            firn_syntax::ast::AttrName::Static(name) => Some(*name),
            firn_syntax::ast::AttrName::Dynamic(_) => None,
        })
        .collect();
    let (Some(names), None) = (names, default.get()) else { return Ok(None) };
    let Some((last, before)) = names.split_last() else { return Ok(None) };
    let mut at = vm.eval_typed(ast, subject, session.names())?;
    // What is not there is reported when the whole is evaluated.
    for name in before {
        let Some(next) = at.as_set().and_then(|set| set.get(*name)) else { return Ok(None) };
        at = vm.force(next, PosId::NONE)?;
    }
    let why = "while evaluating an attribute set to look for documentation";
    let set = session.attributes(vm, at, why)?;
    let pos = set.position(*last);
    Ok((set.has(*last) && pos.is_some()).then_some(Attribute { name: *last, pos }))
}

/// The documentation of a value, if it can have any.
///
/// # Errors
/// What calling a functor raises.
pub fn of_value(vm: &mut Vm, value: Value) -> Result<Option<String>> {
    let value = vm.force(value, PosId::NONE)?;
    match value.view() {
        View::Builtin(id) => Ok(of_builtin(id)),
        View::Applied(applied) => Ok(of_builtin(applied.builtin())),
        View::Function(f) => Ok(Some(of_function(&f.lambda().params[0]))),
        View::Partial(p) => Ok(Some(of_function(&p.function().lambda().params[p.args().len()]))),
        View::Set(set) => {
            let Some(functor) = set.get(firn_syntax::sym::FUNCTOR) else { return Ok(None) };
            // The functor's first argument is not the user's: what it returns is what is called.
            let function = vm.apply1(functor, value, PosId::NONE);
            let documented = function.and_then(|f| vm.deeper(|vm| of_value(vm, f)));
            documented.map_err(|e| {
                let why = "while partially calling '__functor' to retrieve documentation";
                e.trace(PosId::NONE, why)
            })
        }
        _ => Ok(None),
    }
}

fn of_builtin(id: u32) -> Option<String> {
    let name = firn_eval::builtins::get(id).short_name();
    let entry = documentation::find(name)?;
    let args: Vec<String> = entry.args.iter().map(|arg| format!("*{arg}*")).collect();
    Some(format!("**Synopsis:** `builtins.{name}` {}\n\n{}", args.join(" "), entry.text.trim()))
}

fn of_function(param: &Param) -> String {
    let mut text = match param.name {
        Some(name) => format!("Function `{name}`"),
        None => "Function ".to_owned(),
    };
    let place = param.pos.location();
    if param.name.is_some() {
        text.push_str(if place.is_some() { "\\\n  … " } else { "\\\n" });
    }
    if let Some(place) = place {
        text.push_str(&format!("defined at {place}"));
    }
    if let Some(comment) = comment_at(param.pos, true) {
        text.push_str("\n\n");
        text.push_str(&comment);
    }
    text
}

fn of_attribute(attribute: &Attribute) -> String {
    let place = attribute.pos.location().map_or_else(String::new, |at| at.to_string());
    let comment = comment_at(attribute.pos, false);
    let comment = comment.unwrap_or_else(|| "No documentation found.\n\n".into());
    format!("Attribute `{}`\n\n  … defined at {place}\n\n{comment}", attribute.name)
}

/// The comment that belongs to a function, or to the token, at a position. Trees are not kept, so that the
/// text is parsed again.
fn comment_at(pos: PosId, function: bool) -> Option<String> {
    let at = pos.location()?;
    let text = at.source.text();
    let (ast, shift) = parse_again(at.source.origin(), text)?;
    let wanted = pos.offset()? + shift;
    let comment = if function {
        ast.functions().find(|(start, _)| start.0 == wanted)?.1.doc?
    } else {
        ast.doc_comment_at(firn_syntax::Pos(wanted))?
    };
    let whole = ast.source().text();
    let inside =
        whole.get(comment.begin.0 as usize + 3..(comment.end.0 as usize).checked_sub(2)?)?;
    // The beginning of the comment counts as indentation.
    Some(without_indentation(&format!("   {}", String::from_utf8_lossy(inside))))
}

/// The tree of a text, and how many bytes were put before it.
fn parse_again(origin: &Origin, text: &[u8]) -> Option<(Ast, u32)> {
    let options = firn_syntax::Options { pipe_operators: true, ..Default::default() };
    let base = std::path::Path::new("/");
    if let Ok(ast) = firn_syntax::parse(Source::new(origin.clone(), text), base, &options) {
        return Some((ast, 0));
    }
    // Bindings that were typed in.
    let whole = [b"{", text, b"\n}"].concat();
    let whole = match firn_syntax::parse(Source::new(origin.clone(), whole), base, &options) {
        Ok(ast) => return Some((ast, 1)),
        Err(_) => [b"{", text, b";\n}"].concat(),
    };
    let ast = firn_syntax::parse(Source::new(origin.clone(), whole), base, &options).ok()?;
    Some((ast, 1))
}

/// Takes away what all lines that are not empty are indented by.
fn without_indentation(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let common = text.split('\n').filter(|line| indent(line) < line.len()).map(indent).min();
    let common = common.unwrap_or(0);
    let mut out = String::new();
    for line in text.split('\n') {
        out.push_str(line.get(common..).unwrap_or(""));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indentation_goes() {
        assert_eq!(without_indentation("   \n    a\n      b\n\n    c"), "\na\n  b\n\nc\n");
        assert_eq!(without_indentation("x\n  y"), "x\n  y\n");
    }
}
