//! Running a command to its end and what that took: wall time, processor time, peak memory.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a run took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Seconds from start to end.
    pub wall: f64,
    /// Seconds of processor time in user mode, of all threads and of children that were waited for.
    pub user: f64,
    /// The largest resident set of one process, in MiB.
    pub memory: f64,
}

/// Runs a command that must succeed, without output.
pub fn run(command: &mut Command) -> Result<Cost, String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let child = command.spawn().map_err(|e| format!("cannot run {command:?}: {e}"))?;
    let id = i32::try_from(child.id()).map_err(|e| e.to_string())?;
    let mut status = 0;
    // SAFETY: an all-zero `rusage` is a valid value of this plain C structure.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live local variables, and the child is ours and was not waited for.
    let waited = unsafe { libc::wait4(id, &raw mut status, 0, &raw mut usage) };
    let wall = started.elapsed().as_secs_f64();
    if waited != id {
        return Err(format!("cannot wait for {command:?}: {}", std::io::Error::last_os_error()));
    }
    if status != 0 {
        return Err(format!("{command:?} failed"));
    }
    let user = Duration::from_secs(usage.ru_utime.tv_sec.unsigned_abs())
        + Duration::from_micros(usage.ru_utime.tv_usec.unsigned_abs());
    Ok(Cost { wall, user: user.as_secs_f64(), memory: usage.ru_maxrss as f64 / 1024.0 })
}

/// The medians of several runs, each figure by itself.
pub fn median(costs: &[Cost]) -> Cost {
    let of = |figure: fn(&Cost) -> f64| {
        let mut all: Vec<f64> = costs.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    Cost { wall: of(|c| c.wall), user: of(|c| c.user), memory: of(|c| c.memory) }
}

#[cfg(test)]
mod tests {
    use super::{Cost, median, run};
    use std::process::Command;

    #[test]
    fn a_run_is_measured() {
        let cost = run(&mut Command::new("true"));
        assert!(cost.is_ok_and(|c| c.wall > 0.0 && c.memory > 0.0));
        assert!(run(&mut Command::new("false")).is_err());
        let of = |wall| Cost { wall, user: 0.0, memory: 0.0 };
        assert!((median(&[of(3.0), of(1.0), of(2.0)]).wall - 2.0).abs() < 1e-9);
    }
}
