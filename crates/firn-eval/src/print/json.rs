//! Values as JSON, byte for byte as C++ Nix writes it.

use crate::context::ContextBuilder;
use crate::error::{Error, Result};
use crate::machine::{Ahead, Vm};
use crate::position::PosId;
use crate::value::{Value, View};
use firn_syntax::sym;

/// Appends a value, with everything in it, as JSON. Paths are put into the store if `copy` is set.
///
/// # Errors
/// What evaluation raises; functions; strings that are not UTF-8.
pub fn to_json(
    vm: &mut Vm,
    v: Value,
    pos: PosId,
    context: &mut ContextBuilder,
    copy: bool,
    strict: bool,
    out: &mut Vec<u8>,
) -> Result<()> {
    vm.nested(pos, |vm| to_json_in(vm, v, pos, context, copy, strict, out))
}

fn to_json_in(
    vm: &mut Vm,
    v: Value,
    pos: PosId,
    context: &mut ContextBuilder,
    copy: bool,
    strict: bool,
    out: &mut Vec<u8>,
) -> Result<()> {
    let v = if strict { vm.force(v, pos)? } else { crate::machine::looked_at(v) };
    match v.view() {
        View::Int(i) => out.extend_from_slice(i.to_string().as_bytes()),
        View::Bool(b) => out.extend_from_slice(if b { b"true" } else { b"false" }),
        View::Null => out.extend_from_slice(b"null"),
        View::Float(f) => out.extend_from_slice(crate::text::grisu::json(f).as_bytes()),
        View::Str(s) => {
            context.add(s.context());
            string(s.bytes(), out)?;
        }
        View::Path(p) => {
            if copy {
                let path = vm.copy_to_store(p.bytes(), context)?;
                string(vm.store_dir().print(&path).as_bytes(), out)?;
            } else {
                string(&crate::trees::reveal(p.bytes())?, out)?;
            }
        }
        View::Set(set) => {
            if let Some(text) = vm.set_to_string(pos, v, set, context, false, false)? {
                return string(&text, out);
            }
            if let Some(path) = set.get(sym::OUT_PATH) {
                let at = set.position(sym::OUT_PATH);
                return to_json(vm, path, at, context, copy, strict, out);
            }
            out.push(b'{');
            let values = |vm: &mut Vm| set.sorted(&mut vm.heap).map(|(_, v)| v).collect();
            vm.ahead(Ahead::Json, if strict && copy { set.len() } else { 0 }, values, |vm| {
                for (i, (name, value)) in set.sorted(&mut vm.heap).enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    string(name.as_bytes(), out)?;
                    out.push(b':');
                    let at = set.position(name);
                    to_json(vm, value, at, context, copy, strict, out)
                        .map_err(|e| e.trace(at, format!("while evaluating attribute '{name}'")))?;
                }
                Ok(())
            })?;
            out.push(b'}');
        }
        View::List(list) => {
            out.push(b'[');
            let ahead = if strict && copy { list.len() } else { 0 };
            vm.ahead(
                Ahead::Json,
                ahead,
                |_| list.iter().collect(),
                |vm| {
                    for (i, value) in list.iter().enumerate() {
                        if i > 0 {
                            out.push(b',');
                        }
                        to_json(vm, value, pos, context, copy, strict, out).map_err(|e| {
                            e.trace(pos, format!("while evaluating list element at index {i}"))
                        })?;
                    }
                    Ok(())
                },
            )?;
            out.push(b']');
        }
        View::Function(_)
        | View::Partial(_)
        | View::Builtin(_)
        | View::Applied(_)
        | View::Thunk(_) => {
            return Err(Error::type_error(format!("cannot convert {} to JSON", v.describe()))
                .at(crate::machine::position_of(v).or(pos)));
        }
    }
    Ok(())
}

/// Appends a string with quotes.
///
/// # Errors
/// If it is not UTF-8.
pub fn string(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    if let Err(e) = std::str::from_utf8(bytes) {
        let at = e.valid_up_to() + e.error_len().unwrap_or(0).saturating_sub(1);
        let at = at.min(bytes.len() - 1);
        return Err(Error::other(match e.error_len() {
            Some(_) => format!(
                "JSON serialization error: [json.exception.type_error.316] invalid UTF-8 byte at index {at}: 0x{:02X}",
                bytes[at]
            ),
            None => format!(
                "JSON serialization error: [json.exception.type_error.316] incomplete UTF-8 string; last byte: 0x{:02X}",
                bytes[bytes.len() - 1]
            ),
        }));
    }
    out.push(b'"');
    let mut rest = bytes;
    while let Some(at) = special(rest) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
    Ok(())
}

/// The first byte that needs an escape.
fn special(text: &[u8]) -> Option<usize> {
    // No branches and a fixed length, so that the compiler makes it a few vector instructions.
    let is_special = |b: u8| (b < 0x20) | (b == b'"') | (b == b'\\');
    let (chunks, _) = text.as_chunks::<16>();
    let plain = chunks.iter().take_while(|c| !c.iter().fold(false, |any, b| any | is_special(*b)));
    let from = plain.count() * 16;
    text[from..].iter().position(|b| is_special(*b)).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        let mut out = Vec::new();
        string("a\"\\\n\u{1}é".as_bytes(), &mut out).expect("UTF-8");
        assert_eq!(String::from_utf8(out).expect("UTF-8"), "\"a\\\"\\\\\\n\\u0001é\"");
        assert!(string(b"a\xff", &mut Vec::new()).is_err());
    }
}
