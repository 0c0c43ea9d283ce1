//! `nix profile`: packages in profiles, by where they come from.

mod manifest;

use std::collections::BTreeSet;
use std::path::PathBuf;

use firn_build::DerivedPath;
use firn_event::Level;
use firn_flake::lock_file::url_of;
use firn_model::StorePath;
use firn_store::profile::{self, Which, generations};

use self::manifest::{Conflict, DEFAULT_PRIORITY, Element, Manifest, Source, outputs_text};
use super::call::Call;
use super::flags::{Flag, flag, option};
use super::installables::{Installable, of_flake, of_value};
use crate::common::legacy::{Failure, Outcome, absolute, fail, usage};
use crate::common::store::AnyStore;
use crate::common::store_paths::follow_links;

/// Which profile.
pub const PROFILE: &[Flag] = &[option("profile", None, &["path"], "the profile to operate on")];
/// Flags of `nix profile add`.
pub const ADD: &[Flag] =
    &[option("priority", None, &["priority"], "the priority; a lower number wins")];
/// Which packages.
pub const MATCH: &[Flag] = &[
    flag("all", None, "all packages of the profile"),
    option("regex", None, &["pattern"], "packages that match a regular expression"),
];
/// Of commands that change the past.
pub const DRY: &[Flag] = &[flag("dry-run", None, "tell what would be done, and do nothing")];
/// Flags of `nix profile rollback`.
pub const ROLLBACK: &[Flag] = &[option("to", None, &["version"], "the version to go back to")];
/// Flags of `nix profile wipe-history`.
pub const WIPE: &[Flag] =
    &[option("older-than", None, &["age"], "only versions older than this, as in '30d'")];

impl Call<'_> {
    /// The profile that is meant.
    fn profile(&mut self) -> Outcome<PathBuf> {
        if let Some(path) = self.given.value("profile") {
            return absolute(path);
        }
        let store = self.store()?;
        let xdg = self.common.settings.bool("use-xdg-base-directories");
        Ok(profile::default_profile(store.layout(), &self.common.env, xdg)?)
    }

    fn warn(&self, text: impl Into<String>) {
        self.common.logger().warn(text.into());
    }

    fn replace(&mut self, profile: &std::path::Path, path: &StorePath) -> Outcome {
        let store = self.store()?;
        profile::set(&*store, profile, path)?;
        Ok(())
    }
}

/// What an installable stands for, before it is built.
struct Asked {
    wanted: Vec<DerivedPath>,
    source: Option<Source>,
    priority: i64,
}

fn ask(call: &mut Call<'_>, items: &[Installable]) -> Outcome<Vec<Asked>> {
    let session = call.session()?;
    let root = call.root(&session)?;
    call.evaluate(&session, false, |vm, args| {
        let mut values = root.values(args);
        let mut all = Vec::new();
        for item in items {
            if let Installable::Store(path) = item {
                let priority = DEFAULT_PRIORITY;
                all.push(Asked { wanted: vec![path.clone()], source: None, priority });
                continue;
            }
            let found = values.get(vm, item)?;
            let outputs = item.outputs();
            let wanted = match item {
                Installable::Flake { .. } => of_flake(vm, found.value, args, outputs)?,
                _ => of_value(vm, found.value, args, outputs)?,
            };
            let mut priority = DEFAULT_PRIORITY;
            if let Some(attrs) = found.value.as_set() {
                let package = firn_eval::packages::Package { attrs };
                if let Some(value) = package.meta(vm, "priority")?
                    && let firn_eval::View::Int(n) = value.view()
                {
                    priority = n;
                }
            }
            let source = match item {
                Installable::Flake { reference, .. } => Some(Source {
                    original: reference.clone(),
                    locked: match found.flake {
                        Some(flake) => flake.settled()?,
                        None => reference.clone(),
                    },
                    attr: found.attr,
                    outputs: outputs.cloned(),
                }),
                _ => None,
            };
            all.push(Asked { wanted, source, priority });
        }
        Ok(all)
    })
}

/// Builds what was asked for; gives the paths of each.
fn realise(call: &mut Call<'_>, asked: &[Asked]) -> Outcome<Vec<BTreeSet<StorePath>>> {
    let bench = call.bench()?;
    let all: Vec<DerivedPath> = asked.iter().flat_map(|a| a.wanted.iter().cloned()).collect();
    let results = bench
        .store
        .build(&all, &bench.options, bench.logger())
        .map_err(|e| super::realise::failure(&e))?;
    let mut outputs = results.outputs.into_iter();
    Ok(asked
        .iter()
        .map(|a| outputs.by_ref().take(a.wanted.len()).flat_map(|(_, o)| o.into_values()).collect())
        .collect())
}

/// `nix profile add`
pub fn add(call: &mut Call<'_>) -> Outcome {
    let priority = match call.given.value("priority") {
        Some(text) => match text.parse::<i64>() {
            Ok(n) => Some(n),
            Err(_) => return usage(format!("'{text}' is not an integer")),
        },
        None => None,
    };
    let profile = call.profile()?;
    let mut manifest = Manifest::read(call, &profile)?;
    let items = call.installables()?;
    let asked = ask(call, &items)?;
    let paths = realise(call, &asked)?;
    for (asked, paths) in asked.into_iter().zip(paths) {
        let priority = priority.unwrap_or(asked.priority);
        let element = Element { paths, source: asked.source, active: true, priority };
        let name = element.name();
        if let (Some(there), Some(new)) = (manifest.elements.get(&name), &element.source)
            && let Some(old) = &there.source
            && there.priority == priority
            && old.original == new.original
            && old.attr == new.attr
        {
            call.warn(format!("'{name}' is already added"));
            continue;
        }
        manifest.add(&name, element);
    }
    let store = call.store()?;
    match manifest.build(&store)? {
        Ok(path) => call.replace(&profile, &path),
        Err(conflict) => fail_with(&store, &manifest, &conflict),
    }
}

/// Tells which packages have the same file, and what can be done.
fn fail_with(store: &AnyStore, manifest: &Manifest, conflict: &Conflict) -> Outcome {
    let dir = store.store_dir();
    let (a, b) = (conflict.first.to_string_lossy(), conflict.second.to_string_lossy());
    let has = |element: &Element| {
        element.paths.iter().find_map(|path| {
            let path = dir.print(path);
            if a.starts_with(&path) {
                return Some(a.to_string());
            }
            b.starts_with(&path).then(|| b.to_string())
        })
    };
    let mut with = manifest.elements.iter().filter_map(|(name, e)| Some((name, e, has(e)?)));
    let (Some((name, _, old)), Some((_, new_element, new))) = (with.next(), {
        manifest.elements.iter().rev().find_map(|(name, e)| Some((name, e, has(e)?)))
    }) else {
        return fail(conflict.to_string());
    };
    let (new_refs, priority) = (new_element.installables(dir), conflict.priority);
    let text = format!(
        "An existing package already provides the following file:\n\n  {old:?}\n\n\
         This is the conflicting file from the new package:\n\n  {new:?}\n\n\
         To remove the existing package:\n\n  nix profile remove {name}\n\n\
         The new package can also be added next to the existing one by assigning a different priority.\n\
         The conflicting packages have a priority of {priority}.\n\
         To prioritise the new package:\n\n  nix profile add {new_refs} --priority {}\n\n\
         To prioritise the existing package:\n\n  nix profile add {new_refs} --priority {}",
        priority - 1,
        priority + 1,
    );
    firn_ui::print_error(&text);
    Err(Failure::Exit(1))
}

/// Whether a package of a profile, with its name there, is meant.
type Matches = Box<dyn Fn(&str, &Element) -> bool>;

/// The names of the packages that flags and arguments match.
fn matching(call: &mut Call<'_>, manifest: &Manifest) -> Outcome<BTreeSet<String>> {
    let mut matchers: Vec<(String, Matches)> = Vec::new();
    if call.given.has("all") {
        matchers.push(("--all".to_owned(), Box::new(|_, _| true)));
    }
    for pattern in call.given.all("regex").flatten() {
        let regex = regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
            .case_insensitive(true)
            .build()
            .map_err(|e| Failure::Usage(format!("invalid regex '{pattern}': {e}")))?;
        let title = format!("Regex '{pattern}'");
        matchers.push((title, Box::new(move |_, e| regex.is_match(&e.identifier()))));
    }
    let store = call.store()?;
    for text in &call.given.args {
        if text.parse::<u64>().is_ok() {
            return fail(format!("'nix profile' no longer supports indices ('{text}')"));
        }
        if let Ok(path) = store.store_dir().parse(text) {
            let title = format!("Store path '{}'", path.base_name());
            matchers.push((title, Box::new(move |_, e| e.paths.contains(&path))));
        } else {
            let wanted = text.clone();
            let title = format!("Package name '{text}'");
            matchers.push((title, Box::new(move |name, _| name == wanted)));
        }
    }
    if matchers.is_empty() {
        return usage("No packages specified.");
    }
    if call.given.has("all") && matchers.len() > 1 {
        return usage("--all cannot be used with package names or regular expressions.");
    }
    if manifest.elements.is_empty() {
        call.warn("There are no packages in the profile.");
        return Ok(BTreeSet::new());
    }
    let mut found = BTreeSet::new();
    for (title, matches) in &matchers {
        let names: Vec<&String> =
            manifest.elements.iter().filter(|(n, e)| matches(n, e)).map(|(n, _)| n).collect();
        if names.is_empty() {
            call.warn(format!("{title} does not match any packages in the profile."));
        }
        found.extend(names.into_iter().cloned());
    }
    Ok(found)
}

/// `nix profile remove`
pub fn remove(call: &mut Call<'_>) -> Outcome {
    let profile = call.profile()?;
    let old = Manifest::read(call, &profile)?;
    let names = matching(call, &old)?;
    if names.is_empty() {
        call.warn("No packages to remove. Use 'nix profile list' to see the current profile.");
        return Ok(());
    }
    let mut new = old.clone();
    for name in &names {
        if let Some(element) = new.elements.remove(name) {
            call.say(Level::Notice, format!("removing '{}'", element.identifier()));
        }
    }
    let kept = new.elements.len();
    call.say(Level::Info, format!("removed {} packages, kept {kept} packages", names.len()));
    let store = call.store()?;
    match new.build(&store)? {
        Ok(path) => call.replace(&profile, &path),
        Err(conflict) => fail(conflict.to_string()),
    }
}

/// `nix profile upgrade`
pub fn upgrade(call: &mut Call<'_>) -> Outcome {
    let profile = call.profile()?;
    let mut manifest = Manifest::read(call, &profile)?;
    let names = matching(call, &manifest)?;
    if names.is_empty() {
        call.warn("No packages to upgrade. Use 'nix profile list' to see the current profile.");
        return Ok(());
    }
    let mut items = Vec::new();
    for name in names {
        let Some(element) = manifest.elements.get(&name) else { continue };
        let id = element.identifier();
        let Some(source) = &element.source else {
            call.warn(format!(
                "Found package '{id}', but it was not added from a flake, so it can't be checked for upgrades!"
            ));
            continue;
        };
        if source.original.input.is_locked() {
            call.warn(format!(
                "Found package '{id}', but it was added from a locked flake reference so it can't be upgraded!"
            ));
            continue;
        }
        let item = Installable::Flake {
            reference: source.original.clone(),
            fragment: format!(".{}", source.attr),
            outputs: source.outputs.clone(),
        };
        items.push((name, item));
    }
    if items.is_empty() {
        call.warn("Found some packages but none of them could be upgraded.");
        return Ok(());
    }
    let (names, items): (Vec<String>, Vec<Installable>) = items.into_iter().unzip();
    let (mut changed, mut asked) = (Vec::new(), Vec::new());
    for (name, new) in names.into_iter().zip(ask(call, &items)?) {
        let old = manifest.elements.get(&name).and_then(|e| e.source.as_ref());
        let (Some(old), Some(source)) = (old, &new.source) else { continue };
        if source.locked.input.is_locked() && old.locked == source.locked {
            continue;
        }
        call.say(
            Level::Info,
            format!(
                "upgrading '{}' from flake '{}' to '{}'",
                source.attr,
                url_of(&old.locked),
                url_of(&source.locked)
            ),
        );
        changed.push(name);
        asked.push(new);
    }
    let paths = realise(call, &asked)?;
    for ((name, asked), paths) in changed.into_iter().zip(asked).zip(paths) {
        if let Some(element) = manifest.elements.get_mut(&name) {
            element.source = asked.source;
            element.paths = paths;
        }
    }
    let store = call.store()?;
    match manifest.build(&store)? {
        Ok(path) => call.replace(&profile, &path),
        Err(conflict) => fail(conflict.to_string()),
    }
}

/// Bold, green, red and normal, unless the user wants no colours.
fn colours() -> [&'static str; 4] {
    if std::env::var_os("NO_COLOR").is_some() {
        return [""; 4];
    }
    ["\x1b[1m", "\x1b[32;1m", "\x1b[31;1m", "\x1b[0m"]
}

/// `nix profile list`
pub fn list(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let profile = call.profile()?;
    let manifest = Manifest::read(call, &profile)?;
    let store = call.store()?;
    let dir = store.store_dir();
    if call.given.has("json") {
        return call.print_json(&manifest.to_json(dir));
    }
    let [bold, _, red, normal] = colours();
    for (n, (name, element)) in manifest.elements.iter().enumerate() {
        if n > 0 {
            writeln!(call.out)?;
        }
        let inactive =
            if element.active { String::new() } else { format!(" {red}(inactive){normal}") };
        writeln!(call.out, "Name:               {bold}{name}{normal}{inactive}")?;
        if let Some(source) = &element.source {
            let outputs = outputs_text(source.outputs.as_ref());
            writeln!(call.out, "Flake attribute:    {}{outputs}", source.attr)?;
            writeln!(call.out, "Original flake URL: {}", url_of(&source.original))?;
            writeln!(call.out, "Locked flake URL:   {}", url_of(&source.locked))?;
        }
        let paths: Vec<String> = element.paths.iter().map(|p| dir.print(p)).collect();
        writeln!(call.out, "Store paths:        {}", paths.join(" "))?;
    }
    Ok(())
}

/// `nix profile diff-closures`
pub fn diff_closures(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let profile = call.profile()?;
    let store = call.store()?;
    let all = generations(&profile)?.all;
    for (n, pair) in all.windows(2).enumerate() {
        if n > 0 {
            writeln!(call.out)?;
        }
        let [old, new] = pair else { continue };
        writeln!(call.out, "Version {} -> {}:", old.number, new.number)?;
        let before = follow_links(&store, &old.path.to_string_lossy())?;
        let after = follow_links(&store, &new.path.to_string_lossy())?;
        super::why_depends::print_diff(&store, &before, &after, "  ", call.out)?;
    }
    Ok(())
}

/// `nix profile history`
pub fn history(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let profile = call.profile()?;
    let found = generations(&profile)?;
    let [bold, green, _, normal] = colours();
    let mut before: Option<(u64, Manifest)> = None;
    for generation in &found.all {
        let manifest = Manifest::read(call, &generation.path)?;
        if before.is_some() {
            writeln!(call.out)?;
        }
        let number = generation.number;
        let colour = if Some(number) == found.current { green } else { bold };
        let created = u64::try_from(generation.created).unwrap_or(0);
        let stamp = firn_eval::builtins::utc(created);
        let from = before.as_ref().map(|(n, _)| format!(" <- {n}")).unwrap_or_default();
        writeln!(
            call.out,
            "Version {colour}{number}{normal} ({}-{}-{}){from}:",
            &stamp[..4],
            &stamp[4..6],
            &stamp[6..8]
        )?;
        let old = before.map(|(_, m)| m).unwrap_or_default();
        manifest.print_diff(&old, "  ", call.out)?;
        before = Some((number, manifest));
    }
    Ok(())
}

/// `nix profile rollback`
pub fn rollback(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let to = match call.given.value("to") {
        Some(text) => match text.parse() {
            Ok(n) => Some(n),
            Err(_) => return usage(format!("'{text}' is not an integer")),
        },
        None => None,
    };
    let profile = call.profile()?;
    Ok(profile::switch(&profile, to, call.given.has("dry-run"), &call.common.logger())?)
}

/// `nix profile wipe-history`
pub fn wipe_history(call: &mut Call<'_>) -> Outcome {
    call.no_arguments()?;
    let which = match call.given.value("older-than") {
        Some(age) => Which::OlderThan(profile::older_than(age)?),
        None => Which::Old,
    };
    let profile = call.profile()?;
    Ok(profile::delete(&profile, &which, call.given.has("dry-run"), &call.common.logger())?)
}
