//! `nix-build`: builds derivations of expressions and links to the results.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use firn_build::{BuildError, DerivedPath, Mode};
use firn_eval::io::EvalIo;
use firn_eval::value::Set;
use firn_eval::{Error, Vm, packages};
use firn_model::store_path::StorePath;
use firn_syntax::source::Source;
use firn_syntax::{Ast, Origin};

use crate::common::answers::Asked;
use crate::common::build::{Workbench, display_options};
use crate::common::eval::{EvalArgs, Session, current_dir, named_file};

/// What the command line said.
struct Options {
    sources: Vec<String>,
    expr: bool,
    stdin: bool,
    attrs: Vec<String>,
    out_link: Option<String>,
    drv_link: Option<String>,
    dry_run: bool,
    check: bool,
    logs: Option<bool>,
    log_format: Option<firn_ui::LogFormat>,
}

/// Why the command failed.
pub(super) enum Failure {
    /// Evaluation.
    Eval(Error),
    /// A build, with its exit code.
    Build(BuildError),
    /// Anything else.
    Other(String),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Eval(e)
    }
}

impl From<BuildError> for Failure {
    fn from(e: BuildError) -> Self {
        Self::Build(e)
    }
}

impl From<String> for Failure {
    fn from(e: String) -> Self {
        Self::Other(e)
    }
}

impl Failure {
    /// Tells the user and gives the exit code. The display must be finished.
    pub(super) fn report(&self, session: Option<&Session>) -> ExitCode {
        match (self, session) {
            (Self::Eval(e), Some(session)) => session.report(e),
            (Self::Eval(e), None) => firn_ui::print_error(&e.to_string()),
            (Self::Build(e), _) => {
                firn_ui::print_error(&e.message);
                return ExitCode::from(e.exit_code);
            }
            (Self::Other(e), _) => firn_ui::print_error(e),
        }
        ExitCode::FAILURE
    }
}

/// Runs the command.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    let (options, eval) = match parse_args(args) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return ExitCode::SUCCESS,
        Err(e) => return Failure::Other(e).report(None),
    };
    let session = match Session::new(eval) {
        Ok(session) => session,
        Err(e) => return Failure::Other(e).report(None),
    };
    match build(&session, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(Some(&session)),
    }
}

#[expect(clippy::print_stdout, reason = "the command's output")]
fn parse_args(args: Vec<OsString>) -> Result<Option<(Options, EvalArgs)>, String> {
    let mut eval = EvalArgs::default();
    let mut options = Options {
        sources: Vec::new(),
        expr: false,
        stdin: false,
        attrs: Vec::new(),
        out_link: Some("result".into()),
        drv_link: None,
        dry_run: false,
        check: false,
        logs: None,
        log_format: None,
    };
    let mut rest = expand_short(args).into_iter();
    while let Some(arg) = rest.next() {
        match &*arg {
            "-L" | "--print-build-logs" => {
                options.logs = Some(true);
                continue;
            }
            "-Q" | "--no-build-output" => {
                options.logs = Some(false);
                continue;
            }
            _ => {}
        }
        if eval.take(&arg, &mut rest)? {
            continue;
        }
        let mut value = || rest.next().ok_or_else(|| format!("flag '{arg}' requires an argument"));
        match &*arg {
            "--help" => {
                println!("{HELP}");
                return Ok(None);
            }
            "--version" => {
                let env = firn_store::layout::Environment::current();
                let (settings, _) =
                    firn_store::settings::Settings::load(&env).map_err(|e| e.to_string())?;
                let verbose = eval.verbosity > 0;
                let text =
                    crate::common::legacy::version_text("nix-build", verbose, &settings, &env);
                match text {
                    Ok(text) => print!("{text}"),
                    Err(_) => return Err("the folders of the store cannot be found".to_owned()),
                }
                return Ok(None);
            }
            "-" => options.stdin = true,
            "-E" | "--expr" => options.expr = true,
            "-A" | "--attr" => options.attrs.push(value()?),
            "-o" | "--out-link" => options.out_link = Some(value()?),
            "--no-out-link" | "--no-link" => options.out_link = None,
            "--add-root" => options.out_link = Some(value()?),
            "--indirect" => {}
            "--drv-link" => options.drv_link = Some(value()?),
            "--add-drv-link" => options.drv_link = Some("derivation".into()),
            "--dry-run" => options.dry_run = true,
            "--log-format" => options.log_format = Some(value()?.parse()?),
            "--check" => options.check = true,
            _ if setting_flag(&mut eval, &arg, &mut value)? => {}
            _ if arg.starts_with('-') => {
                return Err(format!(
                    "unrecognised flag '{arg}'\nTry 'nix-build --help' for more information."
                ));
            }
            _ => options.sources.push(arg),
        }
    }
    Ok(Some((options, eval)))
}

/// `-j4`, `-kK` and the like as single options.
pub(super) fn expand_short(args: Vec<OsString>) -> Vec<String> {
    let mut out = Vec::new();
    for arg in args {
        let arg = arg.to_string_lossy().into_owned();
        if let Some(count) = arg.strip_prefix("-j").filter(|c| !c.is_empty()) {
            out.extend(["-j".to_owned(), count.to_owned()]);
        } else if arg.len() > 2
            && arg.starts_with('-')
            && arg[1..].chars().all(|c| "kKQLv".contains(c))
        {
            out.extend(arg[1..].chars().map(|c| format!("-{c}")));
        } else {
            out.push(arg);
        }
    }
    out
}

/// Settings of builds that are options of their own.
pub(super) fn setting_flag(
    eval: &mut EvalArgs,
    arg: &str,
    value: &mut dyn FnMut() -> Result<String, String>,
) -> Result<bool, String> {
    let Some(name) = arg.strip_prefix("--") else { return Ok(false) };
    let plain = name.strip_prefix("no-").unwrap_or(name);
    let Some(setting) = firn_store::settings::find(plain) else { return Ok(false) };
    let text = match (setting.kind, plain == name) {
        (firn_store::settings::Kind::Bool | firn_store::settings::Kind::Sandbox, on) => {
            on.to_string()
        }
        (_, true) => value()?,
        (_, false) => return Ok(false),
    };
    eval.settings.push((setting.name.to_owned(), text));
    Ok(true)
}

fn build(session: &Session, options: &Options) -> Result<(), Failure> {
    let mut show = display_options(&session.args, options.logs)?;
    show.format = options.log_format.or(show.format);
    let mut bench = Workbench::open(session, show)?;
    if options.check {
        bench.options.mode = Mode::Check;
    } else if session.args.repair {
        bench.options.mode = Mode::Repair;
    }
    let wanted = evaluate(session, options, &bench)?;
    let paths: Vec<DerivedPath> = wanted
        .iter()
        .map(|w| match w {
            Wanted::Output(drv, output) => DerivedPath::output(drv.clone(), output),
            Wanted::Path(path) => DerivedPath::Opaque(path.clone()),
        })
        .collect();
    if options.dry_run {
        bench.show_plan(&paths)?;
        return Ok(());
    }
    let results = bench.build(&paths)?;

    // Links are numbered by derivation and named after outputs other than "out".
    let mut numbers: BTreeMap<&StorePath, usize> = BTreeMap::new();
    let mut lines = Vec::new();
    let dir = bench.store.store_dir();
    for (wanted, (_, outputs)) in wanted.iter().zip(&results.outputs) {
        let (key, output, path) = match wanted {
            Wanted::Output(drv, output) => (drv, output.as_str(), outputs.get(output)),
            Wanted::Path(path) => (path, "out", Some(path)),
        };
        let Some(path) = path else { continue };
        let next = numbers.len();
        let new = !numbers.contains_key(key);
        let number = *numbers.entry(key).or_insert(next);
        let numbered = |prefix: &str| match number {
            0 => prefix.to_owned(),
            n => format!("{prefix}-{}", n + 1),
        };
        if let Some(prefix) = &options.out_link {
            let mut link = numbered(prefix);
            if output != "out" {
                link.push('-');
                link.push_str(output);
            }
            add_root(&bench, path, &link)?;
        }
        if let (Some(prefix), true, Wanted::Output(drv, _)) = (&options.drv_link, new, wanted) {
            add_root(&bench, drv, &numbered(prefix))?;
        }
        lines.push(dir.print(path));
    }
    let store = bench.store.clone();
    drop(bench.display);
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}").map_err(|e| format!("writing the output: {e}"))?;
    }
    drop(store);
    Ok(())
}

fn add_root(bench: &Workbench, path: &StorePath, link: &str) -> Result<(), Failure> {
    let link = current_dir().join(link);
    if bench.store.keeps_roots() {
        bench.store.add_perm_root(path, &link).map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Something to build.
enum Wanted {
    Output(StorePath, String),
    Path(StorePath),
}

fn evaluate(
    session: &Session,
    options: &Options,
    bench: &Workbench,
) -> Result<Vec<Wanted>, Failure> {
    let mut wanted = Vec::new();
    let mut sources = Vec::new();
    let dir = bench.store.store_dir().clone();
    for source in &options.sources {
        // Derivations and paths of the store are built as they are.
        let in_store = if options.expr { None } else { store_argument(bench, source) };
        match in_store {
            Some((path, outputs)) if path.is_derivation() => {
                let drv = bench.store.read_derivation(&path).map_err(|e| e.to_string())?;
                if outputs.as_deref() == Some("*") {
                    let all = drv.outputs.keys();
                    wanted.extend(all.map(|n| Wanted::Output(path.clone(), n.clone())));
                    continue;
                }
                let output = match outputs {
                    Some(names) if names.contains(',') => {
                        return Err(format!(
                            "building more than one derivation output is not supported, in '{source}'"
                        )
                        .into());
                    }
                    Some(name) => name,
                    None => drv.env.get("outputName".as_bytes()).map_or_else(
                        || "out".to_owned(),
                        |name| String::from_utf8_lossy(name).into_owned(),
                    ),
                };
                if !drv.outputs.contains_key(&output) {
                    return Err(format!(
                        "derivation '{}' does not have output '{output}'",
                        dir.print(&path)
                    )
                    .into());
                }
                wanted.push(Wanted::Output(path, output));
            }
            Some((path, _)) if !real_nix_file(bench, &path, source, &dir) => {
                wanted.push(Wanted::Path(path));
            }
            _ => sources.push(source.clone()),
        }
    }
    if sources.is_empty() && !options.stdin {
        if !wanted.is_empty() {
            return Ok(wanted);
        }
        if options.expr {
            return Err("'-E' needs an expression".to_owned().into());
        }
        sources.push("./default.nix".into());
    }
    let io: Arc<dyn EvalIo> = Arc::new(bench.io());
    let mentions_time = sources.iter().any(|text| text.contains("currentTime"));
    let asked = Asked {
        about: format!("nix-build {} {sources:?} {:?}", options.expr, options.attrs),
        kept: !(options.stdin || options.expr && mentions_time),
        variables: &[],
    };
    let found =
        asked.answer(session, bench, io, |vm| -> Result<Vec<(String, String)>, Failure> {
            let args = session.auto_args(vm)?;
            let mut found = Vec::new();
            if options.stdin {
                let mut text = Vec::new();
                std::io::Read::read_to_end(&mut std::io::stdin(), &mut text)
                    .map_err(|e| format!("reading standard input: {e}"))?;
                let ast = vm.parse(Source::new(Origin::Stdin, text), &current_dir())?;
                derivations(vm, &ast, &options.attrs, args, &mut found)?;
            }
            for source in &sources {
                let ast = parse(vm, source, options.expr)?;
                derivations(vm, &ast, &options.attrs, args, &mut found)?;
            }
            Ok(found.into_iter().map(|(drv, output)| (dir.print(&drv), output)).collect())
        })?;
    for (drv, output) in found {
        let drv = bench.store.store_dir().parse(&drv).map_err(|e| e.to_string())?;
        wanted.push(Wanted::Output(drv, output));
    }
    Ok(wanted)
}

/// A path of the store that an argument names, with the outputs after `!` or `^`.
fn store_argument(bench: &Workbench, text: &str) -> Option<(StorePath, Option<String>)> {
    let dir = bench.store.store_dir();
    let (path, outputs) = match text.rsplit_once(['!', '^']) {
        Some((path, outputs)) => (path, Some(outputs.to_owned())),
        None => (text, None),
    };
    if let Ok(path) = dir.parse(path) {
        return Some((path, outputs));
    }
    // A link into the store, such as an earlier result.
    let target = std::fs::read_link(path).ok()?;
    Some((dir.parse(target.to_str()?).ok()?, outputs))
}

/// Whether a path in the store is an expression rather than something to build.
fn real_nix_file(
    bench: &Workbench,
    path: &StorePath,
    text: &str,
    dir: &firn_model::StoreDir,
) -> bool {
    let real = bench.store.real_path(path);
    let _ = (text, dir);
    path.name().ends_with(".nix") || real.join("default.nix").exists()
}

/// Parses the file that an argument names (a path, or `<name>`), or an expression.
pub(super) fn parse(vm: &mut Vm, source: &str, expr: bool) -> Result<Arc<Ast>, Error> {
    if expr {
        return vm.parse(Source::new(Origin::String, source.as_bytes()), &current_dir());
    }
    let path = named_file(vm, source)?;
    let path = vm.resolve_expr_path(&path)?;
    vm.parse_file(&path)
}

/// The derivations at some attribute paths of an expression, each with the output that it stands for.
pub(super) fn derivations(
    vm: &mut Vm,
    ast: &Arc<Ast>,
    attrs: &[String],
    args: Set,
    found: &mut Vec<(StorePath, String)>,
) -> Result<(), Error> {
    let root = vm.eval_ast(ast)?;
    let none = [String::new()];
    for path in if attrs.is_empty() { &none } else { attrs } {
        let (value, _) = packages::select(vm, path, args, root)?;
        for item in packages::derivations(vm, value, args, false)? {
            let drv = item.package.drv_path(vm)?;
            let output = item.package.output_name(vm)?;
            if output.is_empty() {
                return Err(Error::other(format!(
                    "derivation '{}' lacks an 'outputName' attribute",
                    vm.store_dir().print(&drv)
                )));
            }
            found.push((drv, output));
        }
    }
    Ok(())
}

const HELP: &str = "Usage: nix-build [OPTION…] [FILE or store path…]

Builds the derivations of expressions and links to the results. Without files, ./default.nix.

  -E, --expr            the arguments are expressions, not files
  -A, --attr PATH       only this attribute
  --arg NAME EXPR       argument for functions
  --argstr NAME TEXT    the same, as a string
  -I PATH               add to the search path
  -o, --out-link NAME   name of the link, instead of 'result'
  --no-out-link         make no link
  --dry-run             tell what would be built, and build nothing
  --check               build again and compare with what is there
  -k, --keep-going      after a failure, build what does not need it
  -K, --keep-failed     keep the build directory of a failed build
  -j, --max-jobs N      how many builds at a time
  --cores N             how many cores each may use
  --option NAME VALUE   set a setting
  -L, --print-build-logs  show the logs of builds
  -Q, --no-build-output   do not
  -v, --quiet           tell more, tell less
  --show-trace          show all steps that led to an error";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_sources_are_told_apart() {
        let args = ["-kj3", "-j4", "-kK", "-A", "x", "f.nix", "--no-sandbox", "--cores", "2"];
        let args = args.iter().skip(1).map(OsString::from).collect();
        let (options, eval) = parse_args(args).unwrap().unwrap();
        assert_eq!(options.sources, ["f.nix"]);
        assert_eq!(options.attrs, ["x"]);
        let has =
            |name: &str, value: &str| eval.settings.iter().any(|(n, v)| n == name && v == value);
        assert!(has("max-jobs", "4") && has("keep-going", "true") && has("keep-failed", "true"));
        assert!(has("sandbox", "false") && has("cores", "2"));
        assert!(parse_args(vec!["--nonsense".into()]).is_err());
        assert!(parse_args(vec!["-A".into()]).is_err());
    }
}
