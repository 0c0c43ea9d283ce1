//! Where Cargo on this host gets crates from: the index that it uses says it in `config.json` (The Cargo Book,
//! "Registry Index", "Index Configuration").

use std::path::{Path, PathBuf};

/// The URL patterns (`dl`) of the registries that Cargo has used here, the one used last first.
pub(super) fn downloads() -> Vec<String> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    home.map(|home| in_index(&home.join("registry/index"))).unwrap_or_default()
}

fn in_index(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("config.json"))
        .filter_map(|file| {
            let changed = file.metadata().and_then(|meta| meta.modified()).ok()?;
            let text = std::fs::read(&file).ok()?;
            let config: serde_json::Value = serde_json::from_slice(&text).ok()?;
            let url = config.get("dl")?.as_str()?;
            url.starts_with("http").then(|| (changed, url.to_owned()))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, url)| url).collect()
}

/// The URL of a crate by Cargo's pattern, in which markers may stand for its name and version; `file` is
/// `NAME/NAME-VERSION.crate`.
pub(super) fn expand(pattern: &str, file: &str) -> Option<String> {
    let (name, rest) = file.split_once('/')?;
    let version = rest.strip_prefix(name)?.strip_prefix('-')?.strip_suffix(".crate")?;
    let markers = ["{crate}", "{version}", "{prefix}", "{lowerprefix}", "{sha256-checksum}"];
    if !markers.iter().any(|marker| pattern.contains(marker)) {
        return Some(format!("{}/{name}/{version}/download", pattern.trim_end_matches('/')));
    }
    // what the index alone knows
    if pattern.contains("{sha256-checksum}") {
        return None;
    }
    let prefix = match name.len() {
        0 => return None,
        1 => "1".to_owned(),
        2 => "2".to_owned(),
        3 => format!("3/{}", name.get(..1)?),
        _ => format!("{}/{}", name.get(..2)?, name.get(2..4)?),
    };
    Some(
        pattern
            .replace("{crate}", name)
            .replace("{version}", version)
            .replace("{lowerprefix}", &prefix.to_lowercase())
            .replace("{prefix}", &prefix),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_filled_in() {
        let file = "Serde-x/Serde-x-1.0.0-rc.1.crate";
        let of = |pattern| expand(pattern, file);
        assert_eq!(
            of("https://r.example/api/crates").as_deref(),
            Some("https://r.example/api/crates/Serde-x/1.0.0-rc.1/download")
        );
        assert_eq!(
            of("https://r.example/{prefix}/{lowerprefix}/{crate}-{version}.crate").as_deref(),
            Some("https://r.example/Se/rd/se/rd/Serde-x-1.0.0-rc.1.crate")
        );
        assert_eq!(of("https://r.example/{sha256-checksum}"), None);
        assert_eq!(expand("https://r.example", "a/b-1.crate"), None);
    }

    #[test]
    fn the_registry_used_last_is_first() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text, age) in [
            ("old-1", r#"{"dl": "https://old.example", "api": null}"#, 100),
            ("new-1", r#"{"dl": "https://new.example"}"#, 10),
            ("bad-1", "{", 0),
            ("file-1", r#"{"dl": "file:///x"}"#, 0),
        ] {
            let file = dir.path().join(name).join("config.json");
            std::fs::create_dir(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
            let time = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
            std::fs::File::open(&file).unwrap().set_modified(time).unwrap();
        }
        assert_eq!(in_index(dir.path()), ["https://new.example", "https://old.example"]);
        assert!(in_index(&dir.path().join("none")).is_empty());
    }
}
