//! A build as an action: the files that it finds, the command, the machine that it needs.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use firn_build::executor::ExecutorRequest;
use firn_build::sandbox::spec::Bytes;
use firn_store::Store;

use super::inputs::{Input, Inputs};
use crate::address::ClusterSettings;
use crate::api::{BlobId, re};
use crate::client::{Blob, Client};
use crate::error::{Error, Result};
use crate::runner::{COMMAND, OUTPUTS, OWN, Task, VERSION};
use crate::tree::{Assembly, Node, Tree, relative};
use crate::wire::proto::Message as _;

/// How much longer an action may take than its builder: the runner has to prepare and to report.
const MARGIN: u64 = 30;

/// An action and all that it consists of.
pub struct Prepared {
    /// Its name.
    pub action: BlobId,
    /// The store paths.
    pub trees: Vec<Input>,
    /// All else.
    pub blobs: Vec<Blob>,
}

/// Makes the action.
///
/// # Errors
/// When inputs cannot be read, or are nothing that can be sent to this cluster.
pub fn prepare(
    settings: &ClusterSettings,
    client: &Client,
    inputs: &Inputs,
    request: &ExecutorRequest<'_>,
) -> Result<Prepared> {
    let store = request.store;
    let store_dir = Path::new(store.store_dir().as_str());
    let mut assembly = Assembly::default();
    let mut blobs = Vec::new();
    let mut trees = Vec::new();
    let mut names = Vec::new();
    let allowed = |tree: &Tree, what: &Path| match tree.absolute_links && !client.absolute_links {
        false => Ok(()),
        true => Err(Error::Unsuited(format!(
            "the server takes no links to absolute paths, as '{}' has",
            what.display()
        ))),
    };
    assembly.folder(&relative(store_dir))?;
    for path in request.inputs {
        let info = store.path_info(path).map_err(|e| Error::Unsuited(e.to_string()))?;
        let real = store.real_path(path);
        let input = inputs.tree(path, &info.nar_hash, &real)?;
        allowed(&input.tree, &real)?;
        let name = path.base_name().to_string();
        assembly.put(&relative(&store_dir.join(&name)), input.tree.node.clone())?;
        names.push(name);
        trees.push(input);
    }
    let mut host_paths = BTreeMap::new();
    for (number, (target, source)) in request.work.host_paths.iter().enumerate() {
        if let Ok(name) = source.strip_prefix(&store.layout().real_store_dir) {
            host_paths.insert(target.clone(), relative(&store_dir.join(name)));
            continue;
        }
        let tree = Tree::read(source)?;
        allowed(&tree, source)?;
        let place = PathBuf::from(format!("{OWN}/host/{number}"));
        assembly.put(&place, tree.node)?;
        blobs.extend(tree.blobs.iter().cloned());
        host_paths.insert(target.clone(), place);
    }
    let program = PathBuf::from(format!("{OWN}/firn"));
    let runner = settings.runner.clone().unwrap_or_else(|| "/proc/self/exe".into());
    let runner =
        std::fs::canonicalize(&runner).map_err(Error::file("finding the runner", runner))?;
    let tree = inputs.file(&runner)?;
    let Node::File(id, _) = tree.node else {
        return Err(Error::Unsuited(format!("the runner '{}' is no file", runner.display())));
    };
    assembly.put(&program, Node::File(id, true))?;
    blobs.extend(tree.blobs.iter().cloned());
    let task_file = PathBuf::from(format!("{OWN}/task.json"));
    let task = task(request, store_dir, names, host_paths);
    let text = serde_json::to_vec(&task).map_err(|e| Error::Unsuited(e.to_string()))?;
    let tree = Tree::file(text);
    assembly.put(&task_file, tree.node)?;
    blobs.extend(tree.blobs.iter().cloned());
    let root = assembly.finish(&mut blobs);

    let platform = platform(settings, request);
    let mut command = re::Command {
        arguments: vec![
            program.display().to_string(),
            COMMAND.to_owned(),
            task_file.display().to_string(),
        ],
        ..re::Command::default()
    };
    match client.output_paths {
        true => command.output_paths = vec![OUTPUTS.to_owned()],
        false => command.output_directories = vec![OUTPUTS.to_owned()],
    }
    // servers before 2.2 look for it there
    command.platform = Some(platform.clone());
    let command = Blob::bytes(command.encode());
    let seconds = request.work.timeout.as_secs();
    let action = re::Action {
        command_digest: Some(command.id.into()),
        input_root_digest: Some(root.into()),
        timeout: (seconds > 0).then(|| re::Duration {
            seconds: i64::try_from(seconds.saturating_add(MARGIN)).unwrap_or(i64::MAX),
            nanos: 0,
        }),
        platform: Some(platform),
        ..re::Action::default()
    };
    let action = Blob::bytes(action.encode());
    let id = action.id;
    blobs.extend([command, action]);
    Ok(Prepared { action: id, trees, blobs })
}

fn task(
    request: &ExecutorRequest<'_>,
    store_dir: &Path,
    inputs: Vec<String>,
    host_paths: BTreeMap<PathBuf, PathBuf>,
) -> Task {
    let work = request.work;
    let outputs = request.outputs.iter();
    Task {
        version: VERSION,
        store_dir: store_dir.to_owned(),
        inputs,
        outputs: outputs.map(|(n, d)| (n.clone(), d.path.base_name().to_string())).collect(),
        host_paths,
        builder: work.builder.clone(),
        args: work.args.clone(),
        env: work.env.clone(),
        own_cores: work.own_cores,
        files: work.files.iter().map(|(n, contents)| (n.clone(), Bytes::from(contents))).collect(),
        build_dir: work.build_dir.clone(),
        system: request.system.to_owned(),
        shm_size: work.shm_size.clone(),
        filter_syscalls: work.filter_syscalls,
        allow_new_privileges: work.allow_new_privileges,
        impersonate_linux_26: work.impersonate_linux_26,
        kvm: request.features.contains("kvm"),
        timeout: work.timeout.as_secs(),
        max_silent_time: work.max_silent_time.as_secs(),
        max_log_size: work.max_log_size,
    }
}

/// What the machine must be: what the settings say, or what follows from the build's system. Properties are in the
/// order that the protocol wants.
fn platform(settings: &ClusterSettings, request: &ExecutorRequest<'_>) -> re::Platform {
    let mut properties: Vec<(String, String)> = match &settings.platform {
        Some(platform) => platform.clone().into_iter().collect(),
        None => {
            let (isa, os) = request.system.split_once('-').unwrap_or((request.system, ""));
            let isa = match isa {
                "x86_64" => "x86-64",
                "i686" => "x86-32",
                "aarch64" => "arm-a64",
                "armv7l" => "arm-a32",
                other => other,
            };
            let features = request.features.iter().map(|f| ("nix-feature".to_owned(), f.clone()));
            [("ISA".to_owned(), isa.to_owned()), ("OSFamily".to_owned(), os.to_owned())]
                .into_iter()
                .chain(features)
                .collect()
        }
    };
    properties.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()).then(a.1.cmp(&b.1)));
    let property = |(name, value)| re::Property { name, value };
    re::Platform { properties: properties.into_iter().map(property).collect() }
}

impl Inputs {
    /// A file as a tree, read again only once it has changed.
    fn file(&self, path: &Path) -> Result<Tree> {
        use std::os::unix::fs::MetadataExt as _;
        let meta = path.metadata().map_err(Error::file("reading", path))?;
        let mut stamp = path.as_os_str().as_bytes().to_vec();
        for number in [meta.ino(), meta.size(), meta.mtime() as u64, meta.mtime_nsec() as u64] {
            stamp.extend(number.to_le_bytes());
        }
        self.stamped(stamp, || Tree::read(path))
    }
}
