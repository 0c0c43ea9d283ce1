//! No text makes the evaluator's JSON reader panic or recurse without bound; nested parts come in pairs.
#![no_main]

use firn_eval::text::json::{JsonError, Visitor, parse};
use libfuzzer_sys::fuzz_target;

#[derive(Default)]
struct Nesting {
    open: Vec<bool>,
}

impl Visitor for Nesting {
    type Error = JsonError;
    fn null(&mut self) -> Result<(), JsonError> {
        Ok(())
    }
    fn boolean(&mut self, _: bool) -> Result<(), JsonError> {
        Ok(())
    }
    fn integer(&mut self, _: i64) -> Result<(), JsonError> {
        Ok(())
    }
    fn float(&mut self, _: f64) -> Result<(), JsonError> {
        Ok(())
    }
    fn string(&mut self, _: &[u8]) -> Result<(), JsonError> {
        Ok(())
    }
    fn begin_list(&mut self) -> Result<(), JsonError> {
        self.open.push(true);
        Ok(())
    }
    fn end_list(&mut self) -> Result<(), JsonError> {
        assert_eq!(self.open.pop(), Some(true));
        Ok(())
    }
    fn begin_object(&mut self) -> Result<(), JsonError> {
        self.open.push(false);
        Ok(())
    }
    fn key(&mut self, _: &[u8]) -> Result<(), JsonError> {
        assert_eq!(self.open.last(), Some(&false));
        Ok(())
    }
    fn end_object(&mut self) -> Result<(), JsonError> {
        assert_eq!(self.open.pop(), Some(false));
        Ok(())
    }
}

fuzz_target!(|text: &[u8]| {
    let mut nesting = Nesting::default();
    if parse(text, &mut nesting).is_ok() {
        assert!(nesting.open.is_empty());
    }
});
