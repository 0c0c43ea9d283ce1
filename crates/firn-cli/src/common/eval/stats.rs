//! What is told of an evaluation when it is done: statistics (`NIX_SHOW_STATS`, `NIX_COUNT_CALLS`,
//! `NIX_SHOW_STATS_PATH`) with the keys of C++ Nix's, and a profile (`eval-profiler`). Numbers that this
//! evaluator does not count are null.

use std::path::PathBuf;
use std::time::Duration;

use firn_eval::Vm;
use firn_eval::watch::{Watch, Watching};
use firn_store::layout::Environment;
use firn_store::settings::Settings;
use firn_syntax::Symbol;
use serde_json::{Map, Value, json};

/// What is to be told, and where.
pub struct Report {
    stats: bool,
    stats_path: Option<PathBuf>,
    count_calls: bool,
    tell_calls: bool,
    profile: Option<(PathBuf, Duration)>,
}

fn is_on(environment: &Environment, name: &str) -> bool {
    environment.string(name).is_some_and(|value| value != "0")
}

impl Report {
    /// As settings and environment say.
    pub fn new(settings: &Settings, environment: &Environment) -> Report {
        let stats_path = environment.string("NIX_SHOW_STATS_PATH").filter(|path| path != "-");
        let frequency = settings.number("eval-profiler-frequency");
        let every = Duration::from_nanos(1_000_000_000_u64.checked_div(frequency).unwrap_or(0));
        let profile = (settings.text("eval-profiler") == "flamegraph")
            .then(|| (PathBuf::from(settings.text("eval-profile-file")), every));
        Report {
            stats: is_on(environment, "NIX_SHOW_STATS"),
            stats_path: stats_path.map(PathBuf::from),
            count_calls: is_on(environment, "NIX_COUNT_CALLS"),
            tell_calls: settings.bool("trace-function-calls"),
            profile,
        }
    }

    /// What the evaluator is to watch.
    pub fn watching(&self) -> Option<Watching> {
        let watching = Watching {
            count_calls: self.count_calls && self.stats,
            sample_every: self.profile.as_ref().map(|(_, every)| *every),
            tell_calls: self.tell_calls,
        };
        (watching.count_calls || watching.sample_every.is_some() || watching.tell_calls)
            .then_some(watching)
    }

    /// Writes what is to be told.
    pub fn write(&self, vm: &Vm) {
        if let (Some((path, _)), Some(watch)) = (&self.profile, &vm.watch) {
            save(path, &watch.folded());
        }
        if self.stats {
            let mut text = serde_json::to_string_pretty(&statistics(vm)).unwrap_or_default();
            text.push('\n');
            match &self.stats_path {
                Some(path) => save(path, &text),
                None => show(&text),
            }
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command's output")]
fn show(text: &str) {
    eprint!("{text}");
}

fn save(path: &std::path::Path, text: &str) {
    if let Err(e) = std::fs::write(path, text) {
        show(&format!("warning: cannot write '{}': {e}\n", path.display()));
    }
}

fn statistics(vm: &Vm) -> Value {
    let stats = &vm.stats;
    let cpu = cpu_seconds();
    let mut top = json!({
        "cpuTime": cpu,
        "time": { "cpu": cpu, "gc": 0.0, "gcFraction": 0.0 },
        "envs": { "number": null, "elements": null, "bytes": null },
        "nrExprs": null,
        "list": { "elements": null, "bytes": null, "concats": null },
        "values": { "number": null, "bytes": null },
        "symbols": { "number": Symbol::count(), "bytes": null },
        "sets": { "number": null, "bytes": null, "elements": null },
        "sizes": { "Env": 8, "Value": 8, "Bindings": null, "Attr": 8 },
        "nrOpUpdates": stats.updates,
        "nrOpUpdateValuesCopied": stats.update_words,
        "nrThunks": stats.thunks,
        "nrAvoided": null,
        "nrLookups": null,
        "nrPrimOpCalls": stats.builtin_calls,
        "nrFunctionCalls": stats.calls,
        "gc": { "heapSize": resident_bytes(), "totalBytes": null, "cycles": 0 },
    });
    if let (Some(watch), Value::Object(top)) = (&vm.watch, &mut top) {
        counts(watch, top);
    }
    sorted(top)
}

fn counts(watch: &Watch, top: &mut Map<String, Value>) {
    let builtins = watch.builtins().into_iter().map(|(name, n)| (name.to_owned(), n.into()));
    top.insert("primops".into(), Value::Object(builtins.collect()));
    let functions = watch.functions().into_iter().map(|calls| {
        let name = calls.name.map_or(Value::Null, |name| name.to_string().into());
        let mut out = json!({ "name": name, "count": calls.count });
        if let Some(at) = calls.pos.location() {
            if let Some(path) = at.path() {
                out["file"] = path.display().to_string().into();
            }
            out["line"] = at.line.into();
            out["column"] = at.column.into();
        }
        out
    });
    top.insert("functions".into(), functions.collect());
    top.insert("attributes".into(), Value::Null);
}

/// The same with keys in their order, as C++ Nix prints them.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<(String, Value)> =
                map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(pairs.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// The process's time on processors for its own code.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name, in parentheses, may hold spaces.
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let ticks: u64 = fields.get(11).and_then(|n| n.parse().ok()).unwrap_or(0);
    // Linux counts these in hundredths of a second on all machines it supports here.
    ticks as f64 / 100.0
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap_or(0);
    kilobytes * 1024
}
