//! The registry that npm is set up to use.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Base URLs from npm's environment variable, its files, or npm itself, in this order.
pub(super) fn registries() -> Vec<String> {
    for variable in ["npm_config_registry", "NPM_CONFIG_REGISTRY"] {
        if let Ok(url) = std::env::var(variable)
            && let Some(url) = clean(&url)
        {
            return vec![url];
        }
    }
    let home = std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".npmrc"));
    for file in home.into_iter().chain([PathBuf::from("/etc/npmrc")]) {
        if let Some(url) = std::fs::read_to_string(file).ok().and_then(|text| from_npmrc(&text)) {
            return vec![url];
        }
    }
    // npm knows its compiled-in default, which nothing else on the host does.
    let asked = Command::new("npm")
        .args(["config", "get", "registry"])
        // It would leave a log file behind for each question.
        .env("npm_config_logs_max", "0")
        .env("npm_config_update_notifier", "false")
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    match asked {
        Ok(output) if output.status.success() => {
            clean(&String::from_utf8_lossy(&output.stdout)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn from_npmrc(text: &str) -> Option<String> {
    text.lines()
        .filter_map(|line| line.trim().split_once('='))
        .filter(|(key, _)| key.trim() == "registry")
        .filter_map(|(_, value)| clean(value))
        .next_back()
}

fn clean(url: &str) -> Option<String> {
    let url = url.trim().trim_matches(['"', '\'']).trim_end_matches('/');
    (url.starts_with("https://") || url.starts_with("http://")).then(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::from_npmrc;

    #[test]
    fn the_last_registry_line_counts() {
        let text = "; c\nregistry = \"https://one.example/npm/\"\nregistry=https://two.example/\n@x:registry=https://no.example\n";
        assert_eq!(from_npmrc(text).as_deref(), Some("https://two.example"));
        assert_eq!(from_npmrc("registry=undefined"), None);
    }
}
