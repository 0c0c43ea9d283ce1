//! The other side of the serve protocol. Whoever may start the program is trusted, but writes only if it was started
//! for that.

use std::io::{BufReader, BufWriter, Read, Write};

use firn_build::DerivedPath;
use firn_model::path_info::PathInfo;
use firn_store::{ClosureOptions, Repair, export};

use super::codec::{BuildSettings, ServeCodec};
use super::{Command, LATEST, SERVE_MAGIC_1, SERVE_MAGIC_2, Version};
use crate::error::{Error, Result};
use crate::managed::{ClientOptions, ManagedStore};
use crate::protocol::{self, BuildMode, Codec};
use crate::wire::{WireRead, WireReader, WireWrite as _};

/// The version in which information about paths is written where one is added.
const WHOLE_INFO: protocol::Version = protocol::Version(16);

struct Session<'a> {
    reader: WireRead<'a>,
    writer: BufWriter<Box<dyn Write + 'a>>,
    codec: ServeCodec,
    store: &'a dyn ManagedStore,
    writes: bool,
    defaults: ClientOptions,
}

/// Serves a client until it hangs up. `defaults` is what builds use but for what the client says.
///
/// # Errors
/// If the client makes no sense or asks for what it may not have; nothing tells it but that the connection ends.
pub fn serve(
    reader: impl Read + Send,
    writer: impl Write,
    store: &dyn ManagedStore,
    writes: bool,
    defaults: ClientOptions,
) -> Result<()> {
    let reader: Box<dyn Read + Send + '_> = Box::new(BufReader::with_capacity(64 * 1024, reader));
    let writer: Box<dyn Write + '_> = Box::new(writer);
    let mut session = Session {
        reader: WireReader::new(reader),
        writer: BufWriter::with_capacity(64 * 1024, writer),
        codec: ServeCodec::new(store.store().store_dir().clone(), LATEST),
        store,
        writes,
        defaults,
    };
    session.greet()?;
    loop {
        session.reader.begin();
        let Some(number) = session.reader.number_or_end()? else { return Ok(()) };
        let command = Command::from_number(number)
            .ok_or_else(|| Error::protocol(format!("unknown serve command {number}")))?;
        session.perform(command)?;
        session.writer.flush().map_err(answering)?;
    }
}

fn answering(error: std::io::Error) -> Error {
    Error::io("writing to the client")(error)
}

impl Session<'_> {
    fn greet(&mut self) -> Result<()> {
        if self.reader.number()? != SERVE_MAGIC_1 {
            return Err(Error::protocol("protocol mismatch"));
        }
        let w = &mut self.writer;
        w.number(SERVE_MAGIC_2)
            .and_then(|()| w.number(LATEST.wire()))
            .and_then(|()| w.flush())
            .map_err(answering)?;
        let theirs = Version::from_wire(self.reader.number()?)
            .ok_or_else(|| Error::protocol("the client speaks an unsupported version"))?;
        self.codec.version = theirs.min(LATEST);
        Ok(())
    }

    fn must_write(&self, what: &str) -> Result<()> {
        if self.writes {
            return Ok(());
        }
        Err(Error::Refused(format!("{what} paths is not allowed")))
    }

    fn perform(&mut self, command: Command) -> Result<()> {
        let store = self.store.store();
        match command {
            Command::QueryValidPaths => {
                let (lock, substitute) = (self.reader.bool()?, self.reader.bool()?);
                let paths = self.codec.common.paths(&mut self.reader)?;
                if lock && self.writes {
                    for path in &paths {
                        store.add_temp_root(path)?;
                    }
                }
                let valid = self.store.query_valid(&paths, substitute && self.writes)?;
                self.codec.common.put_paths(&mut self.writer, &valid).map_err(answering)
            }
            Command::QueryPathInfos => {
                for path in self.codec.common.paths(&mut self.reader)? {
                    let Some(info) = store.query_path_info(&path)? else { continue };
                    self.codec.common.put_path(&mut self.writer, &path).map_err(answering)?;
                    self.codec.put_path_info(&mut self.writer, &info).map_err(answering)?;
                }
                self.writer.text("").map_err(answering)
            }
            Command::DumpStorePath => {
                let path = self.codec.common.path(&mut self.reader)?;
                Ok(store.nar_from_path(&path, &mut self.writer)?)
            }
            Command::ImportPaths => {
                self.must_write("importing")?;
                export::import_paths(store, self.reader.raw())?;
                self.writer.number(1).map_err(answering)
            }
            Command::BuildPaths => self.build_paths(),
            Command::QueryClosure => {
                let include_outputs = self.reader.bool()?;
                let paths = self.codec.common.paths(&mut self.reader)?;
                let options = ClosureOptions { include_outputs, ..ClosureOptions::default() };
                let closure = store.compute_closure(&paths, options)?;
                self.codec.common.put_paths(&mut self.writer, &closure).map_err(answering)
            }
            Command::BuildDerivation => {
                self.must_write("building")?;
                let path = self.codec.common.path(&mut self.reader)?;
                let name = path.derivation_name().map_err(Error::model)?;
                let drv = self.codec.common.derivation(&mut self.reader, name)?;
                let settings = self.codec.settings(&mut self.reader)?;
                self.use_settings(settings)?;
                let result = self.store.build_derivation(&path, &drv, BuildMode::Normal)?;
                self.codec.put_build_result(&mut self.writer, &result).map_err(answering)
            }
            Command::AddToStoreNar => self.add_nar(),
        }
    }

    fn build_paths(&mut self) -> Result<()> {
        self.must_write("building")?;
        let texts: Vec<String> = self.reader.texts()?;
        let codec = &self.codec.common;
        let wanted = texts
            .iter()
            .map(|text| codec.parse_derived_path(text))
            .collect::<Result<Vec<DerivedPath>>>()?;
        let settings = self.codec.settings(&mut self.reader)?;
        self.use_settings(settings)?;
        let (status, message) = match self.store.build(&wanted, BuildMode::Normal) {
            Ok(results) => {
                match results.into_iter().find(|each| !each.result.status.is_success()) {
                    None => (0, String::new()),
                    Some(each) => (u64::from(each.result.status.wire()), each.result.error),
                }
            }
            Err(e) => (firn_build::BuildStatus::MiscFailure as u64, e.to_string()),
        };
        self.writer.number(status).map_err(answering)?;
        if status != 0 {
            self.writer.text(&message).map_err(answering)?;
        }
        Ok(())
    }

    /// Clients build here what they want built: logs go to them, and what could be fetched they fetch themselves.
    fn use_settings(&self, settings: BuildSettings) -> Result<()> {
        let mut options = self.defaults.clone();
        options.substitute = false;
        options.keep_failed |= settings.keep_failed;
        options.max_silent_time = settings.max_silent_time;
        for (name, value) in [
            ("timeout", settings.timeout.to_string()),
            ("max-build-log-size", settings.max_log_size.to_string()),
            ("keep-build-log", "false".to_owned()),
        ] {
            options.overrides.insert(name.to_owned(), value);
        }
        self.store.set_options(&options, true)
    }

    fn add_nar(&mut self) -> Result<()> {
        self.must_write("importing")?;
        let codec = Codec::new(self.codec.common.dir.clone(), WHOLE_INFO);
        let path = codec.path(&mut self.reader)?;
        let info: PathInfo = codec.path_info(&mut self.reader, path)?;
        if info.nar_size == 0 {
            return Err(Error::protocol("narInfo is too old and missing the narSize field"));
        }
        let mut nar = self.reader.raw().take(info.nar_size);
        self.store.add_to_store(&info, &mut nar, Repair::No, false)?;
        // the store does not read what it has already
        std::io::copy(&mut nar, &mut std::io::sink())
            .map_err(Error::io("reading a NAR from the client"))?;
        self.writer.number(1).map_err(answering)
    }
}
