//! Programs of the user that are run before and after builds.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use firn_event::{ActivityKind, Field, Level};
use firn_model::store_path::StorePath;

use super::Job;
use crate::error::Failure;
use crate::options::SandboxPath;

impl Job<'_> {
    /// Runs `pre-build-hook`, which may change what is below `root`, the sandbox's, and says which paths of the host
    /// the sandbox has besides.
    pub(super) fn pre_build_hook(&self, root: &Path) -> Result<Vec<SandboxPath>, Failure> {
        let Some(hook) = &self.options.pre_build_hook else { return Ok(Vec::new()) };
        self.logger
            .message(Level::Chatty, format!("executing pre-build hook '{}'", hook.display()));
        let failed =
            |why: String| Failure::misc(format!("the pre-build-hook '{}' {why}", hook.display()));
        let output = Command::new(hook)
            .arg(self.print(self.drv_path))
            .arg(root)
            .stdin(std::process::Stdio::null())
            .output()
            .map_err(|e| failed(format!("cannot be run: {e}")))?;
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            self.logger.message(Level::Error, line);
        }
        if !output.status.success() {
            return Err(failed(format!("failed: {}", output.status)));
        }
        extra_paths(&String::from_utf8_lossy(&output.stdout))
            .map_err(|line| failed(format!("gave the unknown command '{line}'")))
    }

    /// Runs `post-build-hook`.
    pub(super) fn post_build_hook(&self, outputs: &BTreeMap<String, StorePath>) {
        let Some(hook) = &self.options.post_build_hook else { return };
        let activity = self.logger.start(
            ActivityKind::PostBuildHook,
            Level::Talkative,
            format!("running post-build-hook '{}'", hook.display()),
            vec![Field::Text(self.print(self.drv_path))],
            self.parent,
        );
        let paths: Vec<String> = outputs.values().map(|p| self.print(p)).collect();
        let output = Command::new(hook)
            .env("DRV_PATH", self.print(self.drv_path))
            .env("OUT_PATHS", paths.join(" "))
            .stdin(std::process::Stdio::null())
            .output();
        match output {
            Ok(output) => {
                let text = [output.stdout, output.stderr].concat();
                for line in String::from_utf8_lossy(&text).lines() {
                    activity.report(firn_event::Report::BuildLogLine(line.to_owned()));
                }
                if !output.status.success() {
                    self.logger.warn(format!(
                        "the post-build-hook '{}' failed: {}",
                        hook.display(),
                        output.status
                    ));
                }
            }
            Err(e) => self
                .logger
                .warn(format!("the post-build-hook '{}' cannot be run: {e}", hook.display())),
        }
    }
}

/// What a hook says before a build: commands, of which there is one, with a list of paths up to an empty line.
fn extra_paths(text: &str) -> Result<Vec<SandboxPath>, &str> {
    let mut paths = Vec::new();
    let mut lines = text.lines();
    while let Some(command) = lines.next() {
        if !matches!(command, "extra-sandbox-paths" | "extra-chroot-dirs") {
            return Err(command);
        }
        paths.extend(lines.by_ref().take_while(|line| !line.is_empty()).map(|line| {
            let (target, source) = line.split_once('=').unwrap_or((line, line));
            let (target, source) = (target.into(), source.into());
            SandboxPath { target, source, optional: false, read_only: false }
        }));
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_name_paths_up_to_an_empty_line() {
        let text = "extra-sandbox-paths\n/a\n/b=/c?\n\nextra-chroot-dirs\n/d\n";
        let paths = extra_paths(text).unwrap();
        let shown: Vec<_> = paths.iter().map(|p| (p.target.to_str(), p.source.to_str())).collect();
        let both = |a, b| (Some(a), Some(b));
        assert_eq!(shown, [both("/a", "/a"), both("/b", "/c?"), both("/d", "/d")]);
        assert!(extra_paths("").unwrap().is_empty());
        assert_eq!(extra_paths("extra-sandbox-paths\n/a\n\nrm -rf\n"), Err("rm -rf"));
    }
}
