//! A cluster as firn-build sees it: an [`Executor`] that takes builders one by one.
//!
//! Calls are made by a small runtime of their own; whoever builds waits in a thread, and looks meanwhile whether it
//! shall stop.

mod action;
mod inputs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use firn_build::executor::{
    Executor, ExecutorEnd, ExecutorError, ExecutorOutput, ExecutorRequest, Listener, Place,
};
use firn_build::sandbox::Exit;
use firn_event::Level;
use parking_lot::Mutex;
use tokio::runtime::Runtime;

use self::action::Prepared;
use self::inputs::Inputs;
use crate::address::ClusterSettings;
use crate::api::{BlobId, re};
use crate::client::{Cached, Client, Executed, Progress};
use crate::error::{Error, Result};
use crate::runner::{OUTPUTS, Report};
use crate::tree::place_outputs;

/// How often whoever waits looks whether it shall stop.
const TICK: Duration = Duration::from_millis(100);

/// How long to wait for the name of what was just begun, if it is to be cancelled.
const NAME_COMES: Duration = Duration::from_secs(2);
/// How long a cluster that could not be reached is not asked again.
const DOWN: Duration = Duration::from_secs(60);
/// How often an action is sent anew whose files the server has lost.
const LOST: u32 = 3;

/// A cluster.
pub struct Cluster {
    settings: ClusterSettings,
    places: Arc<Mutex<usize>>,
    inputs: Arc<Inputs>,
    connected: Mutex<Option<Connected>>,
    /// Until when it is not asked, and why.
    down: Mutex<Option<(Instant, String)>>,
}

#[derive(Clone)]
struct Connected {
    runtime: Arc<Runtime>,
    client: Client,
}

/// A place in the cluster.
struct Taken(Arc<Mutex<usize>>);

impl Drop for Taken {
    fn drop(&mut self) {
        *self.0.lock() += 1;
    }
}

/// What is heard while a builder runs.
enum Heard {
    Log(Vec<u8>),
    Message(Level, String),
    /// The operation can be cancelled by this name.
    Operation(String),
    End(std::result::Result<ExecutorEnd, Stopped>),
}

/// Why there was no end.
enum Stopped {
    Error(Error),
    Unfit(String),
    Unable(String),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

impl Cluster {
    /// A cluster. It is connected to when it is first needed.
    #[must_use]
    pub fn new(settings: ClusterSettings) -> Self {
        Self {
            places: Arc::new(Mutex::new(settings.max_jobs)),
            inputs: Arc::default(),
            connected: Mutex::new(None),
            down: Mutex::new(None),
            settings,
        }
    }

    /// The connection; made if there is none.
    fn connect(&self) -> std::result::Result<Connected, String> {
        let mut connected = self.connected.lock();
        if let Some(connected) = &*connected {
            connected.client.read_headers(&self.settings).map_err(|e| e.to_string())?;
            return Ok(connected.clone());
        }
        let mut down = self.down.lock();
        if let Some((until, why)) = &*down
            && Instant::now() < *until
        {
            return Err(why.clone());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("reapi")
            .enable_all()
            .build()
            .map_err(|e| format!("starting threads for it: {e}"))?;
        match runtime.block_on(Client::connect(&self.settings)) {
            Ok(client) => {
                let new = Connected { runtime: Arc::new(runtime), client };
                *connected = Some(new.clone());
                Ok(new)
            }
            Err(error) => {
                runtime.shutdown_background();
                let why = error.to_string();
                *down = Some((Instant::now() + DOWN, why.clone()));
                Err(why)
            }
        }
    }

    /// Follows the run until its end. What `hear` fails with ends it.
    fn follow(
        &self,
        connected: &Connected,
        request: &ExecutorRequest<'_>,
        heard: &Receiver<Heard>,
        hear: &mut Listener<'_>,
    ) -> std::result::Result<ExecutorEnd, ExecutorError> {
        let mut operation = None;
        loop {
            let result = match heard.recv_timeout(TICK) {
                Ok(Heard::End(Ok(end))) => return Ok(end),
                Ok(Heard::End(Err(stopped))) => return Err(self.stopped(stopped)),
                Ok(Heard::Log(data)) => hear(ExecutorOutput::Log(&data)),
                Ok(Heard::Message(level, text)) => {
                    request.logger.message(level, text);
                    Ok(())
                }
                Ok(Heard::Operation(name)) => {
                    operation = Some(name);
                    Ok(())
                }
                Err(RecvTimeoutError::Timeout) => hear(ExecutorOutput::Silence),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(ExecutorError::Unavailable(
                        "a bug in this program stopped the build; please report it".into(),
                    ));
                }
            };
            if let Err(failure) = result {
                if let Some(name) = operation.or_else(|| name_soon(heard)) {
                    connected.runtime.block_on(connected.client.cancel(name));
                }
                return Err(failure.into());
            }
        }
    }

    fn stopped(&self, stopped: Stopped) -> ExecutorError {
        match stopped {
            Stopped::Error(Error::NotText(path)) => {
                ExecutorError::Unfit(Error::NotText(path).to_string())
            }
            Stopped::Unfit(why) => ExecutorError::Unfit(why),
            Stopped::Unable(why) => ExecutorError::Unavailable(format!(
                "the machine that it chose cannot run it: {why}"
            )),
            Stopped::Error(error) => ExecutorError::Unavailable(error.to_string()),
        }
    }
}

/// The name of an execution that was asked for and may be about to be told, without which it cannot be cancelled.
fn name_soon(heard: &Receiver<Heard>) -> Option<String> {
    let end = Instant::now() + NAME_COMES;
    loop {
        match heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(Heard::Operation(name)) => return Some(name),
            Ok(Heard::End(_)) | Err(_) => return None,
            Ok(Heard::Log(_) | Heard::Message(..)) => {}
        }
    }
}

impl Executor for Cluster {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn can_build(&self, system: &str, features: &BTreeSet<String>) -> bool {
        let settings = &self.settings;
        settings.systems.contains(system)
            && features
                .iter()
                .all(|f| settings.supported.contains(f) || settings.mandatory.contains(f))
            && settings.mandatory.is_subset(features)
    }

    fn place(&self) -> Option<Place> {
        let mut free = self.places.lock();
        *free = free.checked_sub(1)?;
        Some(Box::new(Taken(self.places.clone())))
    }

    fn run(
        &self,
        request: &ExecutorRequest<'_>,
        hear: &mut Listener<'_>,
    ) -> std::result::Result<ExecutorEnd, ExecutorError> {
        let connected = self.connect().map_err(ExecutorError::Unavailable)?;
        let stopped = |error: Error| self.stopped(error.into());
        let prepared = action::prepare(&self.settings, &connected.client, &self.inputs, request)
            .map_err(stopped)?;
        let run = Run {
            client: connected.client.clone(),
            inputs: self.inputs.clone(),
            prepared,
            places: request.outputs.iter().map(|(n, d)| (n.clone(), d.place.clone())).collect(),
            anew: request.anew,
            priority: self.settings.priority,
            logged: Arc::default(),
        };
        let (sender, heard) = channel();
        let task = connected.runtime.spawn(async move {
            let end = run.to_the_end(&sender).await;
            let _ = sender.send(Heard::End(end));
        });
        let result = self.follow(&connected, request, &heard, hear);
        // Nothing may be written any more once this returns. It is at its end, or somebody gave up.
        task.abort();
        let _ = connected.runtime.block_on(task);
        result
    }
}

/// One run, from sending what it needs to putting its outputs into place.
struct Run {
    client: Client,
    inputs: Arc<Inputs>,
    prepared: Prepared,
    places: BTreeMap<String, PathBuf>,
    anew: bool,
    priority: i32,
    /// How much of the log was heard.
    logged: Arc<AtomicUsize>,
}

impl Run {
    async fn to_the_end(
        &self,
        sender: &Sender<Heard>,
    ) -> std::result::Result<ExecutorEnd, Stopped> {
        let (mut anew, mut lost) = (self.anew, 0);
        loop {
            self.logged.store(0, Ordering::Relaxed);
            self.send(sender).await?;
            let attempt = self.execute(anew, sender).await;
            match attempt {
                // servers drop what was long not asked for
                Err(Stopped::Error(error)) if error.is_lost_blob() && lost < LOST => {
                    lost += 1;
                    self.inputs.forget();
                    let text = format!("sending the inputs again: {error}");
                    let _ = sender.send(Heard::Message(Level::Talkative, text));
                    // a result whose files are lost is of no use
                    anew = true;
                }
                Ok(None) => anew = true,
                Ok(Some(end)) => return Ok(end),
                Err(stopped) => return Err(stopped),
            }
        }
    }

    /// Sends what the server lacks.
    async fn send(&self, sender: &Sender<Heard>) -> Result<()> {
        let begin = Instant::now();
        let mut sent = self.inputs.send(&self.client, &self.prepared.trees).await?;
        sent += self.client.upload(self.prepared.blobs.clone()).await?;
        let text = format!("sent {sent} bytes in {} ms", begin.elapsed().as_millis());
        let _ = sender.send(Heard::Message(Level::Chatty, text));
        Ok(())
    }

    /// Executes once; `None` if what came of it is a failure of another time.
    async fn execute(
        &self,
        anew: bool,
        sender: &Sender<Heard>,
    ) -> std::result::Result<Option<ExecutorEnd>, Stopped> {
        let following = Mutex::new(None);
        let progress = |step| match step {
            Progress::Operation(name) => {
                let _ = sender.send(Heard::Operation(name));
            }
            Progress::Again(why) => {
                let _ =
                    sender.send(Heard::Message(Level::Talkative, format!("trying again: {why}")));
            }
            Progress::Log(name) => {
                let mut following = following.lock();
                if following.is_none() {
                    let (client, sender, logged) =
                        (self.client.clone(), sender.clone(), self.logged.clone());
                    *following = Some(tokio::spawn(async move {
                        let take = |data: Vec<u8>| {
                            logged.fetch_add(data.len(), Ordering::Relaxed);
                            let _ = sender.send(Heard::Log(data));
                        };
                        client.follow(name, take).await;
                    }));
                }
            }
        };
        let executed =
            self.client.execute(self.prepared.action, anew, self.priority, &progress).await;
        let following = following.lock().take();
        if let Some(following) = following {
            // what it has not heard by now is in the result
            following.abort();
            let _ = following.await;
        }
        let executed = executed?;
        let (result, cached) = match executed {
            Executed::TimedOut => return Ok(Some(ExecutorEnd::TimedOut)),
            Executed::Done(result, cached) => (result, cached),
        };
        let printed = self.stream(&result.stderr_raw, result.stderr_digest.as_ref()).await?;
        let report = Report::find(&printed);
        if cached == Cached::Yes && !anew && report != Some(Report::Code(0)) {
            // Some servers keep failures. Whoever builds again wants to see whether it fails again.
            return Ok(None);
        }
        if cached == Cached::Yes {
            let text = "its result was known to the cluster".to_owned();
            let _ = sender.send(Heard::Message(Level::Talkative, text));
        }
        let output = self.stream(&result.stdout_raw, result.stdout_digest.as_ref()).await?;
        let logged = self.logged.swap(output.len(), Ordering::Relaxed);
        if let Some(rest) = output.get(logged..)
            && !rest.is_empty()
        {
            let _ = sender.send(Heard::Log(rest.to_vec()));
        }
        let end = match report {
            Some(Report::Code(0)) => {
                place_outputs(&self.client, &result, OUTPUTS, &self.places).await?;
                ExecutorEnd::Exited(Exit::Code(0))
            }
            Some(Report::Code(code)) => ExecutorEnd::Exited(Exit::Code(code)),
            Some(Report::Signal(signal)) => ExecutorEnd::Exited(Exit::Signal(signal)),
            Some(Report::Lost) => ExecutorEnd::Exited(Exit::Lost),
            Some(Report::TimedOut) => ExecutorEnd::TimedOut,
            Some(Report::Silent) => ExecutorEnd::Silent,
            Some(Report::LogTooLong) => ExecutorEnd::LogTooLong,
            Some(Report::BadOutput(why)) => ExecutorEnd::BadOutput(why),
            Some(Report::Unfit(why)) => return Err(Stopped::Unfit(why)),
            Some(Report::Unable(why)) => return Err(Stopped::Unable(why)),
            None => {
                let text = String::from_utf8_lossy(&printed);
                let mut why = format!(
                    "the runner ended with exit code {} before it could say why",
                    result.exit_code
                );
                if !text.trim().is_empty() {
                    why.push_str(&format!(": {}", last_lines(text.trim())));
                }
                if !firn_build::is_static(&self.prepared.runner) {
                    why.push_str(&format!(
                        "; '{}' is linked dynamically, so it may miss libraries there: name a static one by the parameter 'runner'",
                        self.prepared.runner.display()
                    ));
                }
                return Err(Stopped::Unable(why));
            }
        };
        Ok(Some(end))
    }

    /// What was printed, which is in the result or a blob.
    async fn stream(&self, raw: &[u8], digest: Option<&re::Digest>) -> Result<Vec<u8>> {
        match digest {
            Some(digest) if raw.is_empty() => {
                let id = BlobId::try_from(digest).map_err(Error::Answer)?;
                self.client.fetch(id).await
            }
            _ => Ok(raw.to_vec()),
        }
    }
}

/// The end of a text, for an error.
fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}
