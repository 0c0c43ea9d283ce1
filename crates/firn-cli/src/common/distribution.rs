//! Where the distribution is that Firn carries: what `<nixpkgs>` means where nobody has set up another.

use std::path::PathBuf;

/// The environment variable that names another folder.
pub const VARIABLE: &str = "FIRN_DISTRIBUTION";

/// The distribution's folder: `FIRN_DISTRIBUTION`, or `distribution` beside the folder that this
/// program is in.
pub fn find() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|p| !p.is_empty()) {
        return Some(PathBuf::from(path));
    }
    let program = std::env::current_exe().ok()?;
    let beside = program.parent()?.parent()?.join("distribution");
    beside.join("default.nix").is_file().then_some(beside)
}

/// As [`find`], with an error that says what to do.
pub fn require() -> Result<PathBuf, String> {
    find().ok_or_else(|| {
        format!(
            "the distribution that belongs to this program was not found; build it with 'cargo xtask dist', or set {VARIABLE} to its folder"
        )
    })
}
