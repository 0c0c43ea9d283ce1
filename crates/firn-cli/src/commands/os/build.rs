//! Building what a trial needs, by this program's own `nix-build`, so that downloads and builds show
//! the same progress as everywhere.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::distribution;

/// What kind of guest a system is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A container.
    Container,
    /// A virtual machine.
    Vm,
}

impl Kind {
    /// The module that makes a configuration fit the guest.
    pub fn module(self) -> &'static str {
        match self {
            Self::Container => "virtualisation/trial-container.nix",
            Self::Vm => "virtualisation/trial-vm.nix",
        }
    }
}

/// A Nix string with `text` in it.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${");
    format!("\"{escaped}\"")
}

/// The expression of the system made from `configuration` for a guest of `kind`.
pub fn system_expression(configuration: &Path, kind: Kind) -> Result<String, String> {
    let distribution = distribution::require()?;
    let path = |p: &Path| format!("(/. + {})", quoted(&p.to_string_lossy()));
    Ok(format!(
        "import {} {{ configuration = {{ imports = [ {} {} ]; }}; }}",
        path(&distribution.join("nixos")),
        path(configuration),
        path(&distribution.join("nixos/modules").join(kind.module())),
    ))
}

/// Builds `attribute` of `expression`, and gives its store path as the store calls it.
pub fn build(expression: &str, attribute: &str) -> Result<PathBuf, String> {
    let this = this_program()?;
    let output = Command::new(&this)
        .args(["nix-build", "--no-out-link", "--expr", expression, "-A", attribute])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot run '{}': {e}", this.display()))?;
    if !output.status.success() {
        return Err(format!("the system could not be built ({})", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .last()
        .map(|line| PathBuf::from(line.trim()))
        .ok_or_else(|| "the build gave no store path".to_owned())
}

/// Where this program is.
pub fn this_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|e| format!("cannot tell where this program is: {e}"))
}

/// The absolute path of a configuration: a file, or a folder with a `default.nix` or
/// `configuration.nix`.
pub fn configuration(path: &str) -> Result<PathBuf, String> {
    let found = std::fs::canonicalize(path)
        .map_err(|e| format!("the configuration '{path}' cannot be read: {e}"))?;
    if found.is_file() {
        return Ok(found);
    }
    for name in ["configuration.nix", "default.nix"] {
        let inner = found.join(name);
        if inner.is_file() {
            return Ok(inner);
        }
    }
    Err(format!("the folder '{path}' has no configuration.nix"))
}
