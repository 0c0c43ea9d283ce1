//! `nix-shell`: a shell with the environment of a derivation's build, or with some packages.
//!
//! Also the interpreter of scripts that begin with `#! /usr/bin/env nix-shell` and further
//! `#! nix-shell OPTION…` lines.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use bstr::{BString, ByteSlice};
use firn_build::shell::{ShellFiles, shell_files};
use firn_build::{DerivedPath, OutputsSpec};
use firn_eval::io::{EvalIo, Outside};
use firn_eval::position::PosId;
use firn_eval::{Value, Vm, packages};
use firn_model::derivation::Derivation;
use firn_model::store_path::StorePath;
use firn_syntax::Origin;
use firn_syntax::source::Source;

use super::nix_build::{Failure, derivations, expand_short, parse, setting_flag};
use crate::common::answers::Asked;
use crate::common::build::{Workbench, display_options};
use crate::common::eval::{AutoArg, EvalArgs, Session, current_dir};

/// What the command line and a script's own lines said.
#[derive(Default)]
struct Options {
    sources: Vec<String>,
    expr: bool,
    packages: bool,
    attrs: Vec<String>,
    pure: bool,
    keep: Vec<String>,
    excluded: Vec<String>,
    /// What to do in the shell before it ends.
    command: Option<String>,
    /// Whether it is not for a person, even on a terminal.
    quit: bool,
    dry_run: bool,
    logs: Option<bool>,
    log_format: Option<firn_ui::LogFormat>,
    interpreter: Option<String>,
}

/// A script that is being interpreted.
struct Script {
    path: PathBuf,
    args: Vec<String>,
}

/// Variables that a pure shell keeps.
const KEPT: [&str; 25] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "HOME",
    "XDG_RUNTIME_DIR",
    "USER",
    "LOGNAME",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "WAYLAND_SOCKET",
    "PATH",
    "TERM",
    "IN_NIX_SHELL",
    "NIX_SHELL_PRESERVE_PROMPT",
    "TZ",
    "PAGER",
    "NIX_BUILD_SHELL",
    "SHLVL",
];

/// Runs the command.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    let mut eval = EvalArgs::default();
    let mut options = Options::default();
    let prepared = prepare(args, &mut options, &mut eval);
    let script = match prepared {
        Ok(Some(script)) => script,
        Ok(None) => return ExitCode::SUCCESS,
        Err(e) => return Failure::Other(e).report(None),
    };
    if options.packages && options.expr {
        return Failure::Other("'-p' and '-E' are mutually exclusive".into()).report(None);
    }
    let session = match Session::new(eval) {
        Ok(session) => with_base(session, script.as_ref()),
        Err(e) => return Failure::Other(e).report(None),
    };
    match shell(&session, &options, script.as_ref()) {
        Ok(code) => code,
        Err(failure) => failure.report(Some(&session)),
    }
}

/// Expressions in a script's lines start from its folder, unless a setting says otherwise.
fn with_base(mut session: Session, script: Option<&Script>) -> Session {
    if let Some(script) = script
        && session.settings.bool("nix-shell-shebang-arguments-relative-to-script")
    {
        session.args.base = Some(script.dir());
    }
    session
}

/// Reads the arguments, and those of the script if there is one. `None`: there is nothing to do.
fn prepare(
    args: Vec<OsString>,
    options: &mut Options,
    eval: &mut EvalArgs,
) -> Result<Option<Option<Script>>, String> {
    // `nix-shell SCRIPT ARGUMENT…` is how the kernel starts an interpreter.
    let script = args.first().map(PathBuf::from).filter(|path| is_script(path));
    if let Some(path) = script {
        let text =
            std::fs::read(&path).map_err(|e| format!("reading '{}': {e}", path.display()))?;
        let mut own = Vec::new();
        for line in text.lines().skip(1).map_while(|l| l.strip_prefix(b"#!")) {
            let line = line.to_str_lossy().trim_start().to_owned();
            if let Some(rest) =
                line.strip_prefix("nix-shell").filter(|r| r.starts_with([' ', '\t']))
            {
                own.extend(words(rest).into_iter().map(OsString::from));
            }
        }
        if !parse_args(own, options, eval)? {
            return Ok(None);
        }
        let args = args[1..].iter().map(|a| a.to_string_lossy().into_owned()).collect();
        return Ok(Some(Some(Script { path, args })));
    }
    Ok(if parse_args(args, options, eval)? { Some(None) } else { None })
}

fn is_script(path: &Path) -> bool {
    let Ok(mut file) = std::fs::File::open(path) else { return false };
    let mut start = [0; 2];
    std::io::Read::read_exact(&mut file, &mut start).is_ok() && start == *b"#!"
}

impl Script {
    /// The folder that it is in.
    fn dir(&self) -> PathBuf {
        let dir = self.path.parent().unwrap_or(Path::new(""));
        current_dir().join(dir)
    }
}

/// Splits a line as a shell would, with quotes and backslashes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => {
                word.get_or_insert_default().extend(chars.next());
            }
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Takes options; false if the command is done with them (`--help`).
#[expect(clippy::print_stdout, reason = "the command's output")]
fn parse_args(
    args: Vec<OsString>,
    options: &mut Options,
    eval: &mut EvalArgs,
) -> Result<bool, String> {
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
                return Ok(false);
            }
            "--version" => {
                println!("nix-shell (Nix) {}", firn_eval::builtins::NIX_VERSION);
                return Ok(false);
            }
            "-E" | "--expr" => options.expr = true,
            "-p" | "--packages" => options.packages = true,
            "-A" | "--attr" => options.attrs.push(value()?),
            "--pure" => options.pure = true,
            "--impure" => options.pure = false,
            "--keep" => options.keep.push(value()?),
            "--exclude" => options.excluded.push(value()?),
            "--command" | "--run" => {
                options.quit |= arg == "--run";
                options.command = Some(value()?);
            }
            "-i" => options.interpreter = Some(value()?),
            "--dry-run" => options.dry_run = true,
            "--log-format" => options.log_format = Some(value()?.parse()?),
            _ if setting_flag(eval, &arg, &mut value)? => {}
            _ if arg.starts_with('-') && arg != "-" => {
                return Err(format!(
                    "unrecognised flag '{arg}'\nTry 'nix-shell --help' for more information."
                ));
            }
            _ => options.sources.push(arg),
        }
    }
    Ok(true)
}

fn shell(
    session: &Session,
    options: &Options,
    script: Option<&Script>,
) -> Result<ExitCode, Failure> {
    let mut show = display_options(&session.args, options.logs)?;
    show.format = options.log_format.or(show.format);
    let bench = Workbench::open(session, show)?;
    let drv_path = find_derivation(session, options, script, &bench)?;
    let drv = bench.store.read_derivation(&drv_path).map_err(|e| e.to_string())?;

    let excluded = options
        .excluded
        .iter()
        .map(|text| {
            regex::Regex::new(text).map_err(|e| format!("invalid regular expression '{text}': {e}"))
        })
        .collect::<Result<Vec<_>, String>>()?;
    let mut wanted: Vec<DerivedPath> = Vec::new();
    for (input, outputs) in &drv.input_drvs {
        let shown = bench.store.store_dir().print(input);
        if excluded.iter().any(|e| e.is_match(&shown)) {
            continue;
        }
        let outputs = OutputsSpec::Names(outputs.outputs.clone());
        wanted.push(DerivedPath::Built { drv: input.clone(), outputs });
    }
    wanted.extend(drv.input_srcs.iter().cloned().map(DerivedPath::Opaque));
    let bash = find_bash(session, options, &bench)?;
    if let Bash::Built(drv, _) = &bash {
        wanted.push(drv.clone());
    }
    if options.dry_run {
        bench.show_plan(&wanted)?;
        return Ok(ExitCode::SUCCESS);
    }
    let results = bench.build(&wanted)?;
    let bash = match bash {
        Bash::Program(path) => path,
        Bash::Built(_, program) => {
            let out = results.outputs.last().and_then(|(_, outputs)| outputs.values().next());
            let out = out.ok_or_else(|| "the shell has no output".to_owned())?;
            bench.store.store_dir().print(out) + &program
        }
    };
    let drv = firn_build::shell::resolved(&*bench.store, drv).map_err(|e| e.to_string())?;
    let files = shell_files(&*bench.store, &drv, &bench.options).map_err(|e| e.to_string())?;
    let chroot = bench.store.layout().is_chroot();
    let layout = bench.store.layout().clone();
    drop(bench.display);
    start(options, script, &drv, &files, &bash, chroot.then_some(layout))
}

enum Bash {
    Program(String),
    Built(DerivedPath, String),
}

/// The shell: `NIX_BUILD_SHELL`, or bash of `<nixpkgs>`, or the host's.
fn find_bash(session: &Session, options: &Options, bench: &Workbench) -> Result<Bash, Failure> {
    if let Some(program) = session.environment.string("NIX_BUILD_SHELL").filter(|s| !s.is_empty()) {
        return Ok(Bash::Program(program));
    }
    let _ = options;
    let io: Arc<dyn EvalIo> = Arc::new(bench.io());
    let evaluator = session.evaluator(io, session.eval_settings(false));
    let found = evaluator.complete(|vm| -> Result<Vec<(StorePath, String)>, Failure> {
        let args = session.auto_args(vm)?;
        let ast = parse(vm, "(import <nixpkgs> {}).bashInteractive", true)?;
        let mut found = Vec::new();
        derivations(vm, &ast, &[], args, &mut found)?;
        Ok(found)
    });
    match found {
        Ok(found) => {
            if let Some((drv, output)) = found.into_iter().next() {
                let path = DerivedPath::output(drv, &output);
                return Ok(Bash::Built(path, "/bin/bash".into()));
            }
        }
        Err(_) => bench.logger().message(
            firn_event::Level::Talkative,
            "will use bash from your environment, because <nixpkgs> has none",
        ),
    }
    Ok(Bash::Program("bash".into()))
}

fn find_derivation(
    session: &Session,
    options: &Options,
    script: Option<&Script>,
    bench: &Workbench,
) -> Result<StorePath, Failure> {
    let mut sources = options.sources.clone();
    let mut expr = options.expr;
    let looks_for_shell = session.settings.bool("nix-shell-always-looks-for-shell-nix");
    if options.packages {
        let list: Vec<String> = sources.iter().map(|p| format!("({p})")).collect();
        sources = vec![package_shell(&list.join(" "))];
        expr = true;
    } else if sources.is_empty() {
        if expr {
            return Err("'-E' needs an expression".to_owned().into());
        }
        let there = |name: &str| current_dir().join(name).exists();
        if !there("shell.nix") && !there("default.nix") {
            return Err(
                "no argument specified and no 'shell.nix' or 'default.nix' file found in the working directory"
                    .to_owned()
                    .into(),
            );
        }
        // without the setting nothing looks for it later
        let file = if !looks_for_shell && there("shell.nix") { "shell.nix" } else { "." };
        sources.push(file.to_owned());
    }
    if let ([source], false) = (&sources[..], expr)
        && let Some(path) = derivation_file(bench, source)
    {
        return Ok(path);
    }
    let mode = if options.pure { "pure" } else { "impure" };
    let io: Arc<dyn EvalIo> = Arc::new(bench.io().with_variable("IN_NIX_SHELL", mode));
    // Functions can ask whether they are evaluated for a shell.
    let mut args = session.args.clone();
    args.auto_args.insert(0, ("inNixShell".into(), AutoArg::Expr("true".into())));
    let with_argument = Session {
        settings: session.settings.clone(),
        environment: session.environment.clone(),
        args,
    };
    let base = session.args.base();
    // files of a script are beside it, whatever the setting
    let files = script.map_or_else(current_dir, Script::dir);
    let dir = bench.store.store_dir().clone();
    let asked = Asked {
        about: format!(
            "nix-shell {mode} {expr} {looks_for_shell} {files:?} {sources:?} {:?}",
            options.attrs
        ),
        kept: !(expr && sources.iter().any(|text| text.contains("currentTime"))),
        variables: &["IN_NIX_SHELL"],
    };
    let found = asked.answer(session, bench, io, |vm| -> Result<Vec<String>, Failure> {
        let plain = session.auto_args(vm)?;
        let for_shell = with_argument.auto_args(vm)?;
        let mut found = Vec::new();
        for source in &sources {
            let ast = if expr {
                vm.parse(Source::new(Origin::String, source.as_bytes()), &base)?
            } else {
                let file = shell_file(vm, &files, source, looks_for_shell, bench)?;
                vm.parse_file(&file)?
            };
            let root = vm.eval_ast(&ast)?;
            let root = vm.force(root, PosId::NONE)?;
            let none = [String::new()];
            for path in if options.attrs.is_empty() { &none[..] } else { &options.attrs } {
                let args = if takes_shell(root) { for_shell } else { plain };
                let (value, _) = packages::select(vm, path, args, root)?;
                let value = vm.force(value, PosId::NONE)?;
                let args = if takes_shell(value) { for_shell } else { plain };
                for item in packages::derivations(vm, value, args, false)? {
                    found.push(dir.print(&item.package.drv_path(vm)?));
                }
            }
        }
        Ok(found)
    })?;
    match &found[..] {
        [drv] => Ok(bench.store.store_dir().parse(drv).map_err(|e| e.to_string())?),
        _ => Err("nix-shell requires a single derivation".to_owned().into()),
    }
}

/// The derivation whose file, or a link to it, is named; which of its outputs makes no difference.
fn derivation_file(bench: &Workbench, source: &str) -> Option<StorePath> {
    let path = source.rsplit_once(['!', '^']).map_or(source, |(drv, _)| drv);
    let path = crate::common::store_paths::follow_links(&bench.store, path).ok()?;
    path.is_derivation().then_some(path)
}

/// Whether a function has the argument `inNixShell`.
fn takes_shell(value: Value) -> bool {
    firn_eval::builtins::formals(value).iter().any(|name| name.as_bytes() == b"inNixShell")
}

/// The file that an argument stands for; of a folder `shell.nix` or `default.nix`.
fn shell_file(
    vm: &mut Vm,
    base: &Path,
    source: &str,
    looks_for_shell: bool,
    bench: &Workbench,
) -> Result<PathBuf, Failure> {
    let path = match source.strip_prefix('<').and_then(|s| s.strip_suffix('>')) {
        Some(name) => {
            let search_path = vm.shared.settings.search_path.clone();
            vm.find_file(&search_path, name, PosId::NONE)?
        }
        None => {
            let joined = base.join(source).into_os_string().into_vec();
            OsString::from_vec(firn_eval::paths::canonical(&joined)).into()
        }
    };
    let io = Arc::clone(&vm.shared.io);
    let there = |path: &Path| {
        io.note(Outside::File(path));
        io.real(path).exists()
    };
    if !vm.shared.io.real(&path).is_dir() {
        return Ok(vm.resolve_expr_path(&path)?);
    }
    let (shell, default) = (path.join("shell.nix"), path.join("default.nix"));
    if there(&shell) {
        if looks_for_shell {
            return Ok(vm.resolve_expr_path(&shell)?);
        }
        io.note(Outside::Unrepeatable("there is a warning to give"));
        bench.logger().warn(format!(
            "Skipping '{}', because the setting 'nix-shell-always-looks-for-shell-nix' is disabled. This is a \
             deprecated behavior. Consider enabling 'nix-shell-always-looks-for-shell-nix'.",
            shell.display()
        ));
    }
    if there(&default) {
        return Ok(vm.resolve_expr_path(&default)?);
    }
    Err(format!("neither 'shell.nix' nor 'default.nix' found in '{}'", path.display()).into())
}

/// An expression for a shell that has some packages.
fn package_shell(packages: &str) -> String {
    format!(
        "{{ ... }}@args: let pkgs = import <nixpkgs> args; in \
         with pkgs; (pkgs.runCommandCC or pkgs.runCommand) \"shell\" {{ buildInputs = [ {packages} ]; }} \"\""
    )
}

fn start(
    options: &Options,
    script: Option<&Script>,
    drv: &Derivation,
    files: &ShellFiles,
    bash: &str,
    chroot: Option<firn_store::StoreLayout>,
) -> Result<ExitCode, Failure> {
    let dir = tempfile::Builder::new()
        .prefix("nix-shell-")
        .tempdir()
        .map_err(|e| format!("making a temporary folder: {e}"))?
        .keep();
    let mut env: BTreeMap<OsString, OsString> = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let kept = KEPT.iter().any(|k| name == *k) || options.keep.iter().any(|k| name == **k);
        if !options.pure || kept {
            env.insert(name, value);
        }
    }
    let mut set = |name: &str, value: &std::ffi::OsStr| {
        env.insert(name.into(), value.to_owned());
    };
    let mode = if options.pure { "pure" } else { "impure" };
    set("IN_NIX_SHELL", mode.as_ref());
    if options.pure {
        // keeps NixOS' /etc/bashrc from reading /etc/profile
        set("__ETC_PROFILE_SOURCED", "1".as_ref());
    }
    for name in ["NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP"] {
        set(name, dir.as_os_str());
    }
    set("NIX_STORE", std::ffi::OsStr::new(files.store_dir.as_str()));
    set("NIX_BUILD_CORES", files.cores.to_string().as_ref());
    for (name, contents) in &files.files {
        std::fs::write(dir.join(name), contents).map_err(|e| format!("writing '{name}': {e}"))?;
    }
    let text = |value: &BString| OsString::from_vec(value.to_vec());
    for (name, value) in &files.variables {
        env.insert(text(name), text(value));
    }
    for (name, file) in &files.file_variables {
        env.insert(text(name), dir.join(file).into_os_string());
    }
    let structured = drv.env.contains_key(bstr::BStr::new("__json"));

    let rc = dir.join("rc");
    let script = script.filter(|_| options.interpreter.is_some());
    let interactive = script.is_none()
        && !options.quit
        && rustix::termios::isatty(std::io::stdin())
        && rustix::termios::isatty(std::io::stderr());
    let command = match (script, &options.command) {
        (Some(script), _) => script_command(options, script),
        (None, Some(command)) => format!("{command}\nexit\n"),
        (None, None) => String::new(),
    };
    let rc_text = rc_file(options, &dir, bash, structured, interactive, &command);
    std::fs::write(&rc, rc_text).map_err(|e| format!("writing '{}': {e}", rc.display()))?;

    let mut args: Vec<OsString> = Vec::new();
    if interactive {
        args.push("--rcfile".into());
    }
    args.push(rc.into());
    firn_ui::end();
    let error = match chroot {
        None => Command::new(bash).args(&args).env_clear().envs(&env).exec(),
        // The store's contents are elsewhere: the shell gets a view in which they are in place. Only
        // a new process has the one thread that this takes.
        Some(layout) => Command::new("/proc/self/exe")
            .args(["__sandbox-child", "--enter"])
            .args([files.store_dir.as_str().as_ref(), layout.real_store_dir.as_os_str()])
            .arg(bash)
            .args(&args)
            .env_clear()
            .envs(&env)
            .exec(),
    };
    Err(format!("executing shell '{bash}': {error}").into())
}

fn script_command(options: &Options, script: &Script) -> String {
    let interpreter = options.interpreter.as_deref().unwrap_or("bash");
    let file = quote(script.path.as_os_str().as_bytes());
    // Perl and Ruby look at the first line themselves and would start what it names: a Perl with another name does
    // not, nor does a Ruby that only loads the file.
    let name = if interpreter.contains("perl") { "-a PERL " } else { "" };
    let mut line = if interpreter.contains("ruby") {
        format!("exec {interpreter} -e 'load(ARGV.shift)' -- {file}")
    } else {
        format!("exec {name}{interpreter} {file}")
    };
    for arg in &script.args {
        line.push(' ');
        line.push_str(&quote(arg.as_bytes()));
    }
    line + "\n"
}

fn quote(text: &[u8]) -> String {
    format!("'{}'", text.to_str_lossy().replace('\'', "'\\''"))
}

/// The file that the shell reads first. It brings up the build's environment as the builder would,
/// then gives the user's own things back.
fn rc_file(
    options: &Options,
    dir: &Path,
    bash: &str,
    structured: bool,
    interactive: bool,
    command: &str,
) -> String {
    let quoted_dir = quote(dir.as_os_str().as_bytes());
    let mut rc = String::new();
    let mut line = |text: &str| {
        rc.push_str(text);
        rc.push('\n');
    };
    line(&format!("_nix_shell_clean_tmpdir() {{ command rm -rf {quoted_dir}; }}"));
    line("trap _nix_shell_clean_tmpdir EXIT");
    line("exitHooks+=(_nix_shell_clean_tmpdir)");
    line("failureHooks+=(_nix_shell_clean_tmpdir)");
    if interactive && !options.pure {
        line("if [ -n \"$PS1\" ] && [ -e ~/.bashrc ]; then source ~/.bashrc; fi");
    }
    // The builder's PATH begins empty; the user's comes back behind it, unless the shell is pure.
    if !options.pure {
        line("_nix_shell_path=$PATH");
    }
    line("unset PATH");
    line("dontAddDisableDepTrack=1");
    if structured {
        line(&format!("source {quoted_dir}/.attrs.sh"));
        line(&format!(
            "export NIX_ATTRS_JSON_FILE={quoted_dir}/.attrs.json NIX_ATTRS_SH_FILE={quoted_dir}/.attrs.sh"
        ));
    }
    line("if [ -n \"$stdenv\" ] && [ -e \"$stdenv/setup\" ]; then source \"$stdenv/setup\"; fi");
    if !options.pure {
        line("PATH=\"${PATH:+$PATH:}$_nix_shell_path\"; unset _nix_shell_path");
    }
    if let Some(bin) = Path::new(bash).parent().filter(|p| p.is_absolute()) {
        line(&format!("PATH={}\"${{PATH:+:$PATH}}\"", quote(bin.as_os_str().as_bytes())));
    }
    line("export PATH");
    line(&format!("SHELL={0}; BASH={0}; export SHELL", quote(bash.as_bytes())));
    line("set +e");
    if interactive {
        line(
            r#"if [ -n "$PS1" ] && [ -z "$NIX_SHELL_PRESERVE_PROMPT" ]; then PS1='\n\[\033[1;32m\][nix-shell:\w]\$\[\033[0m\] '; fi"#,
        );
    }
    line(
        "if [ \"$(type -t runHook)\" = function ]; then runHook shellHook; elif [ -n \"$shellHook\" ]; then eval \"$shellHook\"; fi",
    );
    line("unset NIX_ENFORCE_PURITY");
    line("shopt -u nullglob");
    match std::env::var("TZ") {
        Ok(zone) => line(&format!("export TZ={}", quote(zone.as_bytes()))),
        Err(_) => line("unset TZ"),
    }
    line("shopt -s execfail");
    rc.push_str(command);
    rc
}

const HELP: &str = "Usage: nix-shell [OPTION…] [FILE]
       nix-shell [OPTION…] -p PACKAGE…

Starts a shell with the environment of a derivation's build: shell.nix, or default.nix, or FILE.

  -p, --packages        a shell with these packages of <nixpkgs>
  -A, --attr PATH       only this attribute
  -E, --expr            the argument is an expression, not a file
  --pure                without the variables of the present environment
  --keep NAME           keep this one
  --command COMMAND     run this in the shell, which stays
  --run COMMAND         run this instead of a shell
  --exclude TEXT        do not build inputs whose names contain this
  -i INTERPRETER        in a script's own lines: what runs the script
  and the options of nix-build";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scripts_lines_are_split_as_a_shell_would() {
        assert_eq!(
            words(" -i python3 -p \"a b\" 'c d' e\\ f  \"g\\\"h\""),
            ["-i", "python3", "-p", "a b", "c d", "e f", "g\"h"]
        );
    }

    #[test]
    fn a_script_brings_its_own_options() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("script");
        std::fs::write(
            &path,
            "#! /usr/bin/env nix-shell\n#! nix-shell -i python3 --pure\n#! nix-shell -p python3\nprint()\n",
        )
        .unwrap();
        let (mut options, mut eval) = (Options::default(), EvalArgs::default());
        let args = vec![path.clone().into_os_string(), "an arg".into()];
        let script = prepare(args, &mut options, &mut eval).unwrap().unwrap().unwrap();
        assert_eq!(options.interpreter.as_deref(), Some("python3"));
        assert_eq!(options.sources, ["python3"]);
        assert!(options.pure && options.packages);
        let command = script_command(&options, &script);
        assert_eq!(command, format!("exec python3 '{}' 'an arg'\n", path.display()));
    }
}
