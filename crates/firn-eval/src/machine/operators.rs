//! Operators on numbers, strings, paths and lists; `==` and failed assertions.

use super::Vm;
use crate::compile::{Arith, ArithOp, Binary, Join, Node};
use crate::context::ContextBuilder;
use crate::error::{Error, Kind, Result};
use crate::position::PosId;
use crate::value::{self, Env, Str, Value, View};

impl Vm {
    pub(super) fn equality(&mut self, b: &'static Binary, env: Env) -> Result<bool> {
        let lhs = self.eval(&b.lhs, env)?;
        let rhs = self.eval(&b.rhs, env)?;
        // Words that are equal are equal values, but for functions, NaN, and what contains them.
        if lhs.as_small_int().is_some() && rhs.as_small_int().is_some() {
            return Ok(lhs == rhs);
        }
        self.equal_top(lhs, rhs, b.pos)
    }

    pub(super) fn concat(&mut self, b: &'static Binary, env: Env) -> Result<Value> {
        const CONTEXT: &str = "while evaluating one of the elements to concatenate";
        let lhs = self.eval(&b.lhs, env)?;
        let rhs = self.eval(&b.rhs, env)?;
        let left = self.force_list(lhs, b.pos, CONTEXT)?;
        let right = self.force_list(rhs, b.pos, CONTEXT)?;
        if left.is_empty() {
            return Ok(rhs);
        }
        if right.is_empty() {
            return Ok(lhs);
        }
        let list = value::List::room(&mut self.heap, left.len() + right.len());
        for (i, v) in left.iter().chain(right.iter()).enumerate() {
            list.init(i, v);
        }
        Ok(list.value())
    }

    pub(super) fn arith(&mut self, a: &'static Arith, env: Env) -> Result<Value> {
        if self.watch.is_none() {
            return self.arith_unwatched(a, env);
        }
        let name = match a.op {
            ArithOp::Sub => "sub",
            ArithOp::Mul => "mul",
            ArithOp::Div => "div",
            ArithOp::Less => "lessThan",
        };
        self.watch_operator(a.operands.pos, name);
        let result = self.arith_unwatched(a, env);
        self.unwatch(a.operands.pos);
        result
    }

    #[inline]
    fn arith_unwatched(&mut self, a: &'static Arith, env: Env) -> Result<Value> {
        let (pos, op) = (a.operands.pos, a.op);
        let result = match self.eval(&a.operands.lhs, env) {
            Ok(lhs) => match self.eval(&a.operands.rhs, env) {
                Ok(rhs) => {
                    if let (Some(x), Some(y)) = (lhs.as_small_int(), rhs.as_small_int()) {
                        match op {
                            ArithOp::Less => return Ok(Value::bool(x < y)),
                            ArithOp::Sub => return Ok(Value::int(&mut self.heap, x - y)),
                            _ => {}
                        }
                    }
                    crate::builtins::arith(self, op, lhs, rhs, PosId::NONE)
                }
                Err(e) => Err(e),
            },
            Err(e) => Err(e),
        };
        result.map_err(|e| {
            let builtin = match op {
                ArithOp::Sub => "sub",
                ArithOp::Mul => "mul",
                ArithOp::Div => "div",
                ArithOp::Less => "lessThan",
            };
            e.trace(pos, format!("while calling the '{builtin}' builtin"))
        })
    }

    pub(super) fn join(&mut self, j: &'static Join, env: Env) -> Result<Value> {
        let mut parts = j.parts.iter();
        let Some((first, first_pos)) = parts.next() else {
            return Ok(self.string(b""));
        };
        let v = self.eval(first, env)?;
        if !j.force_string {
            match v.view() {
                View::Int(n) => return self.sum_int(n, parts.as_slice(), env),
                View::Float(f) => return self.sum_float(f, parts.as_slice(), env),
                View::Path(p) => {
                    let mut path = p.bytes().to_vec();
                    let mut context = ContextBuilder::new();
                    for (node, pos) in parts {
                        let v = self.eval(node, env)?;
                        let text = self.coerce(
                            *pos,
                            v,
                            &mut context,
                            "while evaluating a path segment",
                            false,
                            false,
                            true,
                        )?;
                        path.extend_from_slice(&text);
                    }
                    if !context.is_empty() {
                        return Err(Error::other(
                            "a string that refers to a store path cannot be appended to a path",
                        )
                        .at(j.pos));
                    }
                    let path = crate::paths::canonical(&path);
                    let path = crate::trees::conceal(&path).unwrap_or(path);
                    return Ok(Value::path(&mut self.heap, &path));
                }
                _ => {}
            }
        }
        // The usual case: all parts are strings already.
        if let (Some(a), [(second, second_pos)]) = (v.as_str(), parts.as_slice()) {
            let w = self.eval(second, env)?;
            if let Some(b) = w.as_str() {
                return Ok(self.join_two(a, b));
            }
            let mut context = ContextBuilder::new();
            context.add(a.context());
            let text = self.segment(w, *second_pos, &mut context)?;
            return Ok(self.join_bytes(&[a.bytes(), &text], context));
        }
        let mut context = ContextBuilder::new();
        let mut buffer: Vec<u8> = Vec::with_capacity(128);
        let text = self.segment(v, *first_pos, &mut context)?;
        buffer.extend_from_slice(&text);
        for (node, pos) in parts {
            let v = self.eval(node, env)?;
            let text = self.segment(v, *pos, &mut context)?;
            buffer.extend_from_slice(&text);
        }
        let context = context.finish();
        Ok(self.string_with(&buffer, context))
    }

    #[inline]
    pub(super) fn segment(
        &mut self,
        v: Value,
        pos: PosId,
        context: &mut ContextBuilder,
    ) -> Result<super::Text> {
        if let Some(s) = v.as_str() {
            context.add(s.context());
            return Ok(super::Text::Borrowed(s.bytes()));
        }
        self.coerce(pos, v, context, "while evaluating a path segment", false, true, true)
    }

    pub(super) fn join_two(&mut self, a: Str, b: Str) -> Value {
        let mut context = ContextBuilder::new();
        context.add(a.context());
        context.add(b.context());
        let (s, room) = Str::room(&mut self.heap, a.len() + b.len(), context.finish());
        let (left, right) = room.split_at_mut(a.len());
        left.copy_from_slice(a.bytes());
        right.copy_from_slice(b.bytes());
        s.value()
    }

    pub(super) fn join_bytes(&mut self, parts: &[&[u8]], context: ContextBuilder) -> Value {
        let bytes = parts.concat();
        self.string_with(&bytes, context.finish())
    }

    pub(super) fn sum_int(
        &mut self,
        mut n: i64,
        parts: &'static [(Node, PosId)],
        env: Env,
    ) -> Result<Value> {
        for (i, (node, pos)) in parts.iter().enumerate() {
            let v = self.eval(node, env)?;
            match v.view() {
                View::Int(m) => {
                    n = n.checked_add(m).ok_or_else(|| {
                        Error::other(format!("integer overflow in adding {n} + {m}")).at(*pos)
                    })?;
                }
                View::Float(f) => return self.sum_float(n as f64 + f, &parts[i + 1..], env),
                _ => {
                    return Err(
                        Error::other(format!("cannot add {} to an integer", v.describe())).at(*pos)
                    );
                }
            }
        }
        Ok(self.int(n))
    }

    pub(super) fn sum_float(
        &mut self,
        mut f: f64,
        parts: &'static [(Node, PosId)],
        env: Env,
    ) -> Result<Value> {
        for (node, pos) in parts {
            let v = self.eval(node, env)?;
            match v.view() {
                View::Int(m) => f += m as f64,
                View::Float(g) => f += g,
                _ => {
                    return Err(
                        Error::other(format!("cannot add {} to a float", v.describe())).at(*pos)
                    );
                }
            }
        }
        Ok(Value::float(&mut self.heap, f))
    }

    #[cold]
    #[inline(never)]
    pub(super) fn assertion_failed(
        &mut self,
        a: &'static crate::compile::Assert,
        env: Env,
    ) -> Error {
        let text = a.text;
        if let Node::Eq(b) = &a.cond {
            let difference = (|| {
                let lhs = self.eval(&b.lhs, env)?;
                let rhs = self.eval(&b.rhs, env)?;
                self.assert_equal(lhs, rhs, b.pos, true)
            })();
            if let Err(e) = difference {
                return if e.is_catchable() {
                    e.trace(
                        a.pos,
                        format!("while evaluating the condition of the assertion '{text}'"),
                    )
                } else {
                    e
                };
            }
        }
        Error::new(Kind::Assertion, format!("assertion '{text}' failed")).at(a.pos)
    }
}
