//! Programs of the user that are run after builds.

use std::collections::BTreeMap;
use std::process::Command;

use firn_event::{ActivityKind, Field, Level};
use firn_model::store_path::StorePath;

use super::Job;

impl Job<'_> {
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
