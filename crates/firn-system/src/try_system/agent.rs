//! Running commands inside a machine over a byte stream: one JSON object a line.
//!
//! The host sends `{"argv":["…"],"stdin":"…"}`; the agent answers `{"ready":true}` once, and for each
//! request any number of `{"out":"…"}` and at last `{"exit":0}`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

#[derive(Debug, Serialize, Deserialize)]
struct Request {
    argv: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Answer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ready: Option<bool>,
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
    say(Answer { ready: Some(true), ..Answer::default() })?;
    for line in BufReader::new(input).lines() {
        let line = line?;
        // a line that is no request is what was typed before the other side listened
        let Ok(request) = serde_json::from_str::<Request>(line.trim()) else { continue };
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

/// The host's side.
#[derive(Debug)]
pub struct Client<S: Read + Write> {
    stream: BufReader<S>,
}

impl<S: Read + Write> Client<S> {
    /// Waits on `stream` until the agent is ready.
    ///
    /// # Errors
    /// If the stream ends before.
    pub fn connect(stream: S) -> Result<Self> {
        let mut client = Self { stream: BufReader::new(stream) };
        while client.answer()?.ready != Some(true) {}
        Ok(client)
    }

    fn answer(&mut self) -> Result<Answer> {
        let gone = |e: String| Error::Other(format!("the machine's agent does not answer: {e}"));
        loop {
            let mut line = Vec::new();
            let got = self.stream.read_until(b'\n', &mut line).map_err(|e| gone(e.to_string()))?;
            if got == 0 {
                return Err(gone("the machine has stopped".into()));
            }
            // the console driver may have echoed something before the agent took over
            let start = line.iter().position(|b| *b == b'{').unwrap_or(0);
            if let Ok(answer) = serde_json::from_slice(&line[start..]) {
                return Ok(answer);
            }
        }
    }

    /// Runs a program inside and gives `output` what it writes; returns its exit code.
    ///
    /// # Errors
    /// If the machine stops meanwhile.
    pub fn run(&mut self, argv: &[String], output: &mut dyn FnMut(&str)) -> Result<i32> {
        let mut line = serde_json::to_vec(&Request { argv: argv.to_vec() })
            .map_err(|e| Error::Other(e.to_string()))?;
        line.push(b'\n');
        self.stream
            .get_mut()
            .write_all(&line)
            .map_err(|e| Error::Other(format!("the machine's agent cannot be reached: {e}")))?;
        loop {
            let answer = self.answer()?;
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
    use std::os::unix::net::UnixStream;

    #[test]
    fn commands_run_and_their_output_and_code_come_back() {
        let (host, guest) = UnixStream::pair().unwrap();
        let server = std::thread::spawn(move || serve(guest.try_clone().unwrap(), guest));
        let mut client = Client::connect(host).unwrap();
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
