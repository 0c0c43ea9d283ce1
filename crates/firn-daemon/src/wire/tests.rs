use std::io::{Cursor, Read as _, Write as _};

use proptest::prelude::*;

use super::framed::{FramedReader, FramedWriter};
use super::*;

proptest! {
    #[test]
    fn what_is_written_is_read(number: u64, bytes: Vec<u8>, texts: Vec<String>) {
        let mut out = Vec::new();
        out.number(number).unwrap();
        WireWrite::bytes(&mut out, &bytes).unwrap();
        out.texts(&texts).unwrap();
        prop_assert_eq!(out.len() % 8, 0);
        let mut reader = WireReader::new(&*out);
        prop_assert_eq!(reader.number().unwrap(), number);
        prop_assert_eq!(reader.bytes().unwrap(), bytes);
        prop_assert_eq!(reader.texts::<Vec<_>>().unwrap(), texts);
        prop_assert_eq!(reader.number_or_end().unwrap(), None);
    }

    #[test]
    fn any_bytes_are_no_panic(bytes: Vec<u8>) {
        let mut reader = WireReader::with_budget(&*bytes, 1 << 20);
        let _ = reader.texts::<Vec<_>>();
        let mut reader = WireReader::with_budget(&*bytes, 1 << 20);
        let _ = reader.bytes();
        let mut sink = Vec::new();
        let _ = FramedReader::new(&*bytes).read_to_end(&mut sink);
    }

    #[test]
    fn frames_come_back_as_one_stream(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100_000), 0..5), after: u64) {
        let mut out = Vec::new();
        let mut writer = FramedWriter::new(&mut out);
        for piece in &pieces {
            writer.write_all(piece).unwrap();
        }
        writer.finish().unwrap();
        out.number(after).unwrap();
        let mut source = Cursor::new(out);
        let mut frames = FramedReader::new(&mut source);
        let mut all = Vec::new();
        frames.read_to_end(&mut all).unwrap();
        frames.finish().unwrap();
        prop_assert_eq!(all, pieces.concat());
        prop_assert_eq!(WireReader::new(source).number().unwrap(), after);
    }
}

#[test]
fn promised_lengths_are_not_believed() {
    // a text of 2^40 bytes, of which none comes
    let mut promise = Vec::new();
    promise.number(1 << 40).unwrap();
    assert!(WireReader::new(&*promise).bytes().unwrap_err().to_string().contains("refused"));
    // one within the budget takes no memory before its bytes come
    let mut promise = Vec::new();
    promise.number(BUDGET / 2).unwrap();
    assert!(matches!(WireReader::new(&*promise).bytes(), Err(Error::Disconnected(_))));
    let mut promise = Vec::new();
    promise.number(u64::MAX).unwrap();
    assert!(WireReader::new(&*promise).texts::<Vec<_>>().is_err());
}

#[test]
fn a_flood_of_small_items_runs_out_of_budget() {
    let mut flood = Vec::new();
    flood.number(1 << 20).unwrap();
    flood.resize(flood.len() + (1 << 20) * 8, 0);
    let mut reader = WireReader::with_budget(&*flood, 1 << 20);
    assert!(reader.texts::<Vec<_>>().unwrap_err().to_string().contains("refused"));
}

#[test]
fn padding_must_be_zero() {
    let mut out = Vec::new();
    out.text("abc").unwrap();
    out[12] = 1;
    assert_eq!(WireReader::new(&*out).bytes().unwrap_err().to_string(), "non-zero padding");
}

#[test]
fn what_is_left_of_frames_is_skipped() {
    let mut out = Vec::new();
    let mut writer = FramedWriter::new(&mut out);
    writer.write_all(&[7; 1000]).unwrap();
    writer.finish().unwrap();
    out.number(42).unwrap();
    let mut source = &*out;
    let mut frames = FramedReader::new(&mut source);
    frames.read_exact(&mut [0; 10]).unwrap();
    frames.finish().unwrap();
    assert_eq!(WireReader::new(source).number().unwrap(), 42);
}

#[test]
fn a_frame_that_is_too_long_ends_the_stream() {
    let mut out = Vec::new();
    out.number(u64::MAX).unwrap();
    out.extend_from_slice(&[0; 64]);
    let mut frames = FramedReader::new(&*out);
    assert!(frames.read(&mut [0; 8]).is_err());
    // what follows is not taken for what it promised
    assert!(frames.finish().is_err());
}
