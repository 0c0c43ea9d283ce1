//! No text makes the parsers of hashes, store paths, content addresses, keys and signatures panic.
#![no_main]

use firn_model::content_address::ContentAddress;
use firn_model::signature::{PublicKey, SecretKey, Signature};
use firn_model::{Hash, HashAlgo, StoreDir, StorePath, base32};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for algo in HashAlgo::ALL {
        if let Ok(hash) = Hash::parse_any(text, Some(algo)) {
            assert_eq!(Hash::parse_sri(&hash.to_sri()), Ok(hash));
        }
    }
    if let Ok(path) = StorePath::from_base_name(text) {
        assert_eq!(path.base_name(), text);
    }
    let _ = StoreDir::default().parse_prefix(text);
    let _ = base32::decode(text);
    let _ = text.parse::<ContentAddress>();
    let _ = text.parse::<SecretKey>();
    let _ = text.parse::<PublicKey>();
    let _ = text.parse::<Signature>();
});
