//! `nix-store`: finds the operation among the arguments and runs it.

mod add;
mod collect;
mod graph;
mod query;
mod realise;
mod registration;
mod serve;
mod transfer;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Read as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

pub use collect::{max_freed, print_freed};
pub use realise::repair;

use crate::common::legacy::{self, Common, Failure, Outcome, Taken, absolute, usage};
use crate::common::store::AnyStore;

/// What an operation gets.
struct Call<'a> {
    common: &'a Common,
    /// Flags in their order, values of `--max-freed` and the like among them.
    flags: Vec<String>,
    args: Vec<String>,
    /// `--add-root`
    root: Option<PathBuf>,
    /// `--no-output`
    no_output: bool,
    out: &'a mut dyn Write,
}

impl Call<'_> {
    fn no_flags(&self) -> Outcome {
        if self.flags.is_empty() { Ok(()) } else { usage("unknown flag") }
    }

    fn no_flag_at_all(&self) -> Outcome {
        match self.flags.first() {
            None => Ok(()),
            Some(flag) => usage(format!("unknown flag '{flag}'")),
        }
    }

    fn no_arguments(&self) -> Outcome {
        if self.args.is_empty() { Ok(()) } else { usage("no arguments expected") }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Version,
    Realise,
    Add,
    AddFixed,
    PrintFixedPath,
    Delete,
    Query,
    PrintEnv,
    ReadLog,
    DumpDb,
    LoadDb,
    RegisterValidity,
    CheckValidity,
    Gc,
    Dump,
    Restore,
    Export,
    Import,
    Init,
    Verify,
    VerifyPath,
    RepairPath,
    Optimise,
    Serve,
    GenerateBinaryCacheKey,
}

fn operation(flag: &str) -> Option<Operation> {
    Some(match flag {
        "--version" => Operation::Version,
        "--realise" | "--realize" | "-r" => Operation::Realise,
        "--add" | "-A" => Operation::Add,
        "--add-fixed" => Operation::AddFixed,
        "--print-fixed-path" => Operation::PrintFixedPath,
        "--delete" => Operation::Delete,
        "--query" | "-q" => Operation::Query,
        "--print-env" => Operation::PrintEnv,
        "--read-log" | "-l" => Operation::ReadLog,
        "--dump-db" => Operation::DumpDb,
        "--load-db" => Operation::LoadDb,
        "--register-validity" => Operation::RegisterValidity,
        "--check-validity" => Operation::CheckValidity,
        "--gc" => Operation::Gc,
        "--dump" => Operation::Dump,
        "--restore" => Operation::Restore,
        "--export" => Operation::Export,
        "--import" => Operation::Import,
        "--init" => Operation::Init,
        "--verify" => Operation::Verify,
        "--verify-path" => Operation::VerifyPath,
        "--repair-path" => Operation::RepairPath,
        "--optimise" | "--optimize" => Operation::Optimise,
        "--serve" => Operation::Serve,
        "--generate-binary-cache-key" => Operation::GenerateBinaryCacheKey,
        _ => return None,
    })
}

/// Runs `nix-store`.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    legacy::run("nix-store", |out| main(args, out))
}

fn main(args: Vec<OsString>, out: &mut dyn Write) -> Outcome {
    let mut chosen: Option<Operation> = None;
    let mut flags: Vec<String> = Vec::new();
    let mut arguments: Vec<String> = Vec::new();
    let mut root = None;
    let (mut no_output, mut from_stdin, mut help) = (false, false, false);
    let common = Common::parse("nix-store", args, |_, arg, rest| {
        if let Some(found) = operation(arg) {
            if chosen.is_some_and(|c| c != found) {
                return usage("only one operation may be specified");
            }
            chosen = Some(found);
            return Ok(Taken::Yes);
        }
        match arg {
            "--help" => help = true,
            "--add-root" => root = Some(absolute(rest.value(arg)?)?),
            "--stdin" if !std::io::stdin().is_terminal() => from_stdin = true,
            "--indirect" => {}
            "--no-output" => no_output = true,
            _ if arg.starts_with('-') => {
                flags.push(arg.to_owned());
                if matches!(arg, "--max-freed" | "--max-links" | "--max-atime") {
                    flags.push(rest.value(arg)?);
                }
            }
            _ => arguments.push(arg.to_owned()),
        }
        Ok(Taken::Yes)
    })?;
    if help {
        return Ok(out.write_all(HELP.as_bytes())?);
    }
    let Some(chosen) = chosen else { return usage("no operation specified") };
    let takes_stdin = matches!(chosen, Operation::Import | Operation::Restore | Operation::Serve);
    if from_stdin && !takes_stdin {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|e| Failure::Message(format!("reading standard input: {e}")))?;
        arguments.extend(text.split_ascii_whitespace().map(str::to_owned));
    }
    let mut call = Call { common: &common, flags, args: arguments, root, no_output, out };
    match chosen {
        Operation::Version => {
            Ok(writeln!(call.out, "nix-store (Nix) {}", crate::common::NIX_VERSION)?)
        }
        Operation::Dump => transfer::dump(&mut call),
        Operation::Restore => transfer::restore(&call),
        Operation::GenerateBinaryCacheKey => transfer::generate_binary_cache_key(&call),
        Operation::Serve => serve::serve(&call),
        _ => with_store(chosen, &common.open_store()?, &mut call),
    }
}

fn with_store(chosen: Operation, store: &AnyStore, call: &mut Call<'_>) -> Outcome {
    match chosen {
        Operation::Realise => realise::realise(store, call),
        Operation::Add => add::add(store, call),
        Operation::AddFixed => add::add_fixed(store, call),
        Operation::PrintFixedPath => add::print_fixed_path(store, call),
        Operation::Delete => collect::delete(store, call),
        Operation::Query => query::query(store, call),
        Operation::PrintEnv => query::print_env(store, call),
        Operation::ReadLog => query::read_log(store, call),
        Operation::DumpDb => registration::dump_db(store, call),
        Operation::LoadDb => registration::load_db(store, call),
        Operation::RegisterValidity => registration::register_validity(store, call),
        Operation::CheckValidity => registration::check_validity(store, call),
        Operation::Gc => collect::gc(store, call),
        Operation::Export => transfer::export(store, call),
        Operation::Import => transfer::import(store, call),
        Operation::Init => {
            call.no_flags()?;
            call.no_arguments()
        }
        Operation::Verify => registration::verify(store, call),
        Operation::VerifyPath => registration::verify_path(store, call),
        Operation::RepairPath => realise::repair_path(store, call),
        Operation::Optimise => collect::optimise(store, call),
        Operation::Version
        | Operation::Dump
        | Operation::Restore
        | Operation::GenerateBinaryCacheKey
        | Operation::Serve => Ok(()),
    }
}

const HELP: &str = "\
Usage: nix-store OPERATION [OPTIONS…] [ARGUMENTS…] [--option NAME VALUE] [--add-root PATH] [--stdin]

Operations:
  -r, --realise PATHS…           build or fetch paths [--dry-run --ignore-unknown --check --repair]
  -q, --query QUERY PATHS…       ask about paths: --outputs (default), -R/--requisites, --references,
                                 --referrers, --referrers-closure, -d/--deriver, --valid-derivers,
                                 -b/--binding NAME, --hash, --size, --tree, --graph, --graphml,
                                 --resolve, --roots [-u/--use-output -f/--force-realise
                                 --include-outputs]
  -A, --add FILES…               add files to the store
      --add-fixed [--recursive] ALGORITHM FILES…
      --print-fixed-path [--recursive] ALGORITHM HASH NAME
      --delete PATHS…            delete paths [--ignore-liveness]
      --gc                       delete what no root reaches [--print-roots | --print-live |
                                 --print-dead | --max-freed BYTES]
      --optimise                 replace equal files by hard links
      --verify                   check the database [--check-contents --repair]
      --verify-path PATHS…       check contents
      --repair-path PATHS…       fetch or build contents again
      --dump PATH                write a NAR to standard output
      --restore PATH             unpack a NAR from standard input
      --export PATHS…            write paths to standard output
      --import                   add exported paths from standard input
      --dump-db [PATHS…]         write registrations
      --load-db                  read registrations
      --register-validity        register contents that are in place [--reregister --hash-given]
      --check-validity PATHS…    fail unless paths are valid [--print-invalid]
      --print-env DERIVATION     print a derivation's environment for a shell
  -l, --read-log PATHS…          print build logs
      --generate-binary-cache-key NAME SECRET-FILE PUBLIC-FILE
      --serve                    serve a client on standard input and output [--write]
      --init                     make an empty store
";
