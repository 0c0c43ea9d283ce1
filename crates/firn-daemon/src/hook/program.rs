//! The build hook itself: chooses a machine, copies what a build needs there, has it built, and copies back what came
//! of it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firn_build::{BuildResult, DerivedPath};
use firn_event::{ActivityKind, Event, EventSink, Level, Logger};
use firn_model::derivation::{Derivation, Kind};
use firn_model::hash::{Hash, HashAlgo};
use firn_model::store_path::StorePath;
use firn_store::fs::lock::{FileLock, LockKind};
use firn_store::layout::Environment;
use firn_store::{ClosureOptions, Settings};
use parking_lot::Mutex;

use super::machines::Machine;
use crate::copy::copy_paths;
use crate::error::{Error, Result};
use crate::managed::ManagedStore;
use crate::protocol::BuildMode;
use crate::wire::{WireRead, WireReader};

/// The longest name of a file, in bytes.
const LONGEST_NAME: usize = 255;

/// Opens the store that is built for.
pub type OpenHere<'a> = dyn Fn(&Settings, &Logger) -> Result<Arc<dyn ManagedStore>> + 'a;

/// Opens the store at an address.
pub type OpenMachine<'a> = dyn Fn(&Settings, &str, &Logger) -> Result<Arc<dyn ManagedStore>> + 'a;

/// How stores are opened.
pub struct Stores<'a> {
    /// The store that is built for, as the settings name it.
    pub here: &'a OpenHere<'a>,
    /// The store of a machine, at this address.
    pub machine: &'a OpenMachine<'a>,
    /// Where the state of this machine's store is, if it does not say itself.
    pub state_dir: &'a Path,
    /// The environment.
    pub env: &'a Environment,
}

/// Writes events as lines of JSON, which whoever started the hook understands.
struct JsonLines<W>(Mutex<W>, Level);

impl<W: Write + Send> EventSink for JsonLines<W> {
    fn event(&self, event: Event) {
        let event = match event {
            Event::Message { level, .. } if level > self.1 => return,
            Event::Message { level: Level::Error, text } => {
                Event::Message { level: Level::Error, text: format!("error: {text}") }
            }
            other => other,
        };
        let line = format!("@nix {}\n", firn_event::json::encode(&event));
        // whoever does not listen any more does not miss it
        let _ = self.0.lock().write_all(line.as_bytes());
    }
}

/// A logger to `out`, in the form that hooks use.
#[must_use]
pub fn json_logger(out: impl Write + Send + 'static, verbosity: Level) -> Logger {
    Logger::new(Arc::new(JsonLines(Mutex::new(out), verbosity)))
}

/// A machine that was chosen, with the lock that keeps one of its places.
struct Chosen {
    uri: String,
    store: Arc<dyn ManagedStore>,
    _slot: FileLock,
}

/// What a request says.
struct Request {
    willing: bool,
    system: String,
    drv_path: StorePath,
    features: BTreeSet<String>,
}

struct Program<'a> {
    settings: Settings,
    stores: &'a Stores<'a>,
    here: Arc<dyn ManagedStore>,
    machines: Vec<Machine>,
    /// Machines that could not be reached.
    disabled: BTreeSet<usize>,
    current_load: PathBuf,
    /// How many builds may run on this machine.
    max_jobs: u64,
    logger: Logger,
}

/// Runs the hook: `input` is what it is told, `answers` where it answers, `settings` what it begins with.
///
/// # Errors
/// If what it is told makes no sense, or the build fails.
pub fn run(
    input: impl Read + Send,
    answers: &mut dyn Write,
    mut settings: Settings,
    stores: &Stores<'_>,
    logger: &Logger,
) -> Result<()> {
    let input: Box<dyn Read + Send + '_> = Box::new(input);
    let mut input = WireReader::new(input);
    while input.number()? != 0 {
        let (name, value) = (input.text()?, input.message()?);
        // what is not known here is for other programs
        if let Err(e) = settings.set(&name, &value) {
            logger.message(Level::Debug, e.to_string());
        }
    }
    let max_jobs = settings.number("max-jobs");
    // machines may be stores of this machine, in which this program builds itself
    settings.set("max-jobs", "1")?;
    let read = |file: &str| std::fs::read_to_string(file);
    let mut machines =
        Machine::parse_all(settings.text("builders"), settings.system(), stores.env, &read)?;
    machines.retain(|machine| !machine.is_cluster());
    if machines.is_empty() {
        return answer(answers, "# decline-permanently\n");
    }
    let here = (stores.here)(&settings, logger)?;
    let state_dir = match here.store().as_local() {
        Some(store) => store.layout().state_dir.clone(),
        None => stores.state_dir.to_owned(),
    };
    let mut program = Program {
        settings,
        stores,
        here,
        machines,
        disabled: BTreeSet::new(),
        current_load: state_dir.join("current-load"),
        max_jobs,
        logger: logger.clone(),
    };
    loop {
        input.begin();
        let Some(request) = program.request(&mut input)? else { return Ok(()) };
        if let Some(chosen) = program.choose(&request, answers)? {
            answer(answers, &format!("# accept\n{}\n", chosen.uri))?;
            return program.build(&request.drv_path, &chosen, &mut input);
        }
    }
}

fn answer(answers: &mut dyn Write, text: &str) -> Result<()> {
    answers
        .write_all(text.as_bytes())
        .and_then(|()| answers.flush())
        .map_err(Error::io("answering"))
}

impl Program<'_> {
    fn request(&self, input: &mut WireRead<'_>) -> Result<Option<Request>> {
        match input.text() {
            Ok(word) if word == "try" => {}
            Ok(_) | Err(Error::Disconnected(_)) => return Ok(None),
            Err(e) => return Err(e),
        }
        let willing = input.bool()?;
        let system = input.text()?;
        let drv_path = input.text()?;
        let drv_path = self.here.store().store_dir().parse(&drv_path).map_err(Error::model)?;
        Ok(Some(Request { willing, system, drv_path, features: input.texts()? }))
    }

    fn lock_file(&self, name: &str, suffix: &str) -> Result<FileLock> {
        let mut name = name.replace('/', "_");
        if name.len() + suffix.len() > LONGEST_NAME {
            let hash = Hash::digest(HashAlgo::Md5, name.as_bytes());
            name = hash.to_base32();
        }
        Ok(FileLock::open(&self.current_load.join(format!("{name}{suffix}")))?)
    }

    /// Whether this machine could build it, if not now.
    fn could_build_here(&self, request: &Request) -> bool {
        let settings = &self.settings;
        let runs = request.system == settings.system()
            || settings.words("extra-platforms").contains(&request.system);
        let features: BTreeSet<String> = settings.words("system-features").into_iter().collect();
        self.max_jobs > 0 && runs && request.features.is_subset(&features)
    }

    /// Chooses the machine with the least load for its speed, and connects to it. Says so if there is none.
    fn choose(&mut self, request: &Request, answers: &mut dyn Write) -> Result<Option<Chosen>> {
        // others may make it at the same time; what fails is noticed when locks are made there
        let _ = std::fs::create_dir_all(&self.current_load);
        loop {
            let mut main = FileLock::open(&self.current_load.join("main-lock"))?;
            main.lock(LockKind::Exclusive)?;
            let (right_type, best) = self.best(request)?;
            let Some((number, slot)) = best else {
                let could = self.could_build_here(request);
                if right_type && !(request.willing && could) {
                    answer(answers, "# postpone\n")?;
                } else {
                    self.explain(request, could);
                    answer(answers, "# decline\n")?;
                }
                return Ok(None);
            };
            let machine = &self.machines[number];
            // its time tells who had it last
            let _ = slot.file().set_modified(std::time::SystemTime::now());
            drop(main);
            let uri = machine.store.render();
            let _connecting = self.logger.start(
                ActivityKind::Unknown,
                Level::Talkative,
                format!("connecting to '{uri}'"),
                vec![],
                0,
            );
            let complete = machine.complete().render();
            let opened =
                (self.stores.machine)(&self.settings, &complete, &self.logger).and_then(|store| {
                    // whether anybody answers
                    store.version()?;
                    store.query_valid(&[request.drv_path.clone()].into(), false)?;
                    Ok(store)
                });
            match opened {
                Ok(store) => return Ok(Some(Chosen { uri, store, _slot: slot })),
                Err(e) => {
                    self.logger.message(Level::Error, format!("cannot build on '{uri}': {e}"));
                    self.disabled.insert(number);
                }
            }
        }
    }

    /// Whether there is a machine of the right kind, and which of those that have a free place is best.
    fn best(&self, request: &Request) -> Result<(bool, Option<(usize, FileLock)>)> {
        let mut right_type = false;
        let mut best: Option<(usize, FileLock, u64)> = None;
        for (number, machine) in self.machines.iter().enumerate() {
            if self.disabled.contains(&number)
                || !machine.can_build(&request.system, &request.features)
            {
                continue;
            }
            right_type = true;
            let (mut free, mut load) = (None, 0);
            let uri = machine.store.render();
            for slot in 0..machine.max_jobs {
                let mut lock = self.lock_file(&uri, &format!("-{slot}"))?;
                if lock.try_lock(LockKind::Exclusive)? {
                    free.get_or_insert(lock);
                } else {
                    load += 1;
                }
            }
            let Some(free) = free else { continue };
            let better = match &best {
                None => true,
                Some((other, _, other_load)) => {
                    is_better((machine, load), (&self.machines[*other], *other_load))
                }
            };
            if better {
                best = Some((number, free, load));
            }
        }
        Ok((right_type, best.map(|(number, lock, _)| (number, lock))))
    }

    fn explain(&self, request: &Request, could_build_here: bool) {
        let list =
            |set: &BTreeSet<String>| set.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let mut text = format!(
            "Failed to find a machine for remote build!\nderivation: {}\nrequired (system, features): ({}, [{}])\n{} available machines:\n(systems, maxjobs, supportedFeatures, mandatoryFeatures)",
            request.drv_path.base_name(),
            request.system,
            list(&request.features),
            self.machines.len()
        );
        for machine in &self.machines {
            text.push_str(&format!(
                "\n([{}], {}, [{}], [{}])",
                list(&machine.systems),
                machine.max_jobs,
                list(&machine.supported),
                list(&machine.mandatory)
            ));
        }
        let level = if could_build_here { Level::Chatty } else { Level::Warn };
        self.logger.message(level, text);
    }

    fn build(&self, drv_path: &StorePath, chosen: &Chosen, input: &mut WireRead<'_>) -> Result<()> {
        let here = self.here.store();
        let dir = here.store_dir();
        let inputs: BTreeSet<String> = input.texts()?;
        let inputs = inputs
            .iter()
            .map(|text| dir.parse(text).map_err(Error::model))
            .collect::<Result<BTreeSet<StorePath>>>()?;
        let wanted: BTreeSet<String> = input.texts()?;
        let substitute = self.settings.bool("builders-use-substitutes");
        self.upload(&inputs, chosen, substitute)?;
        let drv = here.read_derivation(drv_path)?;
        let result = self.build_there(drv_path, &drv, &inputs, chosen, substitute)?;
        if !result.status.is_success() {
            return Err(self.failed(drv_path, &drv, chosen, &result));
        }
        self.download(&drv, &wanted, &result, chosen)
    }

    /// One hook at a time copies to a machine, so that all have what they share after the first.
    fn upload(
        &self,
        inputs: &BTreeSet<StorePath>,
        chosen: &Chosen,
        substitute: bool,
    ) -> Result<()> {
        let mut lock = self.lock_file(&chosen.uri, ".upload-lock")?;
        {
            let _waiting =
                self.activity(format!("waiting for the upload lock to '{}'", chosen.uri));
            lock.lock(LockKind::Exclusive)?;
        }
        let _copying = self.activity(format!("copying dependencies to '{}'", chosen.uri));
        copy_paths(self.here.store(), &*chosen.store, inputs, substitute, &self.logger)
    }

    fn activity(&self, text: String) -> firn_event::Activity {
        self.logger.start(ActivityKind::Unknown, Level::Talkative, text, vec![], 0)
    }

    /// Builds by sending the derivation alone where the machine takes this machine's word for it, else by copying
    /// it with all that proves what it makes.
    fn build_there(
        &self,
        drv_path: &StorePath,
        drv: &Derivation,
        inputs: &BTreeSet<StorePath>,
        chosen: &Chosen,
        substitute: bool,
    ) -> Result<BuildResult> {
        let kind = drv.kind().map_err(Error::model)?;
        // those that do not say are as those that trust
        let trusted = chosen.store.trusts_us()?.unwrap_or(true);
        if trusted || !matches!(kind, Kind::InputAddressed { .. }) {
            let mut alone = drv.clone();
            if !alone.input_drvs.is_empty() {
                alone.input_drvs.clear();
                alone.input_srcs.clone_from(inputs);
            }
            return chosen.store.build_derivation(drv_path, &alone, BuildMode::Normal);
        }
        let here = self.here.store();
        let closure =
            here.compute_closure(&[drv_path.clone()].into(), ClosureOptions::default())?;
        copy_paths(here, &*chosen.store, &closure, substitute, &self.logger)?;
        let wanted = [DerivedPath::all_outputs(drv_path.clone())];
        let results = chosen.store.build(&wanted, BuildMode::Normal)?;
        results.into_iter().next().map(|each| each.result).ok_or_else(|| {
            Error::protocol(format!("'{}' does not say what came of the build", chosen.uri))
        })
    }

    fn failed(
        &self,
        drv_path: &StorePath,
        drv: &Derivation,
        chosen: &Chosen,
        result: &BuildResult,
    ) -> Error {
        let settings = &self.settings;
        if settings.bool("keep-failed") {
            let system = drv.system.to_string();
            let here =
                system == settings.system() || settings.words("extra-platforms").contains(&system);
            let hint = if here {
                " You can re-run the command with `--builders ''` to disable remote building for this invocation."
            } else {
                ""
            };
            self.logger.warn(format!(
                "The failed build directory was kept on the remote builder due to `--keep-failed`.{hint}"
            ));
        }
        Error::Refused(format!(
            "build of '{}' on '{}' failed: {}",
            self.here.store().store_dir().print(drv_path),
            chosen.uri,
            result.error
        ))
    }

    fn download(
        &self,
        drv: &Derivation,
        wanted: &BTreeSet<String>,
        result: &BuildResult,
        chosen: &Chosen,
    ) -> Result<()> {
        let here = self.here.store();
        let mut missing = BTreeSet::new();
        let mut realisations = Vec::new();
        for (name, path) in drv.output_paths(here.store_dir()).map_err(Error::model)? {
            if let Some(path) = path {
                if !here.is_valid(&path)? {
                    missing.insert(path);
                }
            } else if wanted.contains(&name) {
                let realisation = result.built_outputs.get(&name).ok_or_else(|| {
                    Error::protocol(format!(
                        "'{}' does not say what output '{name}' came to be",
                        chosen.uri
                    ))
                })?;
                if !here.is_valid(&realisation.out_path)? {
                    missing.insert(realisation.out_path.clone());
                }
                realisations.push(realisation);
            }
        }
        if !missing.is_empty() {
            let _copying = self.activity(format!("copying outputs from '{}'", chosen.uri));
            // whoever started this program holds their locks
            if let Some(store) = here.as_local() {
                store.assume_locks(&missing);
            }
            let remote = chosen.store.store();
            copy_paths(remote, &*self.here, &missing, false, &self.logger)?;
        }
        for realisation in realisations {
            here.register_realisation(realisation)?;
        }
        Ok(())
    }
}

/// Whether the first machine with its load is to be preferred.
fn is_better((machine, load): (&Machine, u64), (other, other_load): (&Machine, u64)) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "loads are small")]
    let relative = |load: u64, machine: &Machine| load as f32 / machine.speed_factor;
    let (ours, theirs) = (relative(load, machine), relative(other_load, other));
    if ours < theirs {
        return true;
    }
    ours <= theirs
        && (machine.speed_factor > other.speed_factor
            || (machine.speed_factor >= other.speed_factor && load < other_load))
}
