//! Running commands inside a machine over a byte stream: one JSON object a line.
//!
//! The host sends `{"ping":N}` until the agent answers `{"pong":N}`, then `{"argv":["…"]}`, which the
//! agent answers with any number of `{"out":"…"}` and at last `{"exit":0}`. Hosts come and go; one is
//! served at a time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

#[derive(Debug, Serialize, Deserialize)]
struct Request {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ping: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    argv: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Answer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pong: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    out: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exit: Option<i32>,
}

/// The guest's side: answers requests from `input` on `output` until `input` ends.
///
/// # Errors
/// If the stream fails.
pub fn serve(input: impl Read, mut output: impl Write) -> io::Result<()> {
    let mut say = |answer: Answer| -> io::Result<()> {
        let mut line = serde_json::to_vec(&answer)?;
        line.push(b'\n');
        output.write_all(&line)?;
        output.flush()
    };
    for line in BufReader::new(input).lines() {
        let line = line?;
        // a line that is no request is what was typed before the other side listened
        let Ok(request) = serde_json::from_str::<Request>(line.trim()) else { continue };
        if request.ping.is_some() {
            say(Answer { pong: request.ping, ..Answer::default() })?;
        }
        let [program, arguments @ ..] = &request.argv[..] else { continue };
        let pipe = io::pipe()?;
        let spawned = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(pipe.1.try_clone()?)
            .stderr(pipe.1)
            .spawn();
        let exit = match spawned {
            Ok(mut child) => {
                let mut reader = pipe.0;
                let mut buffer = [0; 4096];
                loop {
                    let got = reader.read(&mut buffer)?;
                    if got == 0 {
                        break;
                    }
                    let out = String::from_utf8_lossy(&buffer[..got]).into_owned();
                    say(Answer { out: Some(out), ..Answer::default() })?;
                }
                child.wait()?.code().unwrap_or(255)
            }
            Err(e) => {
                let out = format!("error: cannot run '{program}': {e}\n");
                say(Answer { out: Some(out), ..Answer::default() })?;
                127
            }
        };
        say(Answer { exit: Some(exit), ..Answer::default() })?;
    }
    Ok(())
}

/// Opens a serial port as a plain byte stream: no echo, no line editing, no translation.
///
/// # Errors
/// If it cannot be opened or is no terminal.
pub fn open_serial(device: &std::path::Path) -> io::Result<std::fs::File> {
    let port = std::fs::File::options().read(true).write(true).open(device)?;
    let mut settings = rustix::termios::tcgetattr(&port)?;
    settings.make_raw();
    rustix::termios::tcsetattr(&port, rustix::termios::OptionalActions::Now, &settings)?;
    Ok(port)
}

/// The host's side.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    /// What has come of a line that is not complete yet.
    pending: Vec<u8>,
}

impl Client {
    /// Asks on `stream` until the agent answers, at most for `patience`; `alive` tells whether it
    /// still can.
    ///
    /// # Errors
    /// If the stream ends, `alive` says no, or the time is over.
    pub fn connect(
        stream: UnixStream,
        patience: Duration,
        alive: &mut dyn FnMut() -> bool,
    ) -> Result<Self> {
        let broken =
            |e: io::Error| Error::Other(format!("the machine's agent cannot be reached: {e}"));
        stream.set_read_timeout(Some(Duration::from_millis(250))).map_err(broken)?;
        let mut client = Self { stream, pending: Vec::new() };
        let end = Instant::now() + patience;
        let mut number = u64::from(std::process::id()) << 32;
        while Instant::now() < end && alive() {
            number += 1;
            client.send(&Request { ping: Some(number), argv: Vec::new() })?;
            // an answer to an earlier question may still be on its way; only this one counts
            while let Some(answer) = client.answer()? {
                if answer.pong == Some(number) {
                    client.stream.set_read_timeout(None).map_err(broken)?;
                    return Ok(client);
                }
            }
        }
        Err(Error::Other(format!(
            "the machine's agent did not answer within {} seconds",
            patience.as_secs()
        )))
    }

    fn send(&mut self, request: &Request) -> Result<()> {
        let mut line = serde_json::to_vec(request).map_err(|e| Error::Other(e.to_string()))?;
        line.push(b'\n');
        self.stream
            .write_all(&line)
            .map_err(|e| Error::Other(format!("the machine's agent cannot be reached: {e}")))
    }

    /// The next answer, or none if nothing came within the stream's time-out.
    fn answer(&mut self) -> Result<Option<Answer>> {
        loop {
            while let Some(end) = self.pending.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                // the console driver may have echoed something before the agent took over
                let start = line.iter().position(|b| *b == b'{').unwrap_or(0);
                if let Ok(answer) = serde_json::from_slice(&line[start..]) {
                    return Ok(Some(answer));
                }
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(Error::Other("the machine has stopped".into())),
                Ok(got) => self.pending.extend_from_slice(&buffer[..got]),
                Err(e)
                    if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
                {
                    return Ok(None);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    return Err(Error::Other(format!(
                        "the machine's agent cannot be reached: {e}"
                    )));
                }
            }
        }
    }

    /// Runs a program inside and gives `output` what it writes; returns its exit code.
    ///
    /// # Errors
    /// If the machine stops meanwhile.
    pub fn run(&mut self, argv: &[String], output: &mut dyn FnMut(&str)) -> Result<i32> {
        self.send(&Request { ping: None, argv: argv.to_vec() })?;
        loop {
            let Some(answer) = self.answer()? else { continue };
            if let Some(text) = answer.out {
                output(&text);
            }
            if let Some(code) = answer.exit {
                return Ok(code);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_run_and_their_output_and_code_come_back() {
        let (host, guest) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || serve(guest.try_clone().unwrap(), guest));
        let mut client = Client::connect(host, Duration::from_secs(5), &mut || true).unwrap();
        let mut text = String::new();
        let argv = ["sh", "-c", "echo a; echo b >&2; exit 3"].map(str::to_owned);
        assert_eq!(client.run(&argv, &mut |t| text += t).unwrap(), 3);
        assert_eq!(text, "a\nb\n");
        let missing = ["/no/such/program".to_owned()];
        assert_eq!(client.run(&missing, &mut |t| text += t).unwrap(), 127);
        assert!(text.contains("cannot run '/no/such/program'"));
        drop(client);
        server.join().unwrap().unwrap();
    }
}
