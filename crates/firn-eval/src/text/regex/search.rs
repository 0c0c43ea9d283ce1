//! The matcher: a depth-first walk through the automaton with an explicit stack.
//!
//! Results of a state at a place, once a byte was read to get there, do not depend on the way there, and a
//! second visit cannot find anything longer than the first did. When a search takes long, results are
//! therefore remembered and no state is walked from twice at the same place.

use super::compile::{NONE, Op, Program};
use super::{Groups, Match};

/// Steps that are taken before anything is remembered: most searches are shorter.
const PATIENCE: u32 = 4096;
/// Places times states that may be remembered, in bits.
const MEMORY: usize = 1 << 31;

#[derive(Clone, Copy)]
struct Group {
    begin: usize,
    end: usize,
    matched: bool,
}

const UNMATCHED: Group = Group { begin: 0, end: 0, matched: false };

/// How often a repetition was entered at a place.
#[derive(Clone, Copy, Default)]
struct Rounds {
    at: usize,
    count: u32,
}

/// What to do when the walk from a state is over.
enum Frame {
    GroupBegin {
        group: u32,
        begin: usize,
    },
    GroupEnd {
        group: u32,
        old: Group,
    },
    /// Leave the repetition if going round did not lead to a match.
    Leave {
        state: u32,
        at: usize,
    },
    /// Leave a repetition of single bytes after fewer of them.
    Shorter {
        state: u32,
        at: usize,
        least: usize,
    },
    Rounds {
        state: u32,
        old: Rounds,
    },
    Right {
        state: u32,
        at: usize,
    },
    Either {
        left: bool,
    },
    Remember {
        key: usize,
    },
}

pub(super) struct Search<'a> {
    program: &'a Program,
    text: &'a [u8],
    groups: Vec<Group>,
    rounds: Vec<Rounds>,
    stack: Vec<Frame>,
    best: Option<(usize, Vec<Group>)>,
    /// `^` holds at the start of a search.
    line_begin: bool,
    exact: bool,
    not_empty: bool,
    steps: u32,
    /// Steps after which results are remembered.
    patience: u32,
    /// Two bits for each state and place: known, and leads to a match.
    memory: Vec<u64>,
}

impl<'a> Search<'a> {
    pub(super) fn new(program: &'a Program, text: &'a [u8]) -> Search<'a> {
        Search {
            program,
            text,
            groups: vec![UNMATCHED; program.groups as usize],
            rounds: vec![Rounds::default(); program.states.len()],
            stack: Vec::new(),
            best: None,
            line_begin: true,
            exact: false,
            not_empty: false,
            steps: 0,
            patience: PATIENCE,
            memory: Vec::new(),
        }
    }

    /// The same search with another patience.
    #[cfg(test)]
    pub(super) fn patience(mut self, steps: u32) -> Self {
        self.patience = steps;
        self
    }

    pub(super) fn whole(mut self) -> Option<Match> {
        self.exact = true;
        self.from(0)
    }

    pub(super) fn all(mut self) -> Vec<Match> {
        let mut all: Vec<Match> = Vec::new();
        let mut start = 0;
        loop {
            self.line_begin = all.is_empty();
            let Some(mut found) = self.next(start) else { return all };
            loop {
                let is_empty = found.start == found.end;
                start = found.end;
                all.push(found);
                if !is_empty {
                    break;
                }
                if start == self.text.len() {
                    return all;
                }
                // Something non-empty may start where the empty match is.
                self.not_empty = true;
                self.line_begin = all.len() == 1;
                self.forget();
                let retry = self.from(start);
                self.not_empty = false;
                match retry {
                    Some(longer) => found = longer,
                    None => {
                        start += 1;
                        break;
                    }
                }
            }
        }
    }

    /// The first match at or after a place.
    fn next(&mut self, mut start: usize) -> Option<Match> {
        self.forget();
        loop {
            if let Some(first) = &self.program.first {
                let skip = self.text[start..].iter().position(|c| first.contains(*c))?;
                if skip > 0 {
                    self.line_begin = false;
                    start += skip;
                }
            }
            if let Some(found) = self.from(start) {
                return Some(found);
            }
            if start == self.text.len() {
                return None;
            }
            // `^` holds only where the search starts. What was remembered is all failures, after at least
            // one byte, where it did not hold either.
            self.line_begin = false;
            start += 1;
        }
    }

    fn forget(&mut self) {
        self.steps = 0;
        self.memory.clear();
    }

    /// The best match that starts at a place.
    fn from(&mut self, start: usize) -> Option<Match> {
        self.best = None;
        self.groups.fill(UNMATCHED);
        self.stack.clear();
        self.walk(start);
        let (end, groups) = self.best.take()?;
        let groups: Groups =
            groups[1..].iter().map(|g| g.matched.then_some((g.begin, g.end))).collect();
        Some(Match { start, end, groups })
    }

    fn walk(&mut self, start: usize) {
        let mut state = self.program.start;
        let mut at = start;
        loop {
            // Down, until a way ends or a match is complete.
            let mut matched = loop {
                if state == NONE {
                    break false;
                }
                let node = self.program.states[state as usize];
                let byte = match node.op {
                    Op::Byte(c) => self.text.get(at).is_some_and(|t| *t == c),
                    Op::Set(set) => {
                        let set = &self.program.sets[set as usize];
                        self.text.get(at).is_some_and(|t| set.contains(*t))
                    }
                    Op::Dummy => {
                        state = node.next;
                        continue;
                    }
                    Op::GroupBegin(group) => {
                        let slot = &mut self.groups[group as usize];
                        self.stack.push(Frame::GroupBegin { group, begin: slot.begin });
                        slot.begin = at;
                        state = node.next;
                        continue;
                    }
                    Op::GroupEnd(group) => {
                        let slot = &mut self.groups[group as usize];
                        self.stack.push(Frame::GroupEnd { group, old: *slot });
                        slot.end = at;
                        slot.matched = true;
                        state = node.next;
                        continue;
                    }
                    Op::LineBegin | Op::LineEnd => {
                        let holds = match node.op {
                            Op::LineBegin => at == start && self.line_begin,
                            _ => at == self.text.len(),
                        };
                        if !holds {
                            break false;
                        }
                        state = node.next;
                        continue;
                    }
                    Op::Alternative => {
                        self.stack.push(Frame::Right { state, at });
                        state = node.alt;
                        continue;
                    }
                    Op::RepeatSet(set) => {
                        let set = &self.program.sets[set as usize];
                        let is_in = |at: usize| self.text.get(at).is_some_and(|t| set.contains(*t));
                        if !is_in(at) {
                            state = node.next;
                            continue;
                        }
                        // As many bytes as there are, then fewer, then none.
                        self.stack.push(Frame::Leave { state, at });
                        let rounds = state + self.program.states.len() as u32;
                        // More than one byte is what the next place would try too.
                        let more =
                            if is_in(at + 1) { self.known(rounds, at + 1) } else { Some(false) };
                        if more == Some(true) {
                            break true;
                        }
                        if let Some(known) = self.recall(rounds, at) {
                            break known;
                        }
                        let mut end = at + 1;
                        if more.is_none() {
                            end +=
                                self.text[end..].iter().take_while(|c| set.contains(**c)).count();
                        }
                        self.steps = self.steps.saturating_add((end - at) as u32 / 8 + 1);
                        self.stack.push(Frame::Shorter { state, at: end, least: at + 1 });
                        at = end;
                        if let Some(known) = self.recall(state, at) {
                            break known;
                        }
                        state = node.next;
                        continue;
                    }
                    Op::Repeat => {
                        self.stack.push(Frame::Leave { state, at });
                        let rounds = &mut self.rounds[state as usize];
                        let old = *rounds;
                        if old.count == 0 || old.at != at {
                            *rounds = Rounds { at, count: 1 };
                        } else if old.count < 2 {
                            // The second round at one place is for groups to capture.
                            rounds.count = 2;
                        } else {
                            break false;
                        }
                        self.stack.push(Frame::Rounds { state, old });
                        state = node.alt;
                        continue;
                    }
                    Op::Accept => break self.accept(start, at),
                };
                if !byte {
                    break false;
                }
                at += 1;
                self.steps = self.steps.saturating_add(1);
                if let Some(known) = self.recall(state, at) {
                    break known;
                }
                state = node.next;
            };
            // The first match of the whole text is the one, and nothing is longer than up to the end.
            if matched
                && self.best.as_ref().is_some_and(|(end, _)| self.exact || *end == self.text.len())
            {
                self.abandon();
                return;
            }
            // Up, until another way opens.
            loop {
                let Some(frame) = self.stack.pop() else { return };
                match frame {
                    Frame::GroupBegin { group, begin } => self.groups[group as usize].begin = begin,
                    Frame::GroupEnd { group, old } => self.groups[group as usize] = old,
                    Frame::Rounds { state, old } => self.rounds[state as usize] = old,
                    Frame::Either { left } => matched |= left,
                    Frame::Remember { key } => self.remember(key, matched),
                    Frame::Leave { state: repeat, at: place } => {
                        if !matched {
                            state = self.program.states[repeat as usize].next;
                            at = place;
                            break;
                        }
                    }
                    Frame::Shorter { state: repeat, at: place, least } => {
                        if !matched && place > least {
                            at = place - 1;
                            self.stack.push(Frame::Shorter { state: repeat, at, least });
                            match self.recall(repeat, at) {
                                Some(known) => matched = known,
                                None => {
                                    state = self.program.states[repeat as usize].next;
                                    break;
                                }
                            }
                        }
                    }
                    Frame::Right { state: alternative, at: place } => {
                        self.stack.push(Frame::Either { left: matched });
                        state = self.program.states[alternative as usize].next;
                        at = place;
                        break;
                    }
                }
            }
        }
    }

    fn accept(&mut self, start: usize, at: usize) -> bool {
        if (self.exact && at != self.text.len()) || (self.not_empty && at == start) {
            return false;
        }
        if self.best.as_ref().is_none_or(|(end, _)| *end < at) {
            let mut groups = self.best.take().map(|(_, groups)| groups).unwrap_or_default();
            groups.clone_from(&self.groups);
            self.best = Some((at, groups));
        }
        true
    }

    /// Stops in the middle; only the counts of rounds must be as before.
    fn abandon(&mut self) {
        while let Some(frame) = self.stack.pop() {
            if let Frame::Rounds { state, old } = frame {
                self.rounds[state as usize] = old;
            }
        }
    }

    /// What is known of going on after `state` at a place. If nothing is, it will be.
    #[inline]
    fn recall(&mut self, state: u32, at: usize) -> Option<bool> {
        if self.steps < self.patience {
            return None;
        }
        self.recall_slowly(state, at)
    }

    fn key(&self, state: u32, at: usize) -> usize {
        (state as usize * (self.text.len() + 1) + at) * 2
    }

    #[inline]
    fn known(&self, state: u32, at: usize) -> Option<bool> {
        if self.memory.is_empty() {
            return None;
        }
        let key = self.key(state, at);
        match self.memory[key / 64] >> (key % 64) & 3 {
            0 => None,
            known => Some(known == 3),
        }
    }

    fn recall_slowly(&mut self, state: u32, at: usize) -> Option<bool> {
        if self.memory.is_empty() {
            // A second row for each state, for repetitions of bytes: going on with one more byte at least.
            let bits =
                self.program.states.len().checked_mul(self.text.len() + 1)?.checked_mul(4)?;
            if bits > MEMORY {
                return None;
            }
            self.memory.resize(bits / 64 + 1, 0);
        }
        let known = self.known(state, at);
        if known.is_none() {
            let key = self.key(state, at);
            self.stack.push(Frame::Remember { key });
        }
        known
    }

    fn remember(&mut self, key: usize, matched: bool) {
        let bits = if matched { 3 } else { 1 };
        self.memory[key / 64] |= bits << (key % 64);
    }
}
