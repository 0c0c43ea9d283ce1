//! `flake.lock`: the graph of a flake's inputs, each fixed to one content. Defined in the Nix manual, "nix
//! flake", "Lock files"; version 7 is written, 5 to 7 are read.

use std::collections::{BTreeMap, BTreeSet};

use firn_eval::{Error, Result};
use firn_model::input::{Attr, Attrs, FlakeRef};
use serde_json::{Map, Value};

use crate::{enabled, input_error, is_relative};

/// The way from the root to an input, by names.
pub type InputPath = Vec<String>;

/// Where an input leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edge {
    /// To a node of its own.
    Node(usize),
    /// To where another input leads.
    Follows(InputPath),
}

/// A flake or tree in the graph.
#[derive(Debug, Clone, Default)]
pub struct Node {
    /// Its inputs.
    pub inputs: BTreeMap<String, Edge>,
    /// What it is; the root is not locked.
    pub lock: Option<Lock>,
}

/// What an input is fixed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The one content.
    pub locked: FlakeRef,
    /// As `flake.nix` has it.
    pub original: FlakeRef,
    /// Whether it is a flake and not just a tree.
    pub is_flake: bool,
    /// The input that a relative path is relative to.
    pub parent: Option<InputPath>,
}

/// A lock file: nodes, the first of which is the root.
#[derive(Debug, Clone)]
pub struct LockFile {
    /// The nodes.
    pub nodes: Vec<Node>,
}

impl Default for LockFile {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

/// The input path that a text with slashes means.
///
/// # Errors
/// If a part of it is no input's name.
pub fn parse_input_path(text: &str) -> Result<InputPath> {
    let parts: InputPath = text.split('/').filter(|p| !p.is_empty()).map(str::to_owned).collect();
    for part in &parts {
        let mut chars = part.chars();
        let good = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && chars.all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
        if !good {
            return Err(Error::other(format!(
                "invalid flake input attribute path element '{part}'"
            )));
        }
    }
    Ok(parts)
}

impl LockFile {
    /// Reads the text of a lock file; `shown` is its name in errors.
    ///
    /// # Errors
    /// If it is not JSON, of another version, or not what lock files are.
    pub fn parse(text: &str, shown: &str) -> Result<Self> {
        let json: Value = serde_json::from_str(text)
            .map_err(|e| Error::other(format!("Could not parse '{shown}': {e}")))?;
        let version = json.get("version").and_then(Value::as_u64).unwrap_or(0);
        if !(5..=7).contains(&version) {
            return Err(Error::other(format!(
                "lock file '{shown}' has unsupported version {version}"
            )));
        }
        let bad = |what: &str| Error::other(format!("lock file '{shown}' is damaged: {what}"));
        let root = json.get("root").and_then(Value::as_str).ok_or_else(|| bad("it has no root"))?;
        let nodes =
            json.get("nodes").and_then(Value::as_object).ok_or_else(|| bad("it has no nodes"))?;
        let mut reader =
            Reader { nodes, file: Self::default(), by_key: [(root.to_owned(), 0)].into() };
        let node = nodes.get(root).ok_or_else(|| bad("its root is missing"))?;
        reader.inputs(0, node, 0).map_err(|e| e.context(format!("while reading '{shown}'")))?;
        Ok(reader.file)
    }

    /// The file as JSON, and the name that each node has in it.
    #[must_use]
    pub fn to_json(&self) -> (Value, Vec<Option<String>>) {
        let mut writer = Writer {
            file: self,
            keys: vec![None; self.nodes.len()],
            taken: BTreeSet::new(),
            nodes: Map::new(),
        };
        let root = writer.node("root", 0);
        let Writer { mut nodes, keys, .. } = writer;
        nodes.sort_keys();
        let mut json = Map::new();
        json.insert("nodes".into(), nodes.into());
        json.insert("root".into(), root.into());
        json.insert("version".into(), 7.into());
        (json.into(), keys)
    }

    /// The text of the file, without the newline at its end.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(&self.to_json().0).unwrap_or_default()
    }

    /// The node at an input path; `None` if there is none.
    ///
    /// # Errors
    /// If inputs follow each other in a circle.
    pub fn find(&self, path: &[String]) -> Result<Option<usize>> {
        self.find_from(path, &mut Vec::new())
    }

    fn find_from(&self, path: &[String], visited: &mut Vec<InputPath>) -> Result<Option<usize>> {
        if let Some(at) = visited.iter().position(|v| v == path) {
            let cycle: Vec<String> = visited[at..]
                .iter()
                .map(Vec::as_slice)
                .chain([path])
                .map(|p| p.join("/"))
                .collect();
            return Err(Error::other(format!("follow cycle detected: [{}]", cycle.join(" -> "))));
        }
        visited.push(path.to_vec());
        let mut at = 0;
        for step in path {
            match self.nodes[at].inputs.get(step) {
                Some(Edge::Node(next)) => at = *next,
                Some(Edge::Follows(target)) => match self.find_from(target, visited)? {
                    Some(next) => at = next,
                    None => return Ok(None),
                },
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// All inputs with the paths that lead to them, without those behind `follows`.
    #[must_use]
    pub fn all_inputs(&self) -> BTreeMap<InputPath, Edge> {
        fn visit(
            file: &LockFile,
            at: usize,
            path: &mut InputPath,
            done: &mut BTreeSet<usize>,
            found: &mut BTreeMap<InputPath, Edge>,
        ) {
            if !done.insert(at) {
                return;
            }
            for (name, edge) in &file.nodes[at].inputs {
                path.push(name.clone());
                found.insert(path.clone(), edge.clone());
                if let Edge::Node(next) = edge {
                    visit(file, *next, path, done, found);
                }
                path.pop();
            }
        }
        let mut found = BTreeMap::new();
        visit(self, 0, &mut Vec::new(), &mut BTreeSet::new(), &mut found);
        found
    }

    /// Checks that every `follows` leads somewhere.
    ///
    /// # Errors
    /// If one does not.
    pub fn check(&self) -> Result<()> {
        let inputs = self.all_inputs();
        for (path, edge) in &inputs {
            let Edge::Follows(target) = edge else { continue };
            if !target.is_empty() && self.find(target)?.is_none() {
                return Err(Error::other(format!(
                    "input '{}' follows a non-existent input '{}'",
                    path.join("/"),
                    target.join("/")
                )));
            }
        }
        Ok(())
    }

    /// An input that is not fixed to one content, if there is one. With `dirty`, the hash of a tree is
    /// enough.
    #[must_use]
    pub fn unlocked(&self, dirty: bool) -> Option<&FlakeRef> {
        self.nodes.iter().filter_map(|n| n.lock.as_ref()).map(|l| &l.locked).find(|locked| {
            let input = &locked.input;
            let good = input.is_locked() || (dirty && input.text("narHash").is_some());
            !good && !is_relative(input)
        })
    }

    /// Warnings of entries that only the hash of their tree fixes.
    #[must_use]
    pub fn unlocked_entries(&self) -> Vec<String> {
        let locks = self.nodes.iter().filter_map(|n| n.lock.as_ref()).map(|l| &l.locked);
        locks
            .filter(|l| !l.input.is_locked() && !is_relative(&l.input))
            .map(|locked| {
                format!(
                    "Lock file entry '{}' is unlocked (e.g. lacks a Git revision) but is checked by NAR hash. \
                     This is not reproducible and will break after garbage collection or when shared.",
                    url_of(locked)
                )
            })
            .collect()
    }

    /// What has changed from `old` to this, a line or two for each input.
    #[must_use]
    pub fn diff(&self, old: &Self) -> String {
        let (before, after) = (old.all_inputs(), self.all_inputs());
        let mut out = String::new();
        let paths: BTreeSet<&InputPath> = before.keys().chain(after.keys()).collect();
        for path in paths {
            let shown = path.join("/");
            match (before.get(path), after.get(path)) {
                (None, Some(new)) => {
                    out.push_str(&format!("• Added input '{shown}':\n    {}\n", self.shown(new)));
                }
                (Some(_), None) => out.push_str(&format!("• Removed input '{shown}'\n")),
                (Some(a), Some(b)) => {
                    let (a, b) = (old.shown(a), self.shown(b));
                    if a != b {
                        out.push_str(&format!("• Updated input '{shown}':\n    {a}\n  → {b}\n"));
                    }
                }
                (None, None) => {}
            }
        }
        out
    }

    fn shown(&self, edge: &Edge) -> String {
        match edge {
            Edge::Follows(target) => format!("follows '{}'", target.join("/")),
            Edge::Node(at) => match &self.nodes[*at].lock {
                Some(lock) => format!("'{}'{}", url_of(&lock.locked), date_of(&lock.locked)),
                None => "the flake itself".to_owned(),
            },
        }
    }
}

/// Two files are equal if they say the same.
impl PartialEq for LockFile {
    fn eq(&self, other: &Self) -> bool {
        self.to_json().0 == other.to_json().0
    }
}

/// A reference as a URL for messages.
#[must_use]
pub fn url_of(reference: &FlakeRef) -> String {
    reference.to_url().map_or_else(|_| reference.input.shown(), |url| url.to_string())
}

/// ` (2026-01-31)`, if a time is known.
fn date_of(reference: &FlakeRef) -> String {
    match reference.input.int("lastModified") {
        Some(seconds) => {
            let stamp = firn_eval::builtins::utc(seconds);
            format!(" ({}-{}-{})", &stamp[..4], &stamp[4..6], &stamp[6..8])
        }
        None => String::new(),
    }
}

struct Reader<'a> {
    nodes: &'a Map<String, Value>,
    file: LockFile,
    by_key: BTreeMap<String, usize>,
}

impl Reader<'_> {
    fn inputs(&mut self, at: usize, json: &Value, depth: usize) -> Result<()> {
        /// Deeper nesting is an attack.
        const DEEPEST: usize = 1000;
        if depth > DEEPEST {
            return Err(Error::other("inputs are nested too deeply"));
        }
        let Some(inputs) = json.get("inputs").and_then(Value::as_object) else { return Ok(()) };
        for (name, target) in inputs {
            let edge = match target {
                Value::Array(steps) => {
                    let path: Option<InputPath> =
                        steps.iter().map(|s| s.as_str().map(str::to_owned)).collect();
                    Edge::Follows(path.ok_or_else(|| {
                        Error::other(format!("input '{name}' follows something that is no path"))
                    })?)
                }
                Value::String(key) => Edge::Node(self.node(key, depth)?),
                _ => return Err(Error::other(format!("input '{name}' leads nowhere"))),
            };
            self.file.nodes[at].inputs.insert(name.clone(), edge);
        }
        Ok(())
    }

    fn node(&mut self, key: &str, depth: usize) -> Result<usize> {
        match self.by_key.get(key) {
            Some(0) => return Err(Error::other("lock file contains cycle to root node")),
            Some(at) => return Ok(*at),
            None => {}
        }
        let json = self
            .nodes
            .get(key)
            .ok_or_else(|| Error::other(format!("lock file references missing node '{key}'")))?;
        let lock = read_lock(json)?;
        let at = self.file.nodes.len();
        self.file.nodes.push(Node { inputs: BTreeMap::new(), lock: Some(lock) });
        self.by_key.insert(key.to_owned(), at);
        self.inputs(at, json, depth + 1)?;
        Ok(at)
    }
}

fn read_lock(json: &Value) -> Result<Lock> {
    let reference = |name: &str| -> Result<FlakeRef> {
        let value = json
            .get(name)
            .ok_or_else(|| Error::other(format!("attribute '{name}' missing in lock file")))?;
        let mut attrs = attrs_of(value)?;
        // versions 5 and 6 have some attributes apart
        if let (Some(info), "locked") = (json.get("info"), name) {
            attrs.extend(attrs_of(info)?);
        }
        FlakeRef::from_attrs(attrs, &enabled).map_err(|e| input_error(&e))
    };
    let locked = reference("locked")?;
    if !locked.input.is_locked()
        && !is_relative(&locked.input)
        && locked.input.text("narHash").is_none()
    {
        return Err(Error::other(format!(
            "Lock file contains unlocked input '{}'. Use '--allow-dirty-locks' to accept this lock file.",
            firn_model::input::to_json(&locked.input.attrs)
        )));
    }
    let parent = match json.get("parent") {
        None | Some(Value::Null) => None,
        Some(Value::Array(steps)) => {
            Some(steps.iter().filter_map(|s| s.as_str().map(str::to_owned)).collect())
        }
        Some(_) => return Err(Error::other("attribute 'parent' of a lock is no path")),
    };
    Ok(Lock {
        locked,
        original: reference("original")?,
        is_flake: json.get("flake").and_then(Value::as_bool).unwrap_or(true),
        parent,
    })
}

/// Attributes from JSON.
///
/// # Errors
/// If they are not strings, numbers and Booleans.
pub fn attrs_of(value: &Value) -> Result<Attrs> {
    let Some(map) = value.as_object() else {
        return Err(Error::other("a flake reference in JSON must be an object"));
    };
    let mut attrs = Attrs::new();
    for (name, value) in map {
        let value = match value {
            Value::String(text) => Attr::String(text.clone()),
            Value::Bool(b) => Attr::Bool(*b),
            Value::Number(n) if n.as_u64().is_some() => Attr::Int(n.as_u64().unwrap_or(0)),
            _ => {
                return Err(Error::other(format!(
                    "unsupported input attribute type in lock file: '{name}'"
                )));
            }
        };
        attrs.insert(name.clone(), value);
    }
    Ok(attrs)
}

/// Attributes as JSON, in the order of their names.
#[must_use]
pub fn json_of(attrs: &Attrs) -> Value {
    let mut map = Map::new();
    for (name, value) in attrs {
        let value = match value {
            Attr::String(text) => Value::from(text.as_str()),
            Attr::Int(n) => Value::from(*n),
            Attr::Bool(b) => Value::from(*b),
        };
        map.insert(name.clone(), value);
    }
    map.into()
}

struct Writer<'a> {
    file: &'a LockFile,
    keys: Vec<Option<String>>,
    taken: BTreeSet<String>,
    nodes: Map<String, Value>,
}

impl Writer<'_> {
    fn node(&mut self, name: &str, at: usize) -> String {
        if let Some(key) = &self.keys[at] {
            return key.clone();
        }
        let mut key = name.to_owned();
        let mut n = 2;
        while !self.taken.insert(key.clone()) {
            key = format!("{name}_{n}");
            n += 1;
        }
        self.keys[at] = Some(key.clone());
        let node = &self.file.nodes[at];
        let mut json = Map::new();
        if let Some(lock) = &node.lock
            && !lock.is_flake
        {
            json.insert("flake".into(), false.into());
        }
        if !node.inputs.is_empty() {
            let mut inputs = Map::new();
            for (name, edge) in &node.inputs {
                let target = match edge {
                    Edge::Node(next) => Value::from(self.node(name, *next)),
                    Edge::Follows(path) => Value::from(path.clone()),
                };
                inputs.insert(name.clone(), target);
            }
            json.insert("inputs".into(), inputs.into());
        }
        if let Some(lock) = &node.lock {
            json.insert("locked".into(), json_of(&lock.locked.to_attrs()));
            json.insert("original".into(), json_of(&lock.original.to_attrs()));
            if let Some(parent) = &lock.parent {
                json.insert("parent".into(), parent.clone().into());
            }
        }
        self.nodes.insert(key.clone(), json.into());
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
  "nodes": {
    "a": {
      "inputs": {
        "c": "c"
      },
      "locked": {
        "lastModified": 1,
        "narHash": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "path": "/a",
        "type": "path"
      },
      "original": {
        "path": "/a",
        "type": "path"
      }
    },
    "c": {
      "flake": false,
      "locked": {
        "path": "./c",
        "type": "path"
      },
      "original": {
        "path": "./c",
        "type": "path"
      },
      "parent": [
        "a"
      ]
    },
    "root": {
      "inputs": {
        "a": "a",
        "b": [
          "a",
          "c"
        ]
      }
    }
  },
  "root": "root",
  "version": 7
}"#;

    #[test]
    fn what_is_read_is_written_again() {
        let file = LockFile::parse(TEXT, "flake.lock").unwrap();
        assert_eq!(file.text(), TEXT);
        let path = |p: &str| parse_input_path(p).unwrap();
        assert_eq!(file.find(&path("b")).unwrap(), file.find(&path("a/c")).unwrap());
        assert_eq!(file.find(&path("a/d")).unwrap(), None);
        file.check().unwrap();
    }

    #[test]
    fn circles_and_holes_are_errors() {
        let mut file = LockFile::default();
        let follows = |p: &str| Edge::Follows(vec![p.to_owned()]);
        file.nodes[0].inputs.insert("a".into(), follows("b"));
        assert_eq!(
            file.check().unwrap_err().message(),
            "input 'a' follows a non-existent input 'b'"
        );
        file.nodes[0].inputs.insert("b".into(), follows("a"));
        assert!(
            file.check().unwrap_err().message().starts_with("follow cycle detected: [b -> a -> b")
        );
    }

    #[test]
    fn damaged_files_are_told() {
        let message = |text: &str| LockFile::parse(text, "f").unwrap_err().message().to_owned();
        assert!(message("{").starts_with("Could not parse 'f'"));
        assert_eq!(message("{}"), "lock file 'f' has unsupported version 0");
        let missing = r#"{"version":7,"root":"r","nodes":{"r":{"inputs":{"a":"x"}}}}"#;
        assert_eq!(message(missing), "lock file references missing node 'x'");
        let circle = r#"{"version":7,"root":"r","nodes":{"r":{"inputs":{"a":"r"}}}}"#;
        assert_eq!(message(circle), "lock file contains cycle to root node");
    }

    #[test]
    fn changes_are_listed() {
        let old = LockFile::parse(TEXT, "f").unwrap();
        let mut new = old.clone();
        new.nodes[0].inputs.remove("b");
        assert_eq!(new.diff(&old), "• Removed input 'b'\n");
        assert!(old.diff(&LockFile::default()).starts_with("• Added input 'a':\n    'path:/a?"));
    }
}
