//! The live line: how much is done, and what runs just now.
//!
//! A thread of its own draws it a few times a second and only when something changed; events only
//! change the state. Messages are printed above the line.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use firn_event::{ActivityKind, Event, EventSink, Level, Report};
use parking_lot::{Condvar, Mutex};

use crate::lines::{build_name, format_message};
use crate::text::{filter_escapes, render_size};

/// The shortest time between two drawings.
const FRAME: Duration = Duration::from_millis(60);
/// How often the line is drawn anew only because time passes.
const TICK: Duration = Duration::from_secs(1);
/// Activities shorter than this are never shown.
const SHORT: Duration = Duration::from_millis(30);
/// How long something runs before its time is shown.
const LONG: Duration = Duration::from_secs(3);

const GREEN: &str = "\x1b[32;1m";
const BLUE: &str = "\x1b[34;1m";
const RED: &str = "\x1b[31;1m";
const BOLD: &str = "\x1b[1m";
const FAINT: &str = "\x1b[2m";
const NORMAL: &str = "\x1b[0m";

struct Activity {
    kind: ActivityKind,
    parent: u64,
    name: String,
    phase: String,
    last_line: String,
    begin: Instant,
    /// When it last reported; what reported last is described.
    touched: u64,
    progress: [u64; 4],
    expected: BTreeMap<u32, u64>,
    /// How long it may take, or for all builds may still take, and since when.
    estimate: Option<(Duration, Instant)>,
}

#[derive(Default)]
struct State {
    activities: HashMap<u64, Activity>,
    /// Done and failed units of activities that ended, by kind.
    ended: BTreeMap<u32, [u64; 4]>,
    clock: u64,
    changed: bool,
    paused: bool,
    stopped: bool,
    drawn: String,
}

/// The live line.
pub(crate) struct Bar {
    verbosity: Level,
    logs: bool,
    state: Mutex<State>,
    wake: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Bar {
    pub fn start(verbosity: Level, logs: bool) -> Arc<Self> {
        let bar = Arc::new(Self {
            verbosity,
            logs,
            state: Mutex::default(),
            wake: Condvar::new(),
            thread: Mutex::default(),
        });
        let drawer = bar.clone();
        let thread =
            std::thread::Builder::new().name("display".into()).spawn(move || drawer.draw());
        *bar.thread.lock() = thread.ok();
        bar
    }

    pub fn stop(&self) {
        {
            let mut state = self.state.lock();
            state.stopped = true;
            self.wake.notify_all();
        }
        if let Some(thread) = self.thread.lock().take() {
            let _ = thread.join();
        }
        self.erase(&mut self.state.lock());
    }

    pub fn pause(&self) {
        let mut state = self.state.lock();
        state.paused = true;
        self.erase(&mut state);
    }

    pub fn resume(&self) {
        let mut state = self.state.lock();
        state.paused = false;
        state.changed = true;
        self.wake.notify_all();
    }

    fn erase(&self, state: &mut State) {
        if !state.drawn.is_empty() {
            put("\r\x1b[K");
            state.drawn.clear();
        }
    }

    /// Prints a line above the live one.
    fn print(&self, state: &mut State, text: &str) {
        if state.stopped || state.paused || state.drawn.is_empty() {
            put(&format!("{text}\n"));
        } else {
            let drawn = state.drawn.clone();
            put(&format!("\r\x1b[K{text}\n{drawn}"));
        }
    }

    fn draw(&self) {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return;
            }
            if !state.changed {
                self.wake.wait_for(&mut state, TICK);
            }
            if state.stopped {
                return;
            }
            state.changed = false;
            if !state.paused {
                let width = rustix::termios::tcgetwinsize(rustix::stdio::stderr())
                    .map_or(80, |size| usize::from(size.ws_col));
                let width = if width == 0 { 80 } else { width };
                // The last column is left free: some terminals wrap when it is written to.
                let line = filter_escapes(&render(&state, Instant::now()), true, width - 1);
                if line != state.drawn {
                    put(&format!("\r{line}\x1b[K"));
                    state.drawn = line;
                }
            }
            self.wake.wait_for(&mut state, FRAME);
        }
    }
}

fn put(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

impl EventSink for Bar {
    fn event(&self, event: Event) {
        let mut state = self.state.lock();
        state.clock += 1;
        let clock = state.clock;
        match event {
            Event::Message { level, text } => {
                if level <= self.verbosity {
                    self.print(&mut state, &format_message(level, &text, true));
                }
                return;
            }
            Event::Start { id, parent, level, kind, text, fields } => {
                if level <= self.verbosity && self.verbosity > Level::Info && !text.is_empty() {
                    self.print(&mut state, &format!("{text}..."));
                }
                let name = match kind {
                    ActivityKind::Build | ActivityKind::PostBuildHook => build_name(&fields),
                    ActivityKind::Substitute => {
                        build_name(&fields).map(|n| format!("fetching {n}"))
                    }
                    ActivityKind::FileTransfer => {
                        text.rsplit('/').next().map(|n| n.trim_end_matches('\'').to_owned())
                    }
                    _ => None,
                };
                state.activities.insert(
                    id,
                    Activity {
                        kind,
                        parent,
                        name: name.unwrap_or(text),
                        phase: String::new(),
                        last_line: String::new(),
                        begin: Instant::now(),
                        touched: clock,
                        progress: [0; 4],
                        expected: BTreeMap::new(),
                        estimate: None,
                    },
                );
            }
            Event::Stop { id } => {
                if let Some(activity) = state.activities.remove(&id) {
                    let ended = state.ended.entry(activity.kind as u32).or_default();
                    ended[0] += activity.progress[0];
                    ended[3] += activity.progress[3];
                }
            }
            Event::Result { id, report } => {
                let Some(activity) = state.activities.get_mut(&id) else { return };
                match report {
                    Report::BuildLogLine(line) => {
                        if self.logs {
                            let name = activity.name.clone();
                            let line = filter_escapes(&line, true, usize::MAX);
                            self.print(&mut state, &format!("{FAINT}{name}> {NORMAL}{line}"));
                        } else {
                            activity.last_line = line;
                            activity.touched = clock;
                        }
                    }
                    Report::SetPhase(phase) => {
                        activity.phase = phase;
                        activity.touched = clock;
                    }
                    Report::Progress { done, expected, running, failed } => {
                        activity.progress = [done, expected, running, failed];
                    }
                    // what builds take is told in milliseconds
                    Report::SetExpected(ActivityKind::Build, millis) => {
                        let time = Duration::from_millis(millis);
                        activity.estimate = (millis > 0).then(|| (time, Instant::now()));
                    }
                    Report::SetExpected(kind, count) => {
                        activity.expected.insert(kind as u32, count);
                    }
                    Report::FetchStatus(status) => activity.last_line = status,
                }
            }
        }
        state.changed = true;
        self.wake.notify_all();
    }
}

/// Done, expected, running and failed units of a kind.
fn totals(state: &State, kind: ActivityKind) -> [u64; 4] {
    let mut sums = state.ended.get(&(kind as u32)).copied().unwrap_or_default();
    sums[1] += sums[0];
    let mut expected = 0;
    for activity in state.activities.values() {
        if activity.kind == kind {
            for (sum, value) in sums.iter_mut().zip(activity.progress) {
                *sum += value;
            }
        }
        expected += activity.expected.get(&(kind as u32)).copied().unwrap_or(0);
    }
    sums[1] = sums[1].max(expected);
    sums
}

fn count([done, expected, running, failed]: [u64; 4], what: &str) -> Option<String> {
    if done + expected + running + failed == 0 {
        return None;
    }
    let mut text = String::new();
    if running > 0 {
        text.push_str(&format!("{BLUE}{running}{NORMAL}/"));
    }
    text.push_str(&format!("{GREEN}{done}{NORMAL}"));
    if expected != done || running > 0 {
        text.push_str(&format!("/{expected}"));
    }
    text.push(' ');
    text.push_str(what);
    if failed > 0 {
        text.push_str(&format!(" ({RED}{failed} failed{NORMAL})"));
    }
    Some(text)
}

fn sizes([done, expected, ..]: [u64; 4]) -> Option<String> {
    if done + expected == 0 {
        return None;
    }
    Some(if expected > done {
        format!("{GREEN}{}{NORMAL}/{} DL", render_size(done), render_size(expected))
    } else {
        format!("{GREEN}{}{NORMAL} DL", render_size(done))
    })
}

/// How long all builds may still take.
fn left(state: &State, now: Instant) -> Option<String> {
    let of = |a: &Activity| {
        let (time, since) = a.estimate.filter(|_| a.kind == ActivityKind::Builds)?;
        Some(time.saturating_sub(now.duration_since(since)))
    };
    let time = state.activities.values().filter_map(of).max().filter(|time| *time >= LONG)?;
    Some(format!("~{} left", render_time(time)))
}

fn has_ancestor(state: &State, mut id: u64, kind: ActivityKind) -> bool {
    while let Some(activity) = state.activities.get(&id) {
        if activity.kind == kind {
            return true;
        }
        id = activity.parent;
    }
    false
}

fn render(state: &State, now: Instant) -> String {
    let status: Vec<String> = [
        count(totals(state, ActivityKind::Builds), "built"),
        count(totals(state, ActivityKind::CopyPaths), "fetched"),
        sizes(totals(state, ActivityKind::FileTransfer)),
        left(state, now),
    ]
    .into_iter()
    .flatten()
    .collect();

    let mut shown: Vec<&Activity> = state
        .activities
        .values()
        .filter(|a| {
            let container = matches!(
                a.kind,
                ActivityKind::Realise | ActivityKind::Builds | ActivityKind::CopyPaths
            );
            // A download that is part of a build or a fetched path is told by that.
            let part = matches!(a.kind, ActivityKind::FileTransfer | ActivityKind::CopyPath)
                && (has_ancestor(state, a.parent, ActivityKind::Substitute)
                    || has_ancestor(state, a.parent, ActivityKind::Build));
            !container && !part && !a.name.is_empty() && now.duration_since(a.begin) >= SHORT
        })
        .collect();
    shown.sort_by_key(|a| std::cmp::Reverse(a.touched));

    let mut line = String::new();
    if !status.is_empty() {
        line.push_str(&format!("[{}]", status.join(", ")));
    }
    for (n, activity) in shown.iter().take(4).enumerate() {
        line.push_str(if n > 0 { ", " } else { " " });
        line.push_str(&format!("{BOLD}{}{NORMAL}", activity.name));
        if !activity.phase.is_empty() {
            line.push_str(&format!(" ({})", activity.phase));
        }
        let took = now.duration_since(activity.begin);
        if took >= LONG {
            line.push_str(&format!(" {}", render_time(took)));
            if let Some((time, _)) = activity.estimate.filter(|(time, _)| *time >= LONG) {
                line.push_str(&format!(" of ~{}", render_time(time)));
            }
        }
    }
    if shown.len() > 4 {
        line.push_str(&format!(" and {} more", shown.len() - 4));
    }
    if let Some(last) = shown.first().filter(|a| !a.last_line.is_empty()) {
        line.push_str(&format!(": {FAINT}{}{NORMAL}", filter_escapes(&last.last_line, false, 500)));
    }
    line
}

fn render_time(time: Duration) -> String {
    match time.as_secs() {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        s => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use firn_event::{Field, Logger};

    fn bar() -> Arc<Bar> {
        Arc::new(Bar {
            verbosity: Level::Error,
            logs: false,
            state: Mutex::default(),
            wake: Condvar::new(),
            thread: Mutex::default(),
        })
    }

    fn line(bar: &Bar, later: u64) -> String {
        let now = Instant::now() + Duration::from_secs(later);
        filter_escapes(&render(&bar.state.lock(), now), false, 200)
    }

    #[test]
    fn tells_what_is_done_and_what_runs() {
        let bar = bar();
        let logger = Logger::new(bar.clone());
        assert_eq!(line(&bar, 1), "");
        let builds = logger.start(ActivityKind::Builds, Level::Debug, "", vec![], 0);
        let report = |done, running, failed| {
            builds.report(Report::Progress { done, expected: 5, running, failed });
        };
        report(1, 2, 0);
        let start = |name: &str| {
            let path = format!("/nix/store/00000000000000000000000000000000-{name}.drv");
            let fields = vec![Field::Text(path)];
            logger.start(ActivityKind::Build, Level::Info, "building", fields, builds.id())
        };
        let (a, b) = (start("a-1"), start("b-2"));
        assert_eq!(line(&bar, 1), "[2/1/5 built] b-2, a-1");
        a.report(Report::SetPhase("buildPhase".into()));
        a.report(Report::BuildLogLine("cc \x1b[2Jmain.c".into()));
        assert_eq!(line(&bar, 75), "[2/1/5 built] a-1 (buildPhase) 1m15s, b-2 1m15s: cc main.c");
        let file = logger.start(
            ActivityKind::FileTransfer,
            Level::Talkative,
            "downloading 'http://h/x.deb'",
            vec![],
            0,
        );
        file.progress(1 << 20, 4 << 20);
        assert!(line(&bar, 1).starts_with("[2/1/5 built, 1.0 MiB/4.0 MiB DL] x.deb, a-1"));
        drop(file);
        b.report(Report::SetExpected(ActivityKind::Build, 100_000));
        builds.report(Report::SetExpected(ActivityKind::Build, 3_700_000));
        let shown = line(&bar, 90);
        assert!(shown.starts_with("[2/1/5 built, 1.0 MiB DL, ~1h00m left] a-1"), "{shown}");
        assert!(shown.contains("b-2 1m30s of ~1m40s"), "{shown}");
        // what is nearly done, or late, is not guessed any more
        assert!(line(&bar, 3_800).starts_with("[2/1/5 built, 1.0 MiB DL] a-1"));
        builds.report(Report::SetExpected(ActivityKind::Build, 0));
        drop((a, b));
        report(4, 0, 1);
        assert_eq!(line(&bar, 1), "[4/5 built (1 failed), 1.0 MiB DL]");
    }
}
