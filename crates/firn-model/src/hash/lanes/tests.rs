//! Lanes against AWS-LC, in every width that this processor has.

use proptest::prelude::*;

use super::*;

fn one_by_one(buffers: &[&[u8]]) -> Vec<[u8; 32]> {
    many(Lanes::None, buffers)
}

fn bytes(n: usize, seed: u32) -> Vec<u8> {
    (0..n as u32).map(|i| ((i ^ seed).wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

#[test]
fn known_digests() {
    // FIPS 180-4's examples, from NIST's "SHA256" examples document
    for lanes in Lanes::available() {
        let long = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        let digests = many(lanes, &[b"abc", long, b"abc"]);
        assert_eq!(digests[0][..4], [0xba, 0x78, 0x16, 0xbf], "{lanes:?}");
        assert_eq!(digests[1][..4], [0x24, 0x8d, 0x6a, 0x61], "{lanes:?}");
        assert_eq!(digests[2], digests[0], "{lanes:?}");
    }
}

#[test]
fn every_length_around_the_borders_of_blocks() {
    let data = bytes(5000, 7);
    let lengths = (0..300).chain([447, 448, 511, 512, 513, 4095, 4096, 4097, 5000]);
    let buffers: Vec<&[u8]> = lengths.map(|n| &data[data.len() - n..]).collect();
    for lanes in Lanes::available() {
        assert_eq!(many(lanes, &buffers), one_by_one(&buffers), "{lanes:?}");
        // also where some lanes never get anything
        for n in 0..20 {
            assert_eq!(many(lanes, &buffers[60..60 + n]), one_by_one(&buffers[60..60 + n]));
        }
    }
}

#[test]
fn long_ones_among_few_are_hashed_by_themselves() {
    let data = bytes(1 << 20, 1);
    for lanes in Lanes::available() {
        let mut buffers: Vec<&[u8]> = vec![&data; 2];
        assert_eq!(by_themselves(lanes, &[0, 1], &buffers), 2, "{lanes:?}");
        buffers.extend([&data[..100]; 40]);
        let order: Vec<usize> = (0..42).collect();
        let alone = if lanes == Lanes::None { 42 } else { 2 };
        assert_eq!(by_themselves(lanes, &order, &buffers), alone, "{lanes:?}");
        assert_eq!(many(lanes, &buffers), one_by_one(&buffers), "{lanes:?}");
    }
}

#[test]
fn streams_in_pieces_of_any_length() {
    let data = bytes(40_000, 3);
    for lanes in Lanes::available() {
        for count in [1, 2, 3, 7, 8, 9, 16, 17, 40] {
            let mut streams = vec![Sha256Stream::default(); count];
            let mut done = vec![0; count];
            for round in 0..5 {
                let mut pieces = Vec::new();
                for (n, (stream, done)) in streams.iter_mut().zip(&mut done).enumerate() {
                    let len = (n * 37 + round * 11) % 50 * BLOCK;
                    pieces.push((stream, &data[*done..*done + len]));
                    *done += len;
                }
                streams::update_with(lanes, &mut pieces);
            }
            for (n, (stream, done)) in streams.into_iter().zip(done).enumerate() {
                let end = done + n * 31;
                let expected = one_by_one(&[&data[..end]])[0];
                assert_eq!(stream.finish(&data[done..end]), expected, "{lanes:?} {count} {n}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_buffers(lengths in prop::collection::vec(0..700usize, 0..60), seed: u32) {
        let buffers: Vec<Vec<u8>> = lengths.iter().map(|n| bytes(*n, seed)).collect();
        let buffers: Vec<&[u8]> = buffers.iter().map(Vec::as_slice).collect();
        for lanes in Lanes::available() {
            prop_assert_eq!(many(lanes, &buffers), one_by_one(&buffers));
        }
    }
}
