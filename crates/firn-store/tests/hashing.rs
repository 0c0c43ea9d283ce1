//! Many streams hashed at once: each has its own hash, whoever does the work, and none waits for ever.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::time::{Duration, Instant};

use firn_model::hash::{Hash, HashAlgo};
use firn_store::hashing::HashSink;

fn data(len: usize, seed: u32) -> Vec<u8> {
    (0..len as u32)
        .map(|n| (n.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 11) as u8)
        .collect()
}

#[test]
fn many_streams_of_all_lengths_have_their_hashes() {
    std::thread::scope(|scope| {
        for seed in 0..24u32 {
            scope.spawn(move || {
                for round in 0..2u32 {
                    let data = data(((seed * 331_337 + round * 77_777) % 2_500_000) as usize, seed);
                    let mut sink = HashSink::new(HashAlgo::Sha256);
                    for piece in data.chunks(10_000 + seed as usize * 50_000) {
                        sink.write_all(piece).unwrap();
                    }
                    assert_eq!(sink.finish().unwrap(), Hash::digest(HashAlgo::Sha256, &data));
                }
            });
        }
    });
}

#[test]
fn a_stream_goes_on_while_others_stand_still() {
    let data = data(8_000_000, 5);
    // they have begun and bring nothing more
    let still: Vec<HashSink> = (0..12)
        .map(|_| {
            let mut sink = HashSink::new(HashAlgo::Sha256);
            sink.write_all(&data[..700_000]).unwrap();
            sink
        })
        .collect();
    let begun = Instant::now();
    let mut sink = HashSink::new(HashAlgo::Sha256);
    sink.write_all(&data).unwrap();
    assert_eq!(sink.finish().unwrap(), Hash::digest(HashAlgo::Sha256, &data));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    for sink in still {
        assert_eq!(sink.finish().unwrap(), Hash::digest(HashAlgo::Sha256, &data[..700_000]));
    }
}
