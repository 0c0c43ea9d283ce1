//! Builds: the scheduler, the sandbox and the builders that are built in.
//!
//! [`build_paths`] has outputs of derivations in a local store: what is valid stays, what a
//! [`Substituter`] has is fetched, the rest is built, several at a time, each in its own
//! [`sandbox`]. [`plan`] says beforehand what would be done.
//!
//! Nothing here knows the language.

mod builder;
pub mod builtin;
mod derivations;
mod derived_path;
pub mod dev_env;
mod drv_options;
mod error;
pub mod executor;
mod history;
pub mod hook;
mod missing;
mod options;
mod passive;
pub mod plain;
mod plan;
pub mod recursive;
mod remote;
mod repair;
mod result;
pub mod sandbox;
mod scheduler;
pub mod shell;
mod single;
mod store_substituter;
mod substitute;

pub use derived_path::{DerivedPath, OutputsSpec};
pub use drv_options::{DrvOptions, OutputChecks, Reference};
pub use error::{BuildError, ExitFlags, Failure, FailureKind};
pub use missing::Missing;
pub use options::{
    BuildOptions, DAEMON_CGROUP, ExternalBuilder, Mode, SandboxMode, SandboxPath, UidPool,
    is_static,
};
pub use passive::{build_for_passive, missing_in_passive};
pub use plan::{Plan, plan};
pub use remote::BuildStore;
pub use repair::repair_path;
pub use result::{BuildResult, BuildStatus};
pub use sandbox::cgroup::enter_own as enter_daemon_cgroup;
pub use scheduler::{BuildResults, build_paths, build_paths_with_results};
pub use single::build_derivation;
pub use store_substituter::StoreSubstituter;
pub use substitute::{Substitutable, Substituter};
