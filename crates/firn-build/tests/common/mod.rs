//! A store in a temporary folder and tiny derivations for it.

#![allow(missing_docs, dead_code, clippy::unwrap_used, clippy::print_stderr)]

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use firn_build::sandbox::{Launcher, support};
use firn_build::{
    BuildError, BuildOptions, BuildResults, DerivedPath, SandboxMode, SandboxPath, build_paths,
};
use firn_event::{Event, EventSink, Level, Logger, Report};
use firn_model::content_address::{ContentAddress, Method};
use firn_model::derivation::placeholder::placeholder;
use firn_model::derivation::{Derivation, DerivedOutputs, DrvHashModulo, Output, hash_modulo};
use firn_model::hash::{Hash, HashAlgo};
use firn_model::store_path::{StoreDir, StorePath};
use firn_store::{LocalStore, Repair, Settings, Store, StoreLayout, StoreOptions};

/// The world that this function of [`World`] makes; where it makes none, the test is over.
#[allow(unused_macros, reason = "not every test needs it")]
macro_rules! world {
    () => {
        world!(new)
    };
    ($make:ident) => {
        match World::$make() {
            Some(world) => world,
            None => return,
        }
    };
}

#[derive(Default)]
pub struct Kept(pub Mutex<Vec<Event>>);
impl EventSink for Kept {
    fn event(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

pub struct World {
    pub dir: tempfile::TempDir,
    pub store: LocalStore,
    pub options: BuildOptions,
    pub kept: Arc<Kept>,
    pub logger: Logger,
}

pub fn launcher() -> Launcher {
    let mut guard = PathBuf::from(env!("CARGO_BIN_EXE_firn-sandbox-child"));
    if let Some(copy) = std::env::var_os("FIRN_TEST_GUARD") {
        guard = copy.into();
    }
    Launcher::new(guard, [] as [&str; 0])
}

impl World {
    /// `None`, with a reason printed, where builds in a sandbox cannot be had.
    pub fn new() -> Option<Self> {
        if !support(&launcher()).user_namespaces {
            eprintln!("SKIPPED: this machine grants no user namespaces");
            return None;
        }
        Self::anywhere()
    }

    /// As [`World::new`], also where builds in a sandbox cannot be had.
    pub fn anywhere() -> Option<Self> {
        let Some(shell) = SandboxPath::shell() else {
            eprintln!("SKIPPED: there is no static busybox on this machine");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let layout = StoreLayout::in_root(&dir.path().join("root"));
        let store = LocalStore::open(layout, StoreOptions::default()).unwrap();
        let mut options = BuildOptions::from_settings(&Settings::new());
        options.launcher = launcher();
        options.build_users_group = String::new();
        options.sandbox_paths = vec![shell];
        let kept = Arc::new(Kept::default());
        Some(Self { dir, store, options, logger: Logger::new(kept.clone()), kept })
    }

    /// With content-addressed, impure and dynamic derivations.
    pub fn content_addressed() -> Option<Self> {
        let mut world = Self::new()?;
        world.open_with_features();
        Some(world)
    }

    /// Opens the store again with content-addressed, impure and dynamic derivations.
    pub fn open_with_features(&mut self) {
        let options = StoreOptions { ca_derivations: true, ..StoreOptions::default() };
        self.store = LocalStore::open(self.store.layout().clone(), options).unwrap();
        for feature in ["ca-derivations", "impure-derivations", "dynamic-derivations"] {
            self.options.features.insert(feature.into());
        }
    }

    /// A store whose contents are where its paths say, and no sandbox unless the test wants one.
    pub fn in_place() -> Option<Self> {
        let mut world = Self::anywhere()?;
        let root = std::fs::canonicalize(world.dir.path()).unwrap().join("place");
        let store_dir = root.join("store");
        let layout = StoreLayout {
            store_dir: StoreDir::new(store_dir.to_str().unwrap()).unwrap(),
            real_store_dir: store_dir,
            state_dir: root.join("state"),
            log_dir: root.join("log"),
        };
        world.store = LocalStore::open(layout, StoreOptions::default()).unwrap();
        world.options.sandbox = SandboxMode::Off;
        Some(world)
    }

    pub fn build(&self, drvs: &[&StorePath]) -> Result<BuildResults, BuildError> {
        let wanted: Vec<_> = drvs.iter().map(|d| DerivedPath::all_outputs((*d).clone())).collect();
        build_paths(&self.store, &wanted, &self.options, &self.logger)
    }

    /// A derivation that runs `script` with busybox's shell outside of a sandbox.
    pub fn open_drv(&self, name: &str, script: &str) -> Drv<'_> {
        let shell = self.options.sandbox_paths[0].source.to_str().unwrap();
        let mut drv = self.drv(name, script);
        drv.drv.builder = shell.into();
        drv.drv.args = vec!["sh".into(), "-c".into(), script.into()];
        drv
    }

    /// Builds and gives the text of the output `out`.
    pub fn text(&self, drv: &StorePath) -> String {
        let results = self.build(&[drv]).unwrap_or_else(|e| panic!("{e}\n{}", self.log()));
        let path = self.store.real_path(&results.outputs[0].1["out"]);
        String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
    }

    pub fn log(&self) -> String {
        let mut text = String::new();
        for event in &*self.kept.0.lock().unwrap() {
            if let Event::Result { report: Report::BuildLogLine(line), .. } = event {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }

    pub fn errors(&self) -> Vec<String> {
        let events = self.kept.0.lock().unwrap();
        events
            .iter()
            .filter_map(|event| match event {
                Event::Message { level: Level::Error, text } => Some(text.clone()),
                _ => None,
            })
            .collect()
    }

    /// A derivation that runs `script` with busybox's shell.
    pub fn drv(&self, name: &str, script: &str) -> Drv<'_> {
        let mut drv = Derivation {
            name: name.into(),
            system: self.options.system.clone().into(),
            builder: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            ..Derivation::default()
        };
        drv.env.insert("name".into(), name.into());
        Drv { world: self, drv }.output("out")
    }

    fn modulo(&self, path: &StorePath) -> Result<DrvHashModulo, firn_model::derivation::Error> {
        let drv = self.store.read_derivation(path).unwrap();
        hash_modulo(&drv, self.store.store_dir(), false, &mut |p| self.modulo(p))
    }
}

pub struct Drv<'a> {
    world: &'a World,
    pub drv: Derivation,
}

impl Drv<'_> {
    /// Makes all outputs content-addressed.
    pub fn floating(mut self) -> Self {
        for (name, output) in &mut self.drv.outputs {
            *output = Output::Floating { method: Method::Nar, algo: HashAlgo::Sha256 };
            self.drv.env.insert(name.as_str().into(), placeholder(name).into());
        }
        self
    }

    /// As [`Drv::floating`], with another way to hash.
    pub fn hashed_as(mut self, method: Method) -> Self {
        self = self.floating();
        for output in self.drv.outputs.values_mut() {
            *output = Output::Floating { method, algo: HashAlgo::Sha256 };
        }
        self
    }

    /// Makes all outputs impure.
    pub fn impure(mut self) -> Self {
        self = self.floating();
        for output in self.drv.outputs.values_mut() {
            *output = Output::Impure { method: Method::Nar, algo: HashAlgo::Sha256 };
        }
        self
    }

    /// Needs an output of the derivation that the output `out` of `drv` is.
    pub fn dynamic_input(mut self, drv: &StorePath, output: &str) -> Self {
        let inner = DerivedOutputs { outputs: [output.to_owned()].into(), ..Default::default() };
        let input = self.drv.input_drvs.entry(drv.clone()).or_default();
        input.dynamic.insert("out".to_owned(), inner);
        self
    }

    pub fn output(mut self, name: &str) -> Self {
        self.drv.outputs.insert(name.into(), Output::Deferred);
        self.drv.env.insert(name.into(), "".into());
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.drv.env.insert(name.into(), value.into().into());
        self
    }

    pub fn builder(mut self, builder: &str) -> Self {
        self.drv.builder = builder.into();
        self.drv.args.clear();
        self
    }

    pub fn input(mut self, drv: &StorePath) -> Self {
        let all = self.world.store.read_derivation(drv).unwrap().outputs.into_keys().collect();
        self.drv
            .input_drvs
            .insert(drv.clone(), DerivedOutputs { outputs: all, ..DerivedOutputs::default() });
        self
    }

    pub fn source(mut self, path: &StorePath) -> Self {
        self.drv.input_srcs.insert(path.clone());
        self
    }

    pub fn fixed(mut self, method: Method, hash: Hash) -> Self {
        let ca = ContentAddress { method, hash };
        self.drv.outputs = [("out".to_owned(), Output::Fixed(ca))].into();
        self
    }

    pub fn fixed_text(self, text: &str) -> Self {
        self.fixed(Method::Flat, Hash::digest(HashAlgo::Sha256, text.as_bytes()))
    }

    /// Computes the output paths and writes the derivation.
    pub fn add(mut self) -> StorePath {
        let dir = self.world.store.store_dir().clone();
        let hash = hash_modulo(&self.drv, &dir, true, &mut |path| self.world.modulo(path)).unwrap();
        self.drv.fill_output_paths(&dir, &hash).unwrap();
        if let Some(path) = self.drv.output_path(&dir, "out").unwrap() {
            self.drv.env.insert("out".into(), dir.print(&path).into());
        }
        self.world.store.add_derivation(&self.drv, Repair::No).unwrap()
    }
}
