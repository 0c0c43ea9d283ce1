//! Having an action executed: asking, waiting, waiting again after the connection broke, giving up.

use std::time::{Duration, Instant};

use super::retry::pause;
use super::{CALL, Client};
use crate::api::{BlobId, re};
use crate::error::{Error, Result};
use crate::wire::grpc::{Code, Status};
use crate::wire::proto::Message as _;

/// How long a connection must have held for its break not to count with those before.
const CALM: Duration = Duration::from_secs(60);

/// What is heard while an action is executed.
#[derive(Debug)]
pub enum Progress {
    /// The operation's name, by which it can be cancelled.
    Operation(String),
    /// It failed, and is asked for or waited for again.
    Again(String),
    /// The stream that the log is written to.
    Log(String),
}

/// What came of an action.
#[derive(Debug)]
pub enum Executed {
    /// It ran to its end.
    Done(Box<re::ActionResult>, Cached),
    /// It took longer than it was allowed to.
    TimedOut,
}

/// Whether a result was there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cached {
    /// It was.
    Yes,
    /// It ran now.
    No,
}

impl Client {
    /// Has an action executed. A broken connection is mended, and the same execution waited for.
    ///
    /// # Errors
    /// When the server fails or cannot be reached any more.
    pub async fn execute(
        &self,
        action: BlobId,
        anew: bool,
        priority: i32,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Executed> {
        let request = re::ExecuteRequest {
            instance_name: self.instance.clone(),
            skip_cache_lookup: anew,
            action_digest: Some(action.into()),
            execution_policy: (priority != 0).then_some(re::ExecutionPolicy { priority }),
            inline_stdout: true,
            inline_stderr: true,
            ..re::ExecuteRequest::default()
        };
        let mut name: Option<String> = None;
        let mut failures = 0;
        loop {
            let begin = Instant::now();
            let error = match self.wait(&request, &mut name, progress).await {
                Ok(executed) => return Ok(executed),
                Err(error) => error,
            };
            if begin.elapsed() > CALM {
                failures = 0;
            }
            failures += 1;
            let forgotten = name.is_some()
                && matches!(&error, Error::Call { status, .. } if status.code == Code::NOT_FOUND);
            if forgotten {
                // only asking anew helps
                name = None;
            }
            if !(forgotten || error.is_transient()) || failures >= self.retry.attempts {
                return Err(error);
            }
            progress(Progress::Again(error.to_string()));
            pause(failures).await;
        }
    }

    /// Asks or waits once, until the end of the execution or of the stream.
    async fn wait(
        &self,
        request: &re::ExecuteRequest,
        name: &mut Option<String>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Executed> {
        let headers = self.headers();
        let (what, answer) = match name {
            None => (
                "executing the action",
                self.channel.ask(&path("Execute"), &headers, request).await,
            ),
            Some(name) => {
                let request = re::WaitExecutionRequest { name: name.clone() };
                (
                    "waiting for the action",
                    self.channel.ask(&path("WaitExecution"), &headers, &request).await,
                )
            }
        };
        let mut answers = answer.map_err(Error::call(what))?;
        let mut log_known = false;
        while let Some(operation) =
            answers.next::<re::Operation>().await.map_err(Error::call(what))?
        {
            if name.as_ref() != Some(&operation.name) && !operation.name.is_empty() {
                *name = Some(operation.name.clone());
                progress(Progress::Operation(operation.name.clone()));
            }
            if operation.done {
                // waiting for what has failed would find the same failure
                return ended(operation).inspect_err(|_| *name = None);
            }
            if !log_known && let Some(log) = log_stream(&operation) {
                log_known = true;
                progress(Progress::Log(log));
            }
        }
        Err(Error::Call {
            what: what.into(),
            status: Status::new(
                Code::UNAVAILABLE,
                "the server ended the stream before the action had ended",
            ),
        })
    }

    /// Says that nobody waits for an execution any more. Whether that helps is the server's business.
    pub async fn cancel(&self, name: String) {
        let request = re::CancelOperationRequest { name };
        let path = "/google.longrunning.Operations/CancelOperation";
        let _: std::result::Result<re::Empty, _> =
            self.channel.call(path, &self.headers(), &request, CALL).await;
    }
}

fn path(method: &str) -> String {
    format!("/build.bazel.remote.execution.v2.Execution/{method}")
}

fn log_stream(operation: &re::Operation) -> Option<String> {
    let metadata = operation.metadata.as_ref()?;
    let metadata = re::ExecuteOperationMetadata::decode(&metadata.value).ok()?;
    Some(metadata.stdout_stream_name).filter(|name| !name.is_empty())
}

fn ended(operation: re::Operation) -> Result<Executed> {
    if let Some(status) = operation.error {
        return failed(&status);
    }
    let none = || Error::Answer("the action has ended without a result".into());
    let response = operation.response.ok_or_else(none)?;
    let response = re::ExecuteResponse::decode(&response.value)
        .map_err(|e| Error::Answer(format!("what came of the action: {e}")))?;
    if let Some(status) = response.status.filter(|status| status.code != 0) {
        return failed(&status);
    }
    let result = response.result.ok_or_else(none)?;
    let cached = if response.cached_result { Cached::Yes } else { Cached::No };
    Ok(Executed::Done(Box::new(result), cached))
}

fn failed(status: &re::Status) -> Result<Executed> {
    match Code(status.code) {
        Code::DEADLINE_EXCEEDED => Ok(Executed::TimedOut),
        code => Err(Error::Call {
            what: "executing the action".into(),
            status: Status::new(code, status.message.clone()),
        }),
    }
}
