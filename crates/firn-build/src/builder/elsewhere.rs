//! A build on another machine, by the build hook.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use firn_event::json::{Line, decode_line};
use firn_event::{ActivityKind, Event, Field, Level, Logger, Report};
use firn_model::store_path::StorePath;
use firn_store::Store;

use super::log::{BuildLog, LogFile};
use super::{Built, Job, KnownOutputs, now, show_outputs};
use crate::drv_options::DrvOptions;
use crate::error::{Failure, FailureKind, io};
use crate::history;
use crate::hook::{HookAnswer, HookRequest, RemoteBuild, RemoteOutput, Slot, address_of};
use crate::options::Mode;

/// How long to wait before a hook is asked again that had no free machine.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(500);

impl Job<'_> {
    /// Whether the hook is asked before this machine is used. `fits` is whether this machine could build it at all.
    pub(super) fn prefers_hook(&self, drv_options: &DrvOptions, fits: bool) -> bool {
        self.options.hook.is_some()
            && self.options.mode == Mode::Normal
            && (!drv_options.prefer_local_build || !fits || self.options.max_jobs == 0)
    }

    /// The right to build on this machine.
    pub(super) fn wait_for_slot(&self) -> Result<Slot<'_>, Failure> {
        if let Some(slot) = self.slots.take(Duration::ZERO) {
            return Ok(slot);
        }
        self.give_turn();
        loop {
            self.check_stop()?;
            if let Some(slot) = self.slots.take(super::POLL) {
                return Ok(slot);
            }
        }
    }

    /// Has the hook build it; `None` if that does not.
    pub(super) fn build_elsewhere(
        &self,
        drv_options: &DrvOptions,
        valid: &BTreeSet<String>,
    ) -> Result<Option<Built>, Failure> {
        let Some(hook) = &self.options.hook else { return Ok(None) };
        if !self.store.is_valid(self.drv_path)? {
            return Ok(None);
        }
        let mut features = drv_options.required_features.clone();
        if self.drv.output_paths(self.store.store_dir())?.values().any(Option::is_none) {
            features.insert("ca-derivations".into());
        }
        let system = self.drv.system.to_string();
        let address = address_of(self.store.layout());
        let mut waiting = None;
        let build = loop {
            self.check_stop()?;
            let willing = self.options.max_jobs > 0 && self.slots.any_free();
            let request = HookRequest {
                store: &address,
                dir: self.store.store_dir(),
                drv_path: self.drv_path,
                system: &system,
                features: &features,
                willing,
            };
            match hook.ask(&request, self.logger)? {
                HookAnswer::Accept(build) => break build,
                HookAnswer::Decline => return Ok(None),
                HookAnswer::Postpone => {}
            }
            waiting.get_or_insert_with(|| {
                self.logger.start(
                    ActivityKind::BuildWaiting,
                    Level::Warn,
                    format!("waiting for a machine to build '{}'", self.print(self.drv_path)),
                    vec![],
                    self.parent,
                )
            });
            std::thread::sleep(ASK_AGAIN);
        };
        drop(waiting);
        self.run_elsewhere(build, valid).map(Some)
    }

    fn run_elsewhere(
        &self,
        build: Box<dyn RemoteBuild>,
        valid: &BTreeSet<String>,
    ) -> Result<Built, Failure> {
        let options = self.options;
        let shown = self.print(self.drv_path);
        let machine = build.machine().to_owned();
        let activity = self.logger.start(
            ActivityKind::Build,
            Level::Info,
            format!("building '{shown}' on '{machine}'"),
            vec![Field::Text(shown), Field::Text(machine), Field::Int(1), Field::Int(1)],
            self.parent,
        );
        self.tell_estimate(&activity);
        let log_file = if options.keep_log {
            let path = self.store.layout().log_file(self.drv_path);
            LogFile::create(path.clone(), options.compress_log)
                .map_err(io(format!("creating log file '{}'", path.display())))?
        } else {
            LogFile::none()
        };
        let mut log = BuildLog::new(activity, self.logger.clone(), log_file, options.log_lines);
        let inputs = self.input_closure()?;
        let outputs: BTreeSet<String> =
            self.drv.outputs.keys().filter(|name| !valid.contains(*name)).cloned().collect();
        let (start, begin) = (now(), Instant::now());
        let mut last_output = begin;
        let mut hear = |output: RemoteOutput<'_>| -> Result<(), Failure> {
            let size = match output {
                RemoteOutput::Log(data) => {
                    last_output = Instant::now();
                    log.take(data)
                }
                RemoteOutput::Line(line) => {
                    last_output = Instant::now();
                    hook_line(self.logger, &mut log, line)
                }
                RemoteOutput::Silence => 0,
            };
            self.check_stop()?;
            self.check_log_size(size)?;
            for (limit, since) in [(options.max_silent_time, last_output), (options.timeout, begin)]
            {
                if !limit.is_zero() && since.elapsed() >= limit {
                    return Err(Failure::new(
                        FailureKind::TimedOut,
                        format!("timed out after {} seconds", limit.as_secs()),
                    ));
                }
            }
            Ok(())
        };
        let end = build.run(&inputs, &outputs, &mut hear);
        let tail = log.finish();
        let end = end?;
        if end.status != Some(0) {
            return Err(self.failed_elsewhere(end.status, &tail));
        }
        // With the copying, since whoever waits for it waits for that too.
        history::note(&self.store.layout().state_dir, self.drv, begin.elapsed());
        // the hook has registered them
        self.store.clear_cache();
        let known: KnownOutputs = self.known_outputs()?;
        let mut outputs: BTreeMap<String, StorePath> = BTreeMap::new();
        for (name, path) in known {
            match path {
                Some(path) if self.store.is_valid(&path)? => {
                    outputs.insert(name, path);
                }
                _ => return Err(Failure::misc("some outputs are unexpectedly invalid")),
            }
        }
        Ok(Built { built: true, outputs, start, stop: now(), cpu: None })
    }

    fn failed_elsewhere(&self, status: Option<i32>, tail: &[String]) -> Failure {
        let how = match status {
            Some(status) => format!("failed with exit code {status}"),
            None => "was killed".to_owned(),
        };
        let mut message =
            format!("Cannot build '{}'.\nReason: builder {how}.", self.print(self.drv_path));
        message.push_str(&show_outputs(self.store, self.drv));
        self.show_log(&mut message, tail);
        Failure::new(FailureKind::Misc, message)
    }
}

/// A line of the hook: what it says of the build belongs to the build's log, the rest to whoever watches.
pub(crate) fn hook_line(logger: &Logger, log: &mut BuildLog, line: &str) -> u64 {
    match decode_line(line) {
        Some(Line::Event(Event::Result { report: Report::BuildLogLine(text), .. })) => {
            log.take(format!("{text}\n").as_bytes())
        }
        Some(Line::Event(Event::Result { report: Report::SetPhase(phase), .. })) => {
            let phase = serde_json::json!({ "action": "setPhase", "phase": phase });
            log.take(format!("@nix {phase}\n").as_bytes())
        }
        // the build on the other machine is this one
        Some(Line::Event(Event::Start {
            kind: ActivityKind::Build | ActivityKind::Builds | ActivityKind::Realise,
            ..
        })) => 0,
        Some(Line::Event(Event::Message { level, text })) => {
            logger.event(crate::plain::message(level.max(Level::Notice), &text));
            0
        }
        Some(other) => {
            log.message(other);
            0
        }
        None => {
            logger.message(Level::Notice, line);
            0
        }
    }
}
