//! `nix flake show`: the outputs of a flake, with what is known of their kinds.

use std::borrow::Cow;

use firn_eval::position::PosId;
use firn_eval::{Value, Vm, packages};
use firn_event::Logger;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::{attributes, get, reference};
use crate::commands::nix::call::{Call, Stop};
use crate::commands::nix::flakes::outputs;
use crate::common::legacy::Outcome;

/// The flags that show more.
const ALL_SYSTEMS: Cow<'static, str> = Cow::Borrowed("--all-systems");
const LEGACY: Cow<'static, str> = Cow::Borrowed("--legacy");

/// An output or a set of outputs.
#[derive(Serialize, Deserialize)]
enum Node {
    Branch(Vec<(String, Node)>),
    /// Something, in words and in JSON.
    Leaf(String, Json),
    /// Something that was not evaluated, because of this flag.
    Omitted(Cow<'static, str>),
    /// Something that does not evaluate.
    Failed,
    /// Something that should be a derivation and is none.
    Other,
    /// A set whose outputs could not be looked at to the end: those before, with the one that failed if that is a set,
    /// and whether that one is the last.
    Cut(Vec<(String, Node)>, bool),
    /// Something that would have to be built first.
    Built,
}

/// How outputs are looked at.
struct Options {
    all_systems: bool,
    legacy: bool,
    system: String,
    /// What was seen of the set in which something failed.
    cut: Mutex<Option<Node>>,
}

/// `nix flake show`.
pub fn run(call: &mut Call<'_>) -> Outcome {
    let wanted = reference(call)?;
    let session = call.session()?;
    let options = Options {
        all_systems: call.given.has("all-systems"),
        legacy: call.given.has("legacy"),
        system: session.eval_settings(true).system,
        cut: Mutex::default(),
    };
    if !call.common.settings.overridden().any(|(n, _)| n == "allow-import-from-derivation") {
        // what would have to be built first is left out
        call.common.settings.set("allow-import-from-derivation", "false")?;
    }
    let locking = call.locking(&session)?;
    let question = format!("show {wanted:?} {} {}", options.all_systems, options.legacy);
    // what was seen before an error is shown, too
    let mut before = None;
    let answer = call.evaluate_cached(&session, false, &question, |vm, _| {
        let locked = &locking.lock(vm, &wanted)?;
        let url = locked.flake.url()?;
        let before = before.insert((url.clone(), Node::Cut(Vec::new(), false)));
        let value = outputs(vm, locked)?;
        let root = branch(vm, &options, &mut Vec::new(), value);
        if let Some(cut) = options.cut.lock().take() {
            before.1 = cut;
        }
        Ok((url, root?))
    });
    let json = call.given.has("json");
    let ((url, root), error) = match (answer, before) {
        (Ok(answer), _) => (answer, None),
        (Err(error), Some(before)) if !json => (before, Some(error)),
        (Err(error), _) => return Err(error),
    };
    warn(&root, &mut Vec::new(), &call.common.logger());
    if json {
        return call.print_json(&to_json(&root));
    }
    let colours =
        rustix::termios::isatty(std::io::stdout()) && std::env::var_os("NO_COLOR").is_none();
    let style = Style { colours };
    writeln!(call.out, "{}", style.bold(&url))?;
    print(call.out, &root, "", &style)?;
    error.map_or(Ok(()), Err)
}

/// Warns of what should be derivations and is none.
fn warn(node: &Node, path: &mut Vec<String>, logger: &Logger) {
    match node {
        Node::Branch(children) | Node::Cut(children, _) => {
            for (name, child) in children {
                path.push(name.clone());
                warn(child, path, logger);
                path.pop();
            }
        }
        Node::Other => logger.warn(format!("{}.name is not a derivation", path.join("."))),
        Node::Leaf(..) | Node::Omitted(_) | Node::Failed | Node::Built => {}
    }
}

fn is_empty(node: &Node) -> bool {
    matches!(node, Node::Branch(children) if children.is_empty())
}

fn branch(
    vm: &mut Vm,
    options: &Options,
    path: &mut Vec<String>,
    value: Value,
) -> Result<Node, Stop> {
    let mut children = Vec::new();
    let value = match vm.force(value, PosId::NONE) {
        Ok(value) => value,
        Err(error) => {
            *options.cut.lock() = Some(Node::Cut(children, false));
            return Err(error.into());
        }
    };
    let all = attributes(vm, value);
    let count = all.len();
    for (number, (name, value)) in all.into_iter().enumerate() {
        path.push(name.clone());
        let node = look(vm, options, path, value);
        path.pop();
        match node {
            Ok(node) if is_empty(&node) => {}
            Ok(node) => children.push((name, node)),
            Err(error) => {
                let inner = options.cut.lock().take();
                let last = inner.is_some() && number + 1 == count;
                children.extend(inner.map(|node| (name, node)));
                *options.cut.lock() = Some(Node::Cut(children, last));
                return Err(error);
            }
        }
    }
    Ok(Node::Branch(children))
}

fn look(
    vm: &mut Vm,
    options: &Options,
    path: &mut Vec<String>,
    value: Value,
) -> Result<Node, Stop> {
    match look_at(vm, options, path, value) {
        Err(Stop::Eval(e)) if e.kind() == firn_eval::Kind::ImportFromDerivation => {
            options.cut.lock().take();
            Ok(Node::Built)
        }
        other => other,
    }
}

fn look_at(
    vm: &mut Vm,
    options: &Options,
    path: &mut Vec<String>,
    value: Value,
) -> Result<Node, Stop> {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    let foreign = |system: &str| !options.all_systems && system != options.system;
    match words[..] {
        [
            "defaultPackage"
            | "devShell"
            | "formatter"
            | "nixosConfigurations"
            | "nixosModules"
            | "defaultApp"
            | "templates"
            | "defaultTemplate"
            | "overlays"
            | "checks"
            | "packages"
            | "devShells"
            | "apps"
            | "hydraJobs"
            | "legacyPackages"
            | "nixosModule"
            | "overlay",
        ] => match words[0] {
            "overlay" => leaf("Nixpkgs overlay", "nixpkgs-overlay"),
            "nixosModule" => leaf("NixOS module", "nixos-module"),
            "defaultTemplate" => template(vm, value),
            _ => branch(vm, options, path, value),
        },
        ["packages" | "checks" | "devShells", system] if foreign(system) => {
            let children = names_only(vm, value)?;
            Ok(Node::Branch(children))
        }
        ["packages" | "checks" | "devShells" | "apps", _] => branch(vm, options, path, value),
        ["defaultPackage" | "devShell" | "formatter", system] if foreign(system) => {
            Ok(Node::Omitted(ALL_SYSTEMS))
        }
        ["defaultPackage" | "devShell" | "formatter", _]
        | ["packages" | "checks" | "devShells", _, _] => derivation(vm, words[0], value),
        ["hydraJobs", ..] => {
            let value = vm.force(value, PosId::NONE)?;
            match value.as_set() {
                Some(set) if vm.is_derivation(set)? => derivation(vm, words[0], value),
                _ => branch(vm, options, path, value),
            }
        }
        ["legacyPackages", system] if foreign(system) => Ok(Node::Omitted(ALL_SYSTEMS)),
        ["legacyPackages", _] if !options.legacy => {
            let value = vm.force(value, PosId::NONE)?;
            match value.as_set() {
                Some(set) if set.is_empty() => Ok(Node::Branch(Vec::new())),
                _ => Ok(Node::Omitted(LEGACY)),
            }
        }
        ["legacyPackages", ..] => legacy(vm, options, path, value),
        ["apps", _, _] | ["defaultApp", _] => {
            let app = vm.force(value, PosId::NONE)?;
            let kind = match get(app, "type") {
                Some(kind) => vm.force(kind, PosId::NONE)?.as_str(),
                None => None,
            };
            if kind.is_none_or(|kind| kind.bytes() != b"app") {
                return Err(firn_eval::Error::other("not an app definition").into());
            }
            let description = describe(vm, get(app, "meta"))?;
            let said = description.as_deref().unwrap_or("no description").to_owned();
            let json = match description {
                Some(d) => json!({ "description": d, "type": "app" }),
                None => json!({ "type": "app" }),
            };
            Ok(Node::Leaf(format!("app: {said}"), json))
        }
        ["templates", _] => template(vm, value),
        ["nixosConfigurations", _] => leaf("NixOS configuration", "nixos-configuration"),
        ["nixosModules", _] => leaf("NixOS module", "nixos-module"),
        ["overlays", _] => leaf("Nixpkgs overlay", "nixpkgs-overlay"),
        _ => Ok(Node::Leaf("unknown".into(), json!({ "type": "unknown" }))),
    }
}

fn leaf(words: &str, kind: &str) -> Result<Node, Stop> {
    Ok(Node::Leaf(words.to_owned(), json!({ "type": kind })))
}

/// What is there for another system, without evaluating it.
fn names_only(vm: &mut Vm, value: Value) -> Result<Vec<(String, Node)>, Stop> {
    let value = vm.force(value, PosId::NONE)?;
    Ok(attributes(vm, value)
        .into_iter()
        .map(|(name, _)| (name, Node::Omitted(ALL_SYSTEMS)))
        .collect())
}

fn describe(vm: &mut Vm, meta: Option<Value>) -> Result<Option<String>, Stop> {
    let Some(meta) = meta else { return Ok(None) };
    let meta = vm.force(meta, PosId::NONE)?;
    let Some(text) = get(meta, "description") else { return Ok(None) };
    let text = vm.force(text, PosId::NONE)?;
    Ok(text.as_str().map(|s| String::from_utf8_lossy(s.bytes()).into_owned()))
}

fn derivation(vm: &mut Vm, family: &str, value: Value) -> Result<Node, Stop> {
    let value = vm.force(value, PosId::NONE)?;
    let set = match value.as_set() {
        Some(set) if vm.is_derivation(set)? => set,
        // the others are worth showing
        _ => return Ok(Node::Other),
    };
    let package = packages::Package { attrs: set };
    let name = package.name(vm)?;
    let description = describe(vm, get(value, "meta"))?;
    let kind = match family {
        "devShell" | "devShells" => "development environment",
        "checks" => "derivation",
        "formatter" | "hydraJobs" if family == "hydraJobs" => "derivation",
        _ => "package",
    };
    let said = format!("{kind} '{name}'");
    let json = json!({ "description": description.unwrap_or_default(), "name": name, "type": "derivation" });
    Ok(Node::Leaf(said, json))
}

fn legacy(
    vm: &mut Vm,
    options: &Options,
    path: &mut Vec<String>,
    value: Value,
) -> Result<Node, Stop> {
    let value = match vm.force(value, PosId::NONE) {
        Ok(value) => value,
        // some packages of a large set never evaluate
        Err(_) if path.len() > 2 => return Ok(Node::Failed),
        Err(e) => return Err(e.into()),
    };
    let Some(set) = value.as_set() else { return Ok(Node::Branch(Vec::new())) };
    if vm.is_derivation(set)? {
        return derivation(vm, "legacyPackages", value);
    }
    let recurse = match get(value, "recurseForDerivations") {
        Some(v) => vm.force(v, PosId::NONE)?.as_bool() == Some(true),
        None => false,
    };
    if path.len() <= 2 || recurse {
        branch(vm, options, path, value)
    } else {
        Ok(Node::Branch(Vec::new()))
    }
}

fn template(vm: &mut Vm, value: Value) -> Result<Node, Stop> {
    let value = vm.force(value, PosId::NONE)?;
    let description = match get(value, "description") {
        Some(text) => {
            let text = vm.force(text, PosId::NONE)?;
            text.as_str().map(|s| String::from_utf8_lossy(s.bytes()).into_owned())
        }
        None => None,
    }
    .unwrap_or_default();
    let json = json!({ "description": description, "type": "template" });
    Ok(Node::Leaf(format!("template: {description}"), json))
}

fn to_json(node: &Node) -> Json {
    match node {
        Node::Branch(children) | Node::Cut(children, _) => children
            .iter()
            .map(|(name, n)| (name.clone(), to_json(n)))
            .collect::<Map<_, _>>()
            .into(),
        Node::Leaf(_, json) => json.clone(),
        Node::Omitted(_) | Node::Failed | Node::Other | Node::Built => json!({}),
    }
}

struct Style {
    colours: bool,
}

impl Style {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }
}

fn print(out: &mut dyn std::io::Write, node: &Node, prefix: &str, style: &Style) -> Outcome {
    let (children, ends) = match node {
        Node::Branch(children) => (children, true),
        Node::Cut(children, ends) => (children, *ends),
        _ => return Ok(()),
    };
    for (n, (name, child)) in children.iter().enumerate() {
        let last = ends && n + 1 == children.len();
        let branch =
            style.paint("32;1", &format!("{prefix}{}", if last { "└───" } else { "├───" }));
        let name = style.bold(name);
        match child {
            Node::Branch(_) | Node::Cut(..) => {
                writeln!(out, "{branch}{name}")?;
                let prefix = format!("{prefix}{}", if last { "    " } else { "│   " });
                print(out, child, &prefix, style)?;
            }
            Node::Leaf(said, json) => {
                let unknown = json.get("type").is_some_and(|t| t == "unknown");
                let said = if unknown { style.paint("35;1", said) } else { said.clone() };
                writeln!(out, "{branch}{name}: {said}")?;
            }
            Node::Failed | Node::Other => {}
            Node::Built => {
                let said = style.paint("35;1", "omitted due to use of import from derivation");
                writeln!(out, "{branch}{name} {said}")?;
            }
            Node::Omitted(flag) => {
                let said = style.paint("35;1", "omitted");
                writeln!(out, "{branch}{name} {said} (use '{flag}' to show)")?;
            }
        }
    }
    Ok(())
}
