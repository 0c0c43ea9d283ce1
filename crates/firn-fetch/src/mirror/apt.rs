//! The archives that apt is set up to use: one-line (`*.list`) and deb822 (`*.sources`) files, as
//! `sources.list(5)` defines them.

use std::path::Path;

/// The base URLs of all enabled binary archives below `etc_apt`, without a slash at the end.
pub(super) fn archives(etc_apt: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |uri: &str| {
        let uri = uri.trim_end_matches('/');
        let usable = ["http://", "https://", "file:/"].iter().any(|s| uri.starts_with(s));
        if usable && !found.iter().any(|have| have == uri) {
            found.push(uri.to_owned());
        }
    };
    if let Ok(text) = std::fs::read_to_string(etc_apt.join("sources.list")) {
        one_line(&text, &mut add);
    }
    let mut files: Vec<_> = std::fs::read_dir(etc_apt.join("sources.list.d"))
        .map(|entries| entries.filter_map(Result::ok).map(|e| e.path()).collect())
        .unwrap_or_default();
    files.sort();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|e| e.to_str()) {
            Some("list") => one_line(&text, &mut add),
            Some("sources") => deb822(&text, &mut add),
            _ => {}
        }
    }
    found
}

/// Mirrors from the list that the distribution's own tools bring along, if they are installed.
pub(super) fn known_mirrors() -> Vec<String> {
    let list = std::fs::read_to_string("/usr/share/python-apt/templates/Debian.mirrors");
    list.unwrap_or_default()
        .lines()
        .filter(|line| line.starts_with("http"))
        .map(|line| line.trim().trim_end_matches('/').to_owned())
        .filter(|line| line.ends_with("/debian"))
        .take(3)
        .collect()
}

fn one_line(text: &str, add: &mut dyn FnMut(&str)) {
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let Some(rest) = line.strip_prefix("deb").filter(|r| r.starts_with([' ', '\t'])) else {
            continue;
        };
        let rest = rest.trim_start();
        let rest = match rest.strip_prefix('[') {
            Some(options) => options.split_once(']').map_or("", |(_, rest)| rest),
            None => rest,
        };
        if let Some(uri) = rest.split_whitespace().next() {
            add(uri);
        }
    }
}

fn deb822(text: &str, add: &mut dyn FnMut(&str)) {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            let get = |name: &str| {
                fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
            };
            let enabled = get("Enabled").is_none_or(|v| !matches!(v.trim(), "no" | "false" | "0"));
            let binary = get("Types").is_some_and(|v| v.split_whitespace().any(|t| t == "deb"));
            if enabled && binary {
                get("URIs").unwrap_or_default().split_whitespace().for_each(&mut *add);
            }
            fields.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_formats_and_skips_what_is_off() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("sources.list"),
            "deb [arch=amd64 signed-by=/x y] http://one.example/debian/ stable main # note\n\
             deb-src http://src.example/debian stable main\n# deb http://off.example/debian x y\n",
        )
        .unwrap();
        let d = dir.path().join("sources.list.d");
        std::fs::create_dir(&d).unwrap();
        std::fs::write(
            d.join("a.sources"),
            "Types: deb deb-src\n# URIs: http://comment.example/debian\nURIs: http://two.example/debian\n http://three.example/debian\nSuites: x\n\nTypes: deb\nEnabled: no\nURIs: http://off.example/debian\n",
        )
        .unwrap();
        std::fs::write(d.join("b.disabled"), "deb http://off.example/debian x y").unwrap();
        assert_eq!(
            archives(dir.path()),
            [
                "http://one.example/debian",
                "http://two.example/debian",
                "http://three.example/debian"
            ]
        );
    }
}
