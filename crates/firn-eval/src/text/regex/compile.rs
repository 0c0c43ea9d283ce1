//! From pattern to automaton.
//!
//! The automaton has the states that libstdc++ makes, in number too, so that the limit on them is the same.

use super::Error;
use super::bracket::{self, ByteSet};
use rustc_hash::FxHashMap;

/// As in libstdc++ (`_GLIBCXX_REGEX_STATE_LIMIT`).
const STATE_LIMIT: usize = 100_000;

pub(super) const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Op {
    /// Goes on at `next`; gone after compilation.
    Dummy,
    Byte(u8),
    /// An index into [`Program::sets`].
    Set(u32),
    /// `alt` first, then `next` too, and the longer match counts.
    Alternative,
    /// One more round at `alt` if that leads to a match, else out at `next`.
    Repeat,
    /// As `Repeat`, where a round is one byte of a set: an index into [`Program::sets`].
    RepeatSet(u32),
    GroupBegin(u32),
    GroupEnd(u32),
    LineBegin,
    LineEnd,
    Accept,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) op: Op,
    pub(super) next: u32,
    pub(super) alt: u32,
}

#[derive(Debug)]
pub(super) struct Program {
    pub(super) states: Vec<State>,
    pub(super) sets: Vec<ByteSet>,
    pub(super) start: u32,
    /// With group 0, the whole match.
    pub(super) groups: u32,
    /// What a match can begin with, if it cannot be empty.
    pub(super) first: Option<ByteSet>,
}

/// A piece of automaton with one way in and one way out.
#[derive(Clone, Copy)]
struct Piece {
    start: u32,
    end: u32,
}

struct Compiler<'p> {
    pattern: &'p [u8],
    at: usize,
    states: Vec<State>,
    sets: Vec<ByteSet>,
    groups: u32,
}

/// An open group, or the whole pattern.
struct Open {
    begin: u32,
    group: u32,
    /// The alternatives before the present one.
    before: Option<Piece>,
    /// The present alternative so far.
    terms: Option<Piece>,
}

pub(super) fn compile(pattern: &[u8]) -> Result<Program, Error> {
    let mut compiler = Compiler { pattern, at: 0, states: Vec::new(), sets: Vec::new(), groups: 0 };
    let start = compiler.pattern()?;
    Ok(compiler.finish(start))
}

impl Compiler<'_> {
    fn insert(&mut self, op: Op, next: u32, alt: u32) -> Result<u32, Error> {
        self.states.push(State { op, next, alt });
        if self.states.len() > STATE_LIMIT {
            return Err(Error::TooLarge);
        }
        Ok(self.states.len() as u32 - 1)
    }

    fn single(&mut self, op: Op) -> Result<Piece, Error> {
        let state = self.insert(op, NONE, NONE)?;
        Ok(Piece { start: state, end: state })
    }

    fn append(&mut self, piece: &mut Piece, more: Piece) {
        self.states[piece.end as usize].next = more.start;
        piece.end = more.end;
    }

    fn open(&mut self) -> Result<Open, Error> {
        let group = self.groups;
        self.groups += 1;
        let begin = self.insert(Op::GroupBegin(group), NONE, NONE)?;
        Ok(Open { begin, group, before: None, terms: None })
    }

    /// The whole pattern; groups nest on an own stack.
    fn pattern(&mut self) -> Result<u32, Error> {
        let mut outer: Vec<Open> = Vec::new();
        let mut open = self.open()?;
        while let Some(c) = self.take() {
            let atom = match c {
                b'|' => {
                    self.end_alternative(&mut open)?;
                    continue;
                }
                b'(' => {
                    let inner = self.open()?;
                    outer.push(std::mem::replace(&mut open, inner));
                    continue;
                }
                b')' => {
                    let Some(around) = outer.pop() else { return Err(Error::Invalid) };
                    let inner = std::mem::replace(&mut open, around);
                    self.close(inner)?
                }
                b'^' | b'$' => {
                    let op = if c == b'^' { Op::LineBegin } else { Op::LineEnd };
                    let assertion = self.single(op)?;
                    self.add_term(&mut open, assertion);
                    continue;
                }
                b'*' | b'+' | b'?' | b'{' => return Err(Error::Invalid),
                b'[' => {
                    let set = bracket::parse(self.pattern, &mut self.at)?;
                    self.set(set)?
                }
                b'.' => {
                    // Anything but NUL.
                    let mut set = ByteSet::default();
                    (1..=255).for_each(|c| set.insert(c));
                    self.set(set)?
                }
                b'\\' => match self.take() {
                    Some(c) if b".[\\()*+?{|^$".contains(&c) => self.single(Op::Byte(c))?,
                    _ => return Err(Error::Invalid),
                },
                c => self.single(Op::Byte(c))?,
            };
            let term = self.quantifiers(atom)?;
            self.add_term(&mut open, term);
        }
        if !outer.is_empty() {
            return Err(Error::Invalid);
        }
        let mut whole = self.close(open)?;
        let accept = self.single(Op::Accept)?;
        self.append(&mut whole, accept);
        Ok(whole.start)
    }

    fn take(&mut self) -> Option<u8> {
        let c = self.pattern.get(self.at).copied()?;
        self.at += 1;
        Some(c)
    }

    fn set(&mut self, set: ByteSet) -> Result<Piece, Error> {
        self.sets.push(set);
        self.single(Op::Set(self.sets.len() as u32 - 1))
    }

    fn add_term(&mut self, open: &mut Open, term: Piece) {
        match &mut open.terms {
            Some(terms) => {
                let mut joined = *terms;
                self.append(&mut joined, term);
                *terms = joined;
            }
            None => open.terms = Some(term),
        }
    }

    fn end_alternative(&mut self, open: &mut Open) -> Result<(), Error> {
        let end = self.single(Op::Dummy)?;
        let alternative = match open.terms.take() {
            Some(mut terms) => {
                self.append(&mut terms, end);
                terms
            }
            None => end,
        };
        open.before = Some(match open.before.take() {
            None => alternative,
            Some(mut left) => {
                let mut right = alternative;
                let end = self.single(Op::Dummy)?;
                self.append(&mut left, end);
                self.append(&mut right, end);
                let start = self.insert(Op::Alternative, right.start, left.start)?;
                Piece { start, end: end.end }
            }
        });
        Ok(())
    }

    fn close(&mut self, mut open: Open) -> Result<Piece, Error> {
        self.end_alternative(&mut open)?;
        let mut piece = Piece { start: open.begin, end: open.begin };
        if let Some(inner) = open.before {
            self.append(&mut piece, inner);
        }
        let end = self.single(Op::GroupEnd(open.group))?;
        self.append(&mut piece, end);
        Ok(piece)
    }

    fn quantifiers(&mut self, atom: Piece) -> Result<Piece, Error> {
        let mut piece = atom;
        loop {
            match self.pattern.get(self.at) {
                Some(b'*') => {
                    let repeat = self.insert(Op::Repeat, NONE, piece.start)?;
                    let repeat = Piece { start: repeat, end: repeat };
                    self.append(&mut piece, repeat);
                    piece = repeat;
                }
                Some(b'+') => {
                    let repeat = self.insert(Op::Repeat, NONE, piece.start)?;
                    self.append(&mut piece, Piece { start: repeat, end: repeat });
                }
                Some(b'?') => {
                    let end = self.single(Op::Dummy)?;
                    let repeat = self.insert(Op::Repeat, NONE, piece.start)?;
                    self.append(&mut piece, end);
                    piece = Piece { start: repeat, end: repeat };
                    self.append(&mut piece, end);
                }
                Some(b'{') => {
                    self.at += 1;
                    piece = self.interval(piece)?;
                    continue;
                }
                _ => return Ok(piece),
            }
            self.at += 1;
        }
    }

    fn count(&mut self) -> Result<Option<i64>, Error> {
        let digits = self.pattern[self.at..].iter().take_while(|c| c.is_ascii_digit()).count();
        if digits == 0 {
            return Ok(None);
        }
        let text = &self.pattern[self.at..self.at + digits];
        self.at += digits;
        let mut n: i64 = 0;
        for c in text {
            let digit = i64::from(c - b'0');
            n = n.checked_mul(10).and_then(|n| n.checked_add(digit)).ok_or(Error::Invalid)?;
        }
        Ok(Some(n))
    }

    /// `{n}`, `{n,}` and `{n,m}`, after the brace: copies of the piece.
    fn interval(&mut self, piece: Piece) -> Result<Piece, Error> {
        let least = self.count()?.ok_or(Error::Invalid)?;
        let mut more = Some(0);
        if self.pattern.get(self.at) == Some(&b',') {
            self.at += 1;
            more = self.count()?.map(|most| most - least);
        }
        if self.take() != Some(b'}') {
            return Err(Error::Invalid);
        }
        let mut whole = self.single(Op::Dummy)?;
        for _ in 0..least {
            let copy = self.copy(piece)?;
            self.append(&mut whole, copy);
        }
        let Some(more) = more else {
            let mut copy = self.copy(piece)?;
            let repeat = self.insert(Op::Repeat, NONE, copy.start)?;
            let repeat = Piece { start: repeat, end: repeat };
            self.append(&mut copy, repeat);
            self.append(&mut whole, repeat);
            return Ok(whole);
        };
        if more < 0 {
            return Err(Error::Invalid);
        }
        let end = self.single(Op::Dummy)?;
        for _ in 0..more {
            let copy = self.copy(piece)?;
            let repeat = self.insert(Op::Repeat, end.start, copy.start)?;
            self.append(&mut whole, Piece { start: repeat, end: copy.end });
        }
        self.append(&mut whole, end);
        Ok(whole)
    }

    /// A copy of a piece. Like libstdc++'s it may leave some states over, which count.
    fn copy(&mut self, piece: Piece) -> Result<Piece, Error> {
        let mut copies: FxHashMap<u32, u32> = FxHashMap::default();
        let mut work = vec![piece.start];
        while let Some(id) = work.pop() {
            let state = self.states[id as usize];
            let copy = self.insert(state.op, state.next, state.alt)?;
            copies.insert(id, copy);
            if matches!(state.op, Op::Alternative | Op::Repeat)
                && state.alt != NONE
                && !copies.contains_key(&state.alt)
            {
                work.push(state.alt);
            }
            if id != piece.end && state.next != NONE && !copies.contains_key(&state.next) {
                work.push(state.next);
            }
        }
        for copy in copies.values() {
            let mut state = self.states[*copy as usize];
            if let Some(next) = copies.get(&state.next) {
                state.next = *next;
            }
            if let Some(alt) = copies.get(&state.alt) {
                state.alt = *alt;
            }
            self.states[*copy as usize] = state;
        }
        let of = |id: u32| copies.get(&id).copied().unwrap_or(id);
        Ok(Piece { start: of(piece.start), end: of(piece.end) })
    }

    /// Takes the dummies out and finds what helps the search.
    fn finish(mut self, start: u32) -> Program {
        let skip = |states: &[State], mut id: u32| {
            while id != NONE && states[id as usize].op == Op::Dummy {
                id = states[id as usize].next;
            }
            id
        };
        for i in 0..self.states.len() {
            let state = self.states[i];
            self.states[i].next = skip(&self.states, state.next);
            self.states[i].alt = skip(&self.states, state.alt);
        }
        let start = skip(&self.states, start);
        for i in 0..self.states.len() {
            let state = self.states[i];
            if state.op != Op::Repeat || state.alt == NONE {
                continue;
            }
            let round = self.states[state.alt as usize];
            if round.next != i as u32 {
                continue;
            }
            self.states[i].op = match round.op {
                Op::Set(set) => Op::RepeatSet(set),
                Op::Byte(c) => {
                    let mut set = ByteSet::default();
                    set.insert(c);
                    self.sets.push(set);
                    Op::RepeatSet(self.sets.len() as u32 - 1)
                }
                _ => continue,
            };
        }
        let first = self.first(start);
        Program { states: self.states, sets: self.sets, start, groups: self.groups, first }
    }

    fn first(&self, start: u32) -> Option<ByteSet> {
        let mut first = ByteSet::default();
        let mut seen = vec![false; self.states.len()];
        let mut work = vec![start];
        while let Some(id) = work.pop() {
            if id == NONE || std::mem::replace(&mut seen[id as usize], true) {
                continue;
            }
            let state = self.states[id as usize];
            match state.op {
                Op::Byte(c) => first.insert(c),
                Op::Set(set) => first.union(&self.sets[set as usize]),
                Op::Accept => return None,
                Op::Alternative | Op::Repeat | Op::RepeatSet(_) => {
                    work.extend([state.next, state.alt]);
                }
                _ => work.push(state.next),
            }
        }
        (first != ByteSet::ALL).then_some(first)
    }
}
