//! No bytes make the NAR reader panic, read more than there is, or nest without bound.
#![no_main]

use firn_model::nar::{Contents, Error, NarVisitor, read};
use libfuzzer_sys::fuzz_target;

struct Count {
    depth: usize,
}

impl NarVisitor for Count {
    type Error = Error;
    fn file(&mut self, _: bool, _: u64, contents: &mut Contents<'_>) -> Result<(), Error> {
        std::io::copy(contents, &mut std::io::sink())?;
        Ok(())
    }
    fn symlink(&mut self, target: &[u8]) -> Result<(), Error> {
        assert!(!target.is_empty());
        Ok(())
    }
    fn begin_directory(&mut self) -> Result<(), Error> {
        self.depth += 1;
        assert!(self.depth <= 64);
        Ok(())
    }
    fn begin_entry(&mut self, name: &[u8]) -> Result<(), Error> {
        assert!(!name.contains(&b'/') && name != b".." && name != b"." && !name.is_empty());
        Ok(())
    }
    fn end_entry(&mut self) -> Result<(), Error> {
        Ok(())
    }
    fn end_directory(&mut self) -> Result<(), Error> {
        self.depth -= 1;
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let _ = read(&mut rest, &mut Count { depth: 0 });
});
