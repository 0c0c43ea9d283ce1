//! Options that all evaluating commands take.

use std::path::PathBuf;

use firn_store::settings::{self as known, Kind};

/// A value for a function's argument.
#[derive(Clone, Debug)]
pub enum AutoArg {
    /// `--arg name expr`
    Expr(String),
    /// `--argstr name text`
    Text(String),
    /// `--arg-from-file name path`
    File(PathBuf),
}

/// What the shared options said.
#[derive(Clone, Debug, Default)]
pub struct EvalArgs {
    /// `--arg` and its like, in order.
    pub auto_args: Vec<(String, AutoArg)>,
    /// `-I`, in order.
    pub include: Vec<String>,
    /// `--option` and options that are settings, in order.
    pub settings: Vec<(String, String)>,
    /// `--show-trace`
    pub show_trace: bool,
    /// How often `-v` was given, less `--quiet`.
    pub verbosity: i32,
    /// `--impure`
    pub impure: bool,
    /// `--repair`
    pub repair: bool,
    /// `--eval-store`
    pub eval_store: Option<String>,
    /// What relative paths in expressions start from, if it is not the present folder.
    pub base: Option<PathBuf>,
}

impl EvalArgs {
    /// The folder that relative paths in expressions start from.
    pub fn base(&self) -> PathBuf {
        self.base.clone().unwrap_or_else(super::current_dir)
    }

    /// Takes `arg`, and its values from `rest`, if it is a shared option.
    ///
    /// # Errors
    /// If a value is missing.
    pub fn take(
        &mut self,
        arg: &str,
        rest: &mut dyn Iterator<Item = String>,
    ) -> Result<bool, String> {
        let mut value =
            |what: &str| rest.next().ok_or_else(|| format!("flag '{arg}' requires {what}"));
        match arg {
            "--arg" | "--argstr" | "--arg-from-file" => {
                let name = value("2 arguments")?;
                let text = value("2 arguments")?;
                let arg = match arg {
                    "--arg" => AutoArg::Expr(text),
                    "--argstr" => AutoArg::Text(text),
                    _ => AutoArg::File(text.into()),
                };
                self.auto_args.push((name, arg));
            }
            "-I" | "--include" => self.include.push(value("an argument")?),
            "--option" => {
                let name = value("2 arguments")?;
                let text = value("2 arguments")?;
                self.settings.push((name, text));
            }
            "--show-trace" => self.show_trace = true,
            "-v" | "--verbose" => self.verbosity += 1,
            "-vv" => self.verbosity += 2,
            "-vvv" => self.verbosity += 3,
            "--debug" => self.verbosity = 5,
            "--quiet" => self.verbosity -= 1,
            "--impure" => {
                self.impure = true;
                self.settings.push(("pure-eval".into(), "false".into()));
            }
            "--repair" => self.repair = true,
            "--eval-store" => self.eval_store = Some(value("an argument")?),
            "-j" => self.settings.push(("max-jobs".into(), value("an argument")?)),
            "-K" | "--keep-failed" => {
                self.settings.push(("keep-failed".into(), "true".into()));
            }
            "-k" | "--keep-going" => self.settings.push(("keep-going".into(), "true".into())),
            "--fallback" => self.settings.push(("fallback".into(), "true".into())),
            "-L" | "--print-build-logs" => {}
            _ => {
                if let Some(include) = arg.strip_prefix("-I") {
                    self.include.push(include.into());
                    return Ok(true);
                }
                let Some(name) = arg.strip_prefix("--") else { return Ok(false) };
                // Every setting is an option too; Boolean ones stand for themselves.
                let (name, negated) = match name.strip_prefix("no-") {
                    Some(rest) if known::find(rest).is_some() => (rest, true),
                    _ => (name, false),
                };
                let plain = name.strip_prefix("extra-").unwrap_or(name);
                let Some(setting) = known::find(plain) else { return Ok(false) };
                let text = match setting.kind {
                    Kind::Bool | Kind::Sandbox => if negated { "false" } else { "true" }.into(),
                    _ if negated => return Ok(false),
                    _ => value("an argument")?,
                };
                self.settings.push((name.into(), text));
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> (EvalArgs, Vec<String>) {
        let mut out = EvalArgs::default();
        let mut other = Vec::new();
        let mut rest = args.iter().map(|a| (*a).to_owned());
        while let Some(arg) = rest.next() {
            if !out.take(&arg, &mut rest).expect("complete") {
                other.push(arg);
            }
        }
        (out, other)
    }

    #[test]
    fn options_are_taken_with_their_values() {
        let (args, other) = parse(&[
            "--arg",
            "a",
            "1",
            "-I",
            "x=/y",
            "-I/z",
            "--option",
            "cores",
            "2",
            "--show-trace",
            "--no-pure-eval",
            "file.nix",
            "--strict",
        ]);
        assert_eq!(args.auto_args.len(), 1);
        assert_eq!(args.include, ["x=/y", "/z"]);
        assert_eq!(
            args.settings,
            [("cores".into(), "2".into()), ("pure-eval".into(), "false".into())]
        );
        assert!(args.show_trace);
        assert_eq!(other, ["file.nix", "--strict"]);
    }

    #[test]
    fn a_missing_value_is_an_error() {
        let mut args = EvalArgs::default();
        assert!(args.take("--arg", &mut std::iter::once("a".to_owned())).is_err());
    }
}
