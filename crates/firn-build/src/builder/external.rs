//! Builds by a program of the user's choice in place of ours, for systems that this machine is not
//! (`external-builders`). It is told by a file what to build, and does it by means of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bstr::{BString, ByteSlice};
use firn_model::store_path::StorePath;
use firn_store::Store;
use serde_json::{Map, Value, json};

use super::Job;
use super::environment::{Rewrites, write_file};
use super::outputs::Wanted;
use crate::error::Failure;
use crate::options::ExternalBuilder;
use crate::sandbox::spec::{Builder, Bytes};

impl Job<'_> {
    /// Writes the file, and gives the program with its arguments.
    #[expect(clippy::too_many_arguments, reason = "all of them are what a build is")]
    pub(super) fn external(
        &self,
        external: &ExternalBuilder,
        env: &BTreeMap<BString, BString>,
        rewrites: &Rewrites,
        inputs: &BTreeSet<StorePath>,
        outputs: &BTreeMap<String, Wanted>,
        top_dir: &Path,
        build_dir: &Path,
        owner: Option<(u32, u32)>,
    ) -> Result<Builder, Failure> {
        const FILE: &str = "build.json";
        let text = |bytes: &[u8]| Value::from(bytes.to_str_lossy().into_owned());
        let variables: Map<String, Value> =
            env.iter().map(|(n, v)| (n.to_str_lossy().into_owned(), text(v))).collect();
        let outputs: Map<String, Value> =
            outputs.iter().map(|(n, w)| (n.clone(), self.print(&w.scratch).into())).collect();
        let what = json!({
            "version": 1,
            "builder": text(&self.drv.builder),
            "args": self.drv.args.iter().map(|a| text(&rewrites.apply(a))).collect::<Vec<_>>(),
            "env": variables,
            "topTmpDir": top_dir,
            "tmpDir": build_dir,
            "tmpDirInSandbox": self.options.sandbox_build_dir,
            "storeDir": self.store.store_dir().as_str(),
            "realStoreDir": self.store.layout().real_store_dir,
            "system": text(&self.drv.system),
            "inputPaths": inputs.iter().map(|p| self.print(p)).collect::<Vec<_>>(),
            "outputs": outputs,
        });
        write_file(top_dir, FILE, what.to_string().as_bytes(), owner)?;
        let program: Bytes = external.program.as_os_str().as_bytes().into();
        let file = top_dir.join(FILE);
        let args = external.args.iter().map(Bytes::from);
        Ok(Builder::Program {
            path: program.clone(),
            args: std::iter::once(program)
                .chain(args)
                .chain([file.as_os_str().as_bytes().into()])
                .collect(),
        })
    }
}
