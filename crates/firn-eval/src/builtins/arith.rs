//! Numbers and comparison.

use super::Builtin;
use crate::compile::ArithOp;
use crate::error::{Error, Result};
use crate::machine::Vm;
use crate::position::PosId;
use crate::value::{Value, View};

/// An operator on evaluated operands.
pub(crate) fn arith(vm: &mut Vm, op: ArithOp, a: Value, b: Value, pos: PosId) -> Result<Value> {
    match op {
        ArithOp::Less => vm.less(a, b, pos, "").map(Value::bool),
        ArithOp::Div => divide(vm, a, b, pos),
        ArithOp::Sub => compute(
            vm,
            a,
            b,
            pos,
            ["first argument of the subtraction", "second argument of the subtraction"],
            ("subtracting", '-'),
            i64::checked_sub,
            |x, y| x - y,
        ),
        ArithOp::Mul => compute(
            vm,
            a,
            b,
            pos,
            ["first argument of the multiplication", "second argument of the multiplication"],
            ("multiplying", '*'),
            i64::checked_mul,
            |x, y| x * y,
        ),
    }
}

#[expect(clippy::too_many_arguments, reason = "all that differs between the operators")]
fn compute(
    vm: &mut Vm,
    a: Value,
    b: Value,
    pos: PosId,
    which: [&str; 2],
    (doing, sign): (&str, char),
    ints: fn(i64, i64) -> Option<i64>,
    floats: fn(f64, f64) -> f64,
) -> Result<Value> {
    let a = vm.force(a, pos)?;
    let b = vm.force(b, pos)?;
    let context = which.map(|w| format!("while evaluating the {w}"));
    if matches!(a.view(), View::Float(_)) || matches!(b.view(), View::Float(_)) {
        let x = vm.force_float(a, pos, &context[0])?;
        let y = vm.force_float(b, pos, &context[1])?;
        return Ok(Value::float(&mut vm.heap, floats(x, y)));
    }
    let x = vm.force_int(a, pos, &context[0])?;
    let y = vm.force_int(b, pos, &context[1])?;
    match ints(x, y) {
        Some(n) => Ok(vm.int(n)),
        None => Err(Error::other(format!("integer overflow in {doing} {x} {sign} {y}")).at(pos)),
    }
}

fn divide(vm: &mut Vm, a: Value, b: Value, pos: PosId) -> Result<Value> {
    const FIRST: &str = "while evaluating the first operand of the division";
    const SECOND: &str = "while evaluating the second operand of the division";
    let a = vm.force(a, pos)?;
    let b = vm.force(b, pos)?;
    let divisor = vm.force_float(b, pos, SECOND)?;
    if divisor == 0.0 {
        return Err(Error::other("division by zero").at(pos));
    }
    if matches!(a.view(), View::Float(_)) || matches!(b.view(), View::Float(_)) {
        let x = vm.force_float(a, pos, FIRST)?;
        return Ok(Value::float(&mut vm.heap, x / divisor));
    }
    let x = vm.force_int(a, pos, FIRST)?;
    let y = vm.force_int(b, pos, SECOND)?;
    match x.checked_div(y) {
        Some(n) => Ok(vm.int(n)),
        None => Err(Error::other(format!("integer overflow in dividing {x} / {y}")).at(pos)),
    }
}

fn bits(
    vm: &mut Vm,
    args: &[Value],
    pos: PosId,
    name: &str,
    f: fn(i64, i64) -> i64,
) -> Result<Value> {
    let x = vm.force_int(
        args[0],
        pos,
        &format!("while evaluating the first argument passed to builtins.{name}"),
    )?;
    let y = vm.force_int(
        args[1],
        pos,
        &format!("while evaluating the second argument passed to builtins.{name}"),
    )?;
    Ok(vm.int(f(x, y)))
}

/// `ceil` and `floor`.
fn round(vm: &mut Vm, args: &[Value], pos: PosId, name: &str, f: fn(f64) -> f64) -> Result<Value> {
    let context = format!("while evaluating the first argument passed to builtins.{name}");
    let value = vm.force_float(args[0], pos, &context)?;
    let rounded = f(value);
    const MIN: f64 = i64::MIN as f64;
    let given = match vm.force(args[0], pos)?.view() {
        View::Int(i) => Some(i),
        _ => None,
    };
    if !(MIN..-MIN).contains(&rounded) {
        return Err(Error::other(match given {
            Some(i) => format!(
                "Due to a bug (see https://github.com/NixOS/nix/issues/12899) the NixInt argument {i} caused undefined behavior in previous Nix versions.\n\tFuture Nix versions might implement the correct behavior."
            ),
            None => format!(
                "NixFloat argument {} is not in the range of NixInt",
                firn_syntax::number::float(value)
            ),
        })
        .at(pos));
    }
    let result = rounded as i64;
    match given {
        Some(i) if i != result => Err(Error::other(format!(
            "Due to a bug (see https://github.com/NixOS/nix/issues/12899) a loss of precision occurred in previous Nix versions because the NixInt argument {i} was rounded to {result}.\n\tFuture Nix versions might implement the correct behavior."
        ))
        .at(pos)),
        _ => Ok(vm.int(result)),
    }
}

pub(super) fn table() -> Vec<Builtin> {
    vec![
        Builtin::new("__sub", 2, |vm, a, pos| arith_forced(vm, ArithOp::Sub, a, pos)).strict(""),
        Builtin::new("__mul", 2, |vm, a, pos| arith_forced(vm, ArithOp::Mul, a, pos)).strict(""),
        Builtin::new("__div", 2, |vm, a, pos| arith_forced(vm, ArithOp::Div, a, pos)).strict(""),
        Builtin::new("__lessThan", 2, |vm, a, pos| arith_forced(vm, ArithOp::Less, a, pos))
            .strict(""),
        Builtin::new("__add", 2, |vm, a, pos| {
            compute(
                vm,
                a[0],
                a[1],
                pos,
                ["first argument of the addition", "second argument of the addition"],
                ("adding", '+'),
                i64::checked_add,
                |x, y| x + y,
            )
        })
        .strict(""),
        Builtin::new("__bitAnd", 2, |vm, a, pos| bits(vm, a, pos, "bitAnd", |x, y| x & y)),
        Builtin::new("__bitOr", 2, |vm, a, pos| bits(vm, a, pos, "bitOr", |x, y| x | y)),
        Builtin::new("__bitXor", 2, |vm, a, pos| bits(vm, a, pos, "bitXor", |x, y| x ^ y)),
        Builtin::new("__ceil", 1, |vm, a, pos| round(vm, a, pos, "ceil", f64::ceil)),
        Builtin::new("__floor", 1, |vm, a, pos| round(vm, a, pos, "floor", f64::floor)),
    ]
}

fn arith_forced(vm: &mut Vm, op: ArithOp, args: &[Value], pos: PosId) -> Result<Value> {
    let a = vm.force(args[0], pos)?;
    let b = vm.force(args[1], pos)?;
    arith(vm, op, a, b, pos)
}
