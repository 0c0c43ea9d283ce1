//! The contents of a NAR that holds one regular file, such as a derivation.

use std::io::Read as _;

use firn_model::nar::{self, Contents, NarVisitor};

use crate::error::{Error, Result};

/// The contents of the one file of a NAR in memory.
///
/// # Errors
/// If it holds something else.
pub(crate) fn only_file(nar: &[u8]) -> Result<Vec<u8>> {
    let mut file = OneFile(None);
    nar::read(&mut &*nar, &mut file).map_err(Error::model)?;
    file.0.ok_or_else(|| Error::protocol("a regular file was expected"))
}

struct OneFile(Option<Vec<u8>>);

impl NarVisitor for OneFile {
    type Error = nar::Error;
    fn file(&mut self, _: bool, _: u64, contents: &mut Contents<'_>) -> Result<(), nar::Error> {
        let mut bytes = Vec::new();
        contents.read_to_end(&mut bytes)?;
        self.0 = Some(bytes);
        Ok(())
    }
    fn symlink(&mut self, _: &[u8]) -> Result<(), nar::Error> {
        Ok(())
    }
    fn begin_directory(&mut self) -> Result<(), nar::Error> {
        Ok(())
    }
    fn begin_entry(&mut self, _: &[u8]) -> Result<(), nar::Error> {
        Ok(())
    }
    fn end_entry(&mut self) -> Result<(), nar::Error> {
        Ok(())
    }
    fn end_directory(&mut self) -> Result<(), nar::Error> {
        self.0 = None;
        Ok(())
    }
}
