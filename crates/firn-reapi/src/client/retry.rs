//! Trying again what may go well in a moment, at growing distances.

use std::time::Duration;

use rand::Rng as _;

use crate::error::{Error, Result};

/// The first pause.
const FIRST: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(10);

/// How often something is tried.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// At least once.
    pub attempts: u32,
}

impl Retry {
    /// Begins to try something.
    pub fn begin(self) -> Tries {
        Tries { attempts: self.attempts, failures: 0 }
    }
}

/// How often something has failed until now.
#[derive(Debug)]
pub struct Tries {
    attempts: u32,
    failures: u32,
}

impl Tries {
    /// Waits before the next attempt.
    ///
    /// # Errors
    /// The failure, if it is for good or this was often enough.
    pub async fn after(&mut self, error: Error) -> Result<()> {
        self.failures += 1;
        if !error.is_transient() || self.failures >= self.attempts {
            return Err(error);
        }
        pause(self.failures).await;
        Ok(())
    }
}

/// Waits after this many failures. Clients that failed together do not come back together.
pub async fn pause(failures: u32) {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let share = rand::rng().random_range(0.5..1.0);
    tokio::time::sleep(doubled.min(LONGEST).mul_f64(share)).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::grpc::{Code, Status};

    fn tried(code: Code, attempts: u32, fails: u32) -> (u32, bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut count = 0;
        let result = runtime.block_on(async {
            let mut tries = Retry { attempts }.begin();
            loop {
                count += 1;
                if count > fails {
                    return Ok::<(), Error>(());
                }
                let error = Error::Call { what: "x".into(), status: Status::new(code, "") };
                tries.after(error).await?;
            }
        });
        (count, result.is_ok())
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert_eq!(tried(Code::UNAVAILABLE, 3, 1), (2, true));
        assert_eq!(tried(Code::UNAVAILABLE, 2, 9), (2, false));
        assert_eq!(tried(Code::PERMISSION_DENIED, 5, 9), (1, false));
    }
}
