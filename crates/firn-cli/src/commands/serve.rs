//! `firn serve`: the store of this machine as a binary cache over HTTP.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use firn_event::Level;
use firn_model::signature::SecretKey;
use firn_serve::{Retention, ServeOptions, Server};
use firn_store::settings::parse_number;
use firn_store::{LocalStore, Trust};

use crate::common::interrupt;
use crate::common::legacy::{self, Arguments, Common, Failure, Outcome, Taken, fail, usage};

/// Runs `firn serve`.
pub fn run(_name: &str, args: Vec<OsString>) -> ExitCode {
    legacy::run("firn serve", |out| main(args, out))
}

/// What the flags say.
#[derive(Default)]
struct Flags {
    listen: Option<String>,
    keys: Vec<String>,
    tokens: Vec<String>,
    priority: Option<i64>,
    compression: Option<String>,
    level: Option<i32>,
    connections: Option<usize>,
    max_age: Option<Duration>,
    max_size: Option<u64>,
    max_upload: Option<u64>,
    help: bool,
}

impl Flags {
    fn take(&mut self, arg: &str, rest: &mut Arguments) -> Outcome<Taken> {
        match arg {
            "--help" => self.help = true,
            "--listen" => self.listen = Some(rest.value(arg)?),
            "--secret-key-file" => self.keys.push(rest.value(arg)?),
            "--token-file" => self.tokens.push(rest.value(arg)?),
            "--priority" => self.priority = Some(number(arg, &rest.value(arg)?)?),
            "--compression" => self.compression = Some(rest.value(arg)?),
            "--compression-level" => self.level = Some(number(arg, &rest.value(arg)?)?),
            "--max-connections" => self.connections = Some(number(arg, &rest.value(arg)?)?),
            "--max-age" => self.max_age = Some(duration(arg, &rest.value(arg)?)?),
            "--max-size" => self.max_size = Some(parse_number(&rest.value(arg)?)?),
            "--max-upload" => self.max_upload = Some(parse_number(&rest.value(arg)?)?),
            _ => return Ok(Taken::No),
        }
        Ok(Taken::Yes)
    }
}

fn number<N: std::str::FromStr>(flag: &str, text: &str) -> Outcome<N> {
    text.parse().map_err(|_| Failure::Usage(format!("'{flag}' requires a number, not '{text}'")))
}

/// `30d`, `12h`, `90m`, `20s`
fn duration(flag: &str, text: &str) -> Outcome<Duration> {
    let wrong = || {
        Failure::Usage(format!("'{flag}' requires a time such as 30d, 12h or 90m, not '{text}'"))
    };
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        'd' => 24 * 3600,
        'h' => 3600,
        'm' => 60,
        's' => 1,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(count.checked_mul(seconds).ok_or_else(wrong)?))
}

fn read(file: &str) -> Outcome<String> {
    std::fs::read_to_string(file).map_err(|e| {
        Failure::Message(format!("opening file '{file}': {}", firn_store::error::errno_text(&e)))
    })
}

fn main(args: Vec<OsString>, out: &mut dyn Write) -> Outcome {
    let mut flags = Flags::default();
    let common = Common::parse("firn serve", args, |_, arg, rest| flags.take(arg, rest))?;
    if flags.help {
        return Ok(out.write_all(HELP.as_bytes())?);
    }
    let mut options = ServeOptions {
        trust: Trust::from_settings(&common.settings)?,
        logger: common.logger(),
        ..ServeOptions::default()
    };
    for file in &flags.keys {
        let key: SecretKey =
            read(file)?.trim_end().parse().map_err(|e: firn_model::signature::Error| {
                Failure::Message(format!("'{file}': {e}"))
            })?;
        options.secret_keys.push(key);
    }
    for file in &flags.tokens {
        let tokens = read(file)?;
        let tokens = tokens.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        options.tokens.extend(tokens.map(str::to_owned));
        if options.tokens.is_empty() {
            return fail(format!("there is no token in '{file}'; it has one a line"));
        }
    }
    match flags.compression.as_deref() {
        None | Some("none") => {}
        Some("zstd") => options.zstd = Some(flags.level.unwrap_or(3)),
        Some(other) => {
            return usage(format!("'--compression' must be 'none' or 'zstd', not '{other}'"));
        }
    }
    options.priority = flags.priority.unwrap_or(options.priority);
    options.connections = flags.connections.unwrap_or(options.connections);
    options.max_upload = flags.max_upload.unwrap_or(options.max_upload);
    options.retention =
        Retention { max_age: flags.max_age, max_size: flags.max_size, ..Retention::default() };
    let uploads = !options.tokens.is_empty();
    let signed = !options.secret_keys.is_empty();
    let store: Arc<LocalStore> = common.open_store()?.shared_local("serve")?;
    let listen = flags.listen.as_deref().unwrap_or("127.0.0.1:5000");
    let server = Server::bind(listen, store, options)?;
    let address = server.address()?;
    let logger = common.logger();
    if !signed {
        logger.warn(
            "nothing is signed without '--secret-key-file'; clients then trust only what was signed before",
        );
    }
    logger.message(
        Level::Notice,
        format!(
            "serving the store at http://{address}/{}",
            if uploads { ", which takes uploads" } else { "" }
        ),
    );
    let stop = interrupt::flag();
    server.run(&stop)?;
    Ok(())
}

const HELP: &str = "\
Usage: firn serve [FLAG…]

Serves the store of this machine as a binary cache over HTTP. Others use it with
'--option substituters http://HOST:5000' and its public key in 'trusted-public-keys'.

      --listen ADDRESS:PORT       where to listen, 127.0.0.1:5000 if not given
      --secret-key-file FILE      sign what is told of paths with this key
      --priority N                lower numbers are asked first, 30 if not given
      --compression METHOD        compress archives on their way out: none (if not given) or zstd
      --compression-level N       how much, 3 if not given
      --max-connections N         how many clients at a time, 1024 if not given
      --token-file FILE           allow uploads with one of the tokens in this file, one a line, as
                                  'Authorization: Bearer TOKEN' or as the password in a netrc file
      --max-upload SIZE           the largest file that may be uploaded, 16G if not given
      --max-age TIME              delete what was uploaded and not asked for so long: 30d, 12h
      --max-size SIZE             delete the oldest of what was uploaded beyond this size: 100G

Uploads must be signed by a key of 'trusted-public-keys', unless 'require-sigs' is false.
";
