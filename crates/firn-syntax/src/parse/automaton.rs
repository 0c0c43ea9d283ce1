//! The wording of syntax errors.
//!
//! C++ Nix's parser is an LALR(1) automaton with default reductions, and its messages list the tokens that
//! the automaton could shift in the state in which it gives up. To say the same, the automaton is built here
//! from the grammar the first time that a text has a syntax error, and run over the tokens of that text. The
//! parser proper never uses it.

use super::grammar::{Assoc, N, NONTERMINALS, Rule, S, precedence, rules};
use super::lexer::{LexError, Lexer};
use super::token::{T, Token};
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

const TOKENS: usize = T::ALL.len();

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    /// Nothing but the default.
    Default,
    Shift(u32),
    Reduce(u32),
    /// An operator that does not group with itself.
    Forbidden,
    Accept,
}

struct State {
    actions: Vec<Action>,
    default: Option<u32>,
    gotos: [Option<u32>; NONTERMINALS],
}

struct Automaton {
    rules: Vec<&'static Rule>,
    states: Vec<State>,
}

/// What the automaton says about a text.
pub(super) enum Verdict {
    Accepted,
    Lexical(LexError),
    Syntax { message: String, pos: u32 },
}

/// Runs the automaton over a text.
pub(super) fn judge(text: &[u8], pipe_operators: bool) -> Verdict {
    static AUTOMATON: OnceLock<Automaton> = OnceLock::new();
    let automaton = AUTOMATON.get_or_init(Automaton::build);
    let mut lexer = Lexer::new(text, pipe_operators);
    let mut stack = vec![0u32];
    let mut ahead: Option<Token> = None;
    loop {
        let top = stack[stack.len() - 1];
        let state = &automaton.states[top as usize];
        // A state with nothing but its default reduces without looking at the next token.
        let mut action = Action::Default;
        if !state.consistent() {
            let token = *ahead.get_or_insert_with(|| lexer.next());
            if token.kind == T::Error {
                return match lexer.error.take() {
                    Some(error) => Verdict::Lexical(error),
                    None => Verdict::Accepted,
                };
            }
            action = state.actions[token.kind as usize];
        }
        match (action, state.default) {
            (Action::Accept, _) => return Verdict::Accepted,
            (Action::Shift(to), _) => {
                stack.push(to);
                ahead = None;
            }
            (Action::Reduce(rule), _) | (Action::Default, Some(rule)) => {
                let rule = automaton.rules[rule as usize];
                stack.truncate(stack.len() - rule.rhs.len());
                let below = stack[stack.len() - 1] as usize;
                match automaton.states[below].gotos[rule.lhs as usize] {
                    Some(to) => stack.push(to),
                    None => return Verdict::Accepted,
                }
            }
            (Action::Forbidden, _) | (Action::Default, None) => {
                let Some(token) = ahead else { return Verdict::Accepted };
                return Verdict::Syntax { message: state.message(token.kind), pos: token.start };
            }
        }
    }
}

impl State {
    fn consistent(&self) -> bool {
        self.default.is_some() && self.actions.iter().all(|a| *a == Action::Default)
    }

    fn message(&self, unexpected: T) -> String {
        let mut message = format!("syntax error, unexpected {}", unexpected.describe());
        let expected: Vec<T> = T::ALL
            .iter()
            .copied()
            .filter(|t| !matches!(self.actions[*t as usize], Action::Default | Action::Forbidden))
            .collect();
        // More than four are not listed at all.
        if expected.len() <= 4 {
            for (i, token) in expected.iter().enumerate() {
                message.push_str(if i == 0 { ", expecting " } else { " or " });
                message.push_str(token.describe());
            }
        }
        message
    }
}

/// A production and how far it is read. Rule `rules.len()` stands for the start symbol and the end of file.
type Item = (u32, u32);
/// A set of tokens.
type Tokens = u64;

const _: () = assert!(TOKENS < 64);

fn bit(token: T) -> Tokens {
    1 << token as usize
}

struct Builder {
    rules: Vec<&'static Rule>,
    /// Rules by what they make.
    by_lhs: Vec<Vec<u32>>,
    nullable: [bool; NONTERMINALS],
    first: [Tokens; NONTERMINALS],
}

const GOAL: &[S] = &[S::N(N::Start)];

impl Builder {
    fn new() -> Builder {
        let rules = rules();
        let mut by_lhs = vec![Vec::new(); NONTERMINALS];
        for (i, rule) in rules.iter().enumerate() {
            by_lhs[rule.lhs as usize].push(i as u32);
        }
        let mut nullable = [false; NONTERMINALS];
        let mut first = [0; NONTERMINALS];
        loop {
            let before = (nullable, first);
            for rule in &rules {
                let lhs = rule.lhs as usize;
                let mut all_nullable = true;
                for symbol in rule.rhs {
                    match *symbol {
                        S::T(t) => {
                            first[lhs] |= bit(t);
                            all_nullable = false;
                        }
                        S::N(n) => {
                            first[lhs] |= first[n as usize];
                            all_nullable = nullable[n as usize];
                        }
                    }
                    if !all_nullable {
                        break;
                    }
                }
                nullable[lhs] |= all_nullable;
            }
            if before == (nullable, first) {
                return Builder { rules, by_lhs, nullable, first };
            }
        }
    }

    fn rhs(&self, rule: u32) -> &'static [S] {
        self.rules.get(rule as usize).map_or(GOAL, |r| r.rhs)
    }

    /// Items and lookaheads that follow from a kernel.
    fn closure(&self, kernel: &BTreeMap<Item, Tokens>) -> BTreeMap<Item, Tokens> {
        let mut items = kernel.clone();
        let mut work: Vec<Item> = items.keys().copied().collect();
        while let Some(item) = work.pop() {
            let ahead = items[&item];
            let rhs = self.rhs(item.0);
            let Some(S::N(next)) = rhs.get(item.1 as usize) else { continue };
            let mut follow = 0;
            let mut transparent = true;
            for symbol in &rhs[item.1 as usize + 1..] {
                match *symbol {
                    S::T(t) => {
                        follow |= bit(t);
                        transparent = false;
                    }
                    S::N(n) => {
                        follow |= self.first[n as usize];
                        transparent = self.nullable[n as usize];
                    }
                }
                if !transparent {
                    break;
                }
            }
            if transparent {
                follow |= ahead;
            }
            for rule in &self.by_lhs[*next as usize] {
                let new = (*rule, 0);
                let known = items.get(&new).copied();
                if known.is_none_or(|k| k | follow != k) {
                    items.insert(new, known.unwrap_or(0) | follow);
                    work.push(new);
                }
            }
        }
        items
    }

    fn build(self) -> Automaton {
        let goal = self.rules.len() as u32;
        // States by their kernel's items; lookaheads of kernels grow until nothing changes.
        let mut kernels: Vec<BTreeMap<Item, Tokens>> =
            vec![BTreeMap::from([((goal, 0), bit(T::End))])];
        let mut ids: HashMap<Vec<Item>, u32> = HashMap::from([(vec![(goal, 0)], 0)]);
        let mut moves: Vec<Vec<(S, u32)>> = vec![Vec::new()];
        let mut work = vec![0u32];
        while let Some(id) = work.pop() {
            let items = self.closure(&kernels[id as usize]);
            let mut next: Vec<(S, BTreeMap<Item, Tokens>)> = Vec::new();
            for ((rule, dot), ahead) in items {
                let Some(symbol) = self.rhs(rule).get(dot as usize) else { continue };
                let at = next.iter().position(|(s, _)| s == symbol).unwrap_or_else(|| {
                    next.push((*symbol, BTreeMap::new()));
                    next.len() - 1
                });
                next[at].1.insert((rule, dot + 1), ahead);
            }
            let mut targets = Vec::new();
            for (symbol, kernel) in next {
                let key: Vec<Item> = kernel.keys().copied().collect();
                let to = *ids.entry(key).or_insert_with(|| {
                    kernels.push(kernel.keys().map(|k| (*k, 0)).collect());
                    moves.push(Vec::new());
                    work.push(kernels.len() as u32 - 1);
                    kernels.len() as u32 - 1
                });
                let mut grown = false;
                for (item, ahead) in kernel {
                    let known = kernels[to as usize].entry(item).or_default();
                    grown |= *known | ahead != *known;
                    *known |= ahead;
                }
                if grown {
                    work.push(to);
                }
                targets.push((symbol, to));
            }
            moves[id as usize] = targets;
        }
        let states = kernels
            .iter()
            .zip(&moves)
            .map(|(kernel, moves)| self.state(&self.closure(kernel), moves, goal))
            .collect();
        Automaton { rules: self.rules, states }
    }

    fn state(&self, items: &BTreeMap<Item, Tokens>, moves: &[(S, u32)], goal: u32) -> State {
        let mut actions = vec![Action::Default; TOKENS];
        let mut gotos = [None; NONTERMINALS];
        for (symbol, to) in moves {
            match *symbol {
                S::T(t) => actions[t as usize] = Action::Shift(*to),
                S::N(n) => gotos[n as usize] = Some(*to),
            }
        }
        let complete: Vec<(u32, Tokens)> = items
            .iter()
            .filter(|((rule, dot), _)| *dot as usize == self.rhs(*rule).len())
            .map(|((rule, _), ahead)| (*rule, *ahead))
            .collect();
        if complete.iter().any(|(rule, _)| *rule == goal) {
            actions[T::End as usize] = Action::Accept;
            return State { actions, default: None, gotos };
        }
        if let ([(rule, _)], true) = (&*complete, actions.iter().all(|a| *a == Action::Default)) {
            return State { actions, default: Some(*rule), gotos };
        }
        for (rule, ahead) in &complete {
            let level = self.rules[*rule as usize].level();
            for token in T::ALL.iter().filter(|t| ahead & bit(**t) != 0) {
                let action = &mut actions[*token as usize];
                *action = match (*action, level, precedence(*token)) {
                    (Action::Default, ..) => Action::Reduce(*rule),
                    (Action::Shift(_), Some(rule_level), Some((level, assoc))) => {
                        match (rule_level.cmp(&level), assoc) {
                            (std::cmp::Ordering::Greater, _)
                            | (std::cmp::Ordering::Equal, Assoc::Left) => Action::Reduce(*rule),
                            (std::cmp::Ordering::Equal, Assoc::None) => Action::Forbidden,
                            _ => *action,
                        }
                    }
                    // Shifting is preferred to reducing, and the earlier rule to the later.
                    (other, ..) => other,
                };
            }
        }
        let count = |rule: u32| actions.iter().filter(|a| **a == Action::Reduce(rule)).count();
        let mut default = None;
        let mut most = 0;
        for (rule, _) in &complete {
            if count(*rule) > most {
                most = count(*rule);
                default = Some(*rule);
            }
        }
        for action in &mut actions {
            if default.is_some_and(|d| *action == Action::Reduce(d)) {
                *action = Action::Default;
            }
        }
        State { actions, default, gotos }
    }
}

impl Automaton {
    fn build() -> Automaton {
        Builder::new().build()
    }
}
