//! `nix-instantiate`: derivations from expressions; or with `--eval` and `--parse` values and syntax.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use firn_eval::context::ContextBuilder;
use firn_eval::io::{DryIo, EvalIo};
use firn_eval::position::PosId;
use firn_eval::value::{Set, Value, View};
use firn_eval::{Error, Vm, packages, print};
use firn_syntax::source::Source;
use firn_syntax::{Ast, Origin};

use super::nix_build::derivations;
use crate::common::answers::Asked;
use crate::common::build::{Workbench, display_options};
use crate::common::eval::{EvalArgs, Session, current_dir, named_file};
use crate::common::store::AnyStore;

#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Output {
    #[default]
    Plain,
    Raw,
    Xml,
    Json,
}

#[derive(Default)]
struct Options {
    files: Vec<String>,
    stdin: bool,
    expr: bool,
    find_file: bool,
    eval: bool,
    parse: bool,
    output: Output,
    location: bool,
    strict: bool,
    attrs: Vec<String>,
    read_write: bool,
    read_only: bool,
    dry_run: bool,
    root: Option<PathBuf>,
}

/// Runs the command.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    let (options, eval) = match parse_args(args) {
        Ok(Some(parsed)) => parsed,
        Ok(None) => return ExitCode::SUCCESS,
        Err(e) => {
            let code = fail(&e);
            hint();
            return code;
        }
    };
    let session = match Session::new(eval) {
        Ok(session) => session,
        Err(e) => return fail(&e),
    };
    match instantiate(&session, &options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Eval(e)) => {
            session.report(&e);
            ExitCode::FAILURE
        }
        Err(Failure::Other(e)) => fail(&e),
        Err(Failure::Inexact) => unreachable!("exact evaluation is exact"),
    }
}

enum Failure {
    /// The result must be evaluated with exact laziness to be printed.
    Inexact,
    Eval(Error),
    Other(String),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Failure {
        Failure::Eval(e)
    }
}

impl From<String> for Failure {
    fn from(e: String) -> Failure {
        Failure::Other(e)
    }
}

#[expect(clippy::print_stderr, reason = "the command's output")]
fn fail(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

#[expect(clippy::print_stderr, reason = "the command's output")]
fn hint() {
    eprintln!("Try 'nix-instantiate --help' for more information.");
}

#[expect(clippy::print_stdout, reason = "the command's output")]
fn parse_args(args: Vec<OsString>) -> Result<Option<(Options, EvalArgs)>, String> {
    let mut eval = EvalArgs::default();
    let mut options = Options { location: true, ..Options::default() };
    let mut rest = args.into_iter().map(|a| a.to_string_lossy().into_owned());
    while let Some(arg) = rest.next() {
        if eval.take(&arg, &mut rest)? {
            continue;
        }
        match &*arg {
            "--help" => {
                println!("{HELP}");
                return Ok(None);
            }
            "--version" => {
                println!("nix-instantiate (Nix) {}", firn_eval::builtins::NIX_VERSION);
                return Ok(None);
            }
            "-" => options.stdin = true,
            "-E" | "--expr" => options.expr = true,
            "--eval" | "--eval-only" => options.eval = true,
            "--read-write-mode" => options.read_write = true,
            "--readonly-mode" => options.read_only = true,
            "--parse" | "--parse-only" => {
                options.parse = true;
                options.eval = true;
            }
            "--find-file" => options.find_file = true,
            "-A" | "--attr" | "--add-root" => {
                let value =
                    rest.next().ok_or_else(|| format!("flag '{arg}' requires an argument"))?;
                if arg == "--add-root" {
                    options.root = Some(value.into());
                } else {
                    options.attrs.push(value);
                }
            }
            "--indirect" => {}
            "--raw" => options.output = Output::Raw,
            "--xml" => options.output = Output::Xml,
            "--json" => options.output = Output::Json,
            "--no-location" => options.location = false,
            "--strict" => options.strict = true,
            "--dry-run" => options.dry_run = true,
            _ if arg.starts_with('-') => return Err(format!("unrecognised flag '{arg}'")),
            _ => options.files.push(arg),
        }
    }
    Ok(Some((options, eval)))
}

fn instantiate(session: &Session, options: &Options) -> Result<(), Failure> {
    let read_only = (options.eval && !options.read_write) || options.dry_run || options.read_only;
    let mut settings = session.eval_settings(read_only);
    // What is printed unevaluated must be just that, which takes an evaluation that looks at nothing early.
    // Most results are evaluated anyway, so that it is only done when there turns out to be something to
    // print; the messages were shown the first time. Standard input can be read but once.
    let lazily = options.eval && !options.strict && options.output == Output::Plain;
    settings.exact_laziness = lazily && options.stdin;
    let mut store = None;
    let show = display_options(&session.args, None)?;
    let mut bench = None;
    let remote = session.environment.string("NIX_REMOTE").unwrap_or_default();
    let opened = match remote.starts_with("dummy://") {
        true => None,
        false => Some(Workbench::open(session, show)),
    };
    let io: Arc<dyn EvalIo> = match opened {
        // The store that holds nothing.
        None => Arc::new(DryIo::default()),
        Some(Ok(opened)) => {
            store = Some(opened.for_evaluation().clone());
            let io = opened.io();
            bench = Some(opened);
            Arc::new(io)
        }
        // Values can be had without a store.
        Some(Err(_)) if read_only => Arc::new(DryIo::default()),
        Some(Err(e)) => return Err(e.into()),
    };
    if !options.eval && !options.find_file {
        let made = make(session, options, bench.as_ref().filter(|_| !read_only), io, settings);
        let store = store.as_ref();
        return made.print(options, store, &mut std::io::stdout().lock());
    }
    let evaluate = |settings| {
        let evaluator = session.evaluator(Arc::clone(&io), settings);
        let result = evaluator.complete(|vm| {
            if !lazily {
                return work(session, options, vm, &mut std::io::stdout().lock());
            }
            let mut out = Vec::new();
            let result = work(session, options, vm, &mut out);
            if !matches!(result, Err(Failure::Inexact)) {
                let mut stdout = std::io::stdout().lock();
                let written = stdout.write_all(&out).and_then(|()| stdout.flush());
                written.map_err(|e| Failure::Other(format!("writing the output: {e}")))?;
            }
            result
        });
        // The process ends soon: nobody needs the evaluator's tables taken apart.
        std::mem::forget(evaluator);
        result
    };
    let mut result = evaluate(settings.clone());
    if matches!(result, Err(Failure::Inexact)) {
        io.silence();
        settings.exact_laziness = true;
        result = evaluate(settings);
    }
    drop(bench);
    result
}

/// Derivations that were made.
struct Made {
    /// Their paths, with the outputs that are meant.
    found: Vec<(String, String)>,
    /// Why there are no more.
    error: Option<Failure>,
}

/// Makes derivations, or knows which they were the last time if all that was read then is the same. Without a workbench
/// nothing is kept.
fn make(
    session: &Session,
    options: &Options,
    bench: Option<&Workbench>,
    io: Arc<dyn EvalIo>,
    settings: firn_eval::Settings,
) -> Made {
    let mentions_time = options.files.iter().any(|text| text.contains("currentTime"));
    let asked = Asked {
        about: format!("nix-instantiate {} {:?} {:?}", options.expr, options.files, options.attrs),
        kept: !(options.stdin || options.expr && mentions_time),
        variables: &[],
    };
    let dir = io.store_dir().clone();
    let mut found = Vec::new();
    let work = |vm: &mut Vm| -> Result<Vec<(String, String)>, Failure> {
        let args = session.auto_args(vm)?;
        for source in sources(options)? {
            let ast = source.parse(vm)?;
            let mut some = Vec::new();
            let result = derivations(vm, &ast, &options.attrs, args, &mut some);
            // also before an error: what is printed is in the store
            vm.shared.io.flush()?;
            found.extend(some.into_iter().map(|(drv, output)| (dir.print(&drv), output)));
            result?;
        }
        Ok(found.clone())
    };
    let answer = match bench {
        Some(bench) => asked.answer(session, bench, io, work),
        None => session.evaluator(io, settings).complete(work),
    };
    match answer {
        Ok(found) => Made { found, error: None },
        Err(error) => Made { found, error: Some(error) },
    }
}

impl Made {
    /// Prints the paths, and protects them if that is wanted.
    fn print(
        self,
        options: &Options,
        store: Option<&AnyStore>,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let written = |e: std::io::Error| Failure::Other(format!("writing the output: {e}"));
        for (number, (path, output)) in self.found.into_iter().enumerate() {
            let mut shown = path;
            match (&options.root, store) {
                (Some(root), Some(store)) => {
                    let path = store.store_dir().parse(&shown).map_err(|e| e.to_string())?;
                    let mut name = current_dir().join(root).into_os_string();
                    if number > 0 {
                        name.push(format!("-{}", number + 1));
                    }
                    let link = store
                        .add_perm_root(&path, Path::new(&name))
                        .map_err(|e| Failure::Other(e.to_string()))?;
                    shown = link.display().to_string();
                }
                _ => gc_warning(),
            }
            let suffix = if output == "out" { String::new() } else { format!("!{output}") };
            writeln!(out, "{shown}{suffix}").map_err(written)?;
        }
        out.flush().map_err(written)?;
        self.error.map_or(Ok(()), Err)
    }
}

/// What is evaluated.
enum Text {
    Stdin(Vec<u8>),
    Expression(String),
    File(String),
}

/// What the command line says to evaluate.
fn sources(options: &Options) -> Result<Vec<Text>, Failure> {
    let mut sources = Vec::new();
    if options.stdin {
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut text)
            .map_err(|e| Failure::Other(format!("reading standard input: {e}")))?;
        sources.push(Text::Stdin(text));
    } else if options.files.is_empty() && !options.expr {
        sources.push(Text::File("./default.nix".into()));
    }
    let text = if options.expr { Text::Expression } else { Text::File };
    sources.extend(options.files.iter().cloned().map(text));
    Ok(sources)
}

impl Text {
    fn parse(self, vm: &mut Vm) -> Result<Arc<Ast>, Error> {
        match self {
            Text::Stdin(text) => vm.parse(Source::new(Origin::Stdin, text), &current_dir()),
            Text::Expression(text) => {
                vm.parse(Source::new(Origin::String, text.as_bytes()), &current_dir())
            }
            Text::File(file) => {
                let path = named_file(vm, &file)?;
                let path = vm.resolve_expr_path(&path)?;
                vm.parse_file(&path)
            }
        }
    }
}

fn work(
    session: &Session,
    options: &Options,
    vm: &mut Vm,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let written = |e: std::io::Error| Failure::Other(format!("writing the output: {e}"));
    if options.find_file {
        let search_path = vm.shared.settings.search_path.clone();
        for name in &options.files {
            let path = vm.find_file(&search_path, name, PosId::NONE)?;
            writeln!(out, "{}", path.display()).map_err(written)?;
        }
        return Ok(());
    }
    let args = session.auto_args(vm)?;
    for source in sources(options)? {
        let ast = source.parse(vm)?;
        process(options, vm, &ast, args, out)?;
    }
    out.flush().map_err(written)
}

fn process(
    options: &Options,
    vm: &mut Vm,
    ast: &Arc<Ast>,
    args: Set,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let written = |e: std::io::Error| Failure::Other(format!("writing the output: {e}"));
    if options.parse {
        let mut text = Vec::new();
        vm.check_scopes(ast)?;
        firn_syntax::ast::show(ast, ast.root(), &mut text);
        text.push(b'\n');
        return out.write_all(&text).map_err(written);
    }
    let root = vm.eval_ast(ast)?;
    let none = vec![String::new()];
    let attrs = if options.attrs.is_empty() { &none } else { &options.attrs };
    for path in attrs {
        let (v, pos) = packages::select(vm, path, args, root)?;
        let v = if args.is_empty() { v } else { vm.auto_call(args, v)? };
        let mut context = ContextBuilder::new();
        let text = match options.output {
            Output::Raw => print::raw(vm, v)?,
            Output::Xml => {
                print::to_xml(vm, v, options.strict, options.location, &mut context, pos)?
            }
            Output::Json => {
                let mut text = Vec::new();
                print::json::to_json(vm, v, pos, &mut context, true, options.strict, &mut text)?;
                text.push(b'\n');
                text
            }
            Output::Plain => {
                if options.strict {
                    vm.force_deep(v)?;
                } else if !vm.shared.settings.exact_laziness && has_parts(vm, v)? {
                    return Err(Failure::Inexact);
                }
                let mut text = print::ambiguous(vm, v)?;
                text.push(b'\n');
                text
            }
        };
        out.write_all(&text).map_err(written)?;
    }
    Ok(())
}

/// Whether parts of the value could be printed unevaluated.
fn has_parts(vm: &mut Vm, v: Value) -> Result<bool, Error> {
    Ok(match vm.force(v, PosId::NONE)?.view() {
        View::Set(set) => !set.is_empty(),
        View::List(list) => !list.is_empty(),
        _ => false,
    })
}

#[expect(clippy::print_stderr, reason = "the command's output")]
fn gc_warning() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        eprintln!(
            "warning: you did not specify '--add-root'; the result might be removed by the garbage collector"
        );
    });
}

const HELP: &str = "Usage: nix-instantiate [OPTION…] [FILE…]

Makes store derivations of expressions and prints their paths. Without files, ./default.nix.

  -E, --expr            the arguments are expressions, not files
  -A, --attr PATH       only this attribute
  --arg NAME EXPR       argument for functions
  --argstr NAME TEXT    the same, as a string
  -I PATH               add to the search path
  --eval                print values instead
    --strict            evaluated completely
    --json, --xml, --raw
    --read-write-mode   with writing to the store
    --readonly-mode     without writing to the store
  --parse               print the syntax
  --find-file           print where <…> would be found
  --add-root PATH       link to the result from here, so that it stays
  --show-trace          show all steps that led to an error";
