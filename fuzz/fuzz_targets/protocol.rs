//! Messages of the worker and serve protocols, in all versions: what comes from the other side must never be a crash,
//! nor take more memory than its budget.

#![no_main]

use firn_daemon::protocol::{Codec, Version, log};
use firn_daemon::wire::framed::FramedReader;
use firn_daemon::wire::{WireRead, WireReader};
use firn_model::store_path::{StoreDir, StorePath};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((minor, data)) = data.split_first() else { return };
    let version = Version(18 + minor % 21);
    let codec = Codec::new(StoreDir::default(), version);
    let reader = || -> WireRead<'_> { WireReader::with_budget(Box::new(data), 1 << 20) };
    let Ok(path) = StorePath::from_parts(&[0; 20], "x") else { return };
    if let Ok(info) = codec.path_info(&mut reader(), path) {
        let mut out = Vec::new();
        codec.put_path_info(&mut out, &info).expect("a vector takes everything");
    }
    if let Ok(drv) = codec.derivation(&mut reader(), "x") {
        let mut out = Vec::new();
        if codec.put_derivation(&mut out, &drv).is_ok() {
            let mut again: WireRead<'_> = WireReader::new(Box::new(&*out));
            assert_eq!(codec.derivation(&mut again, "x").ok().as_ref(), Some(&drv));
        }
    }
    let _ = codec.build_result(&mut reader());
    let _ = codec.keyed_results(&mut reader());
    let mut messages = reader();
    while log::read(&mut messages, version).is_ok() {}
    let _ = std::io::copy(&mut FramedReader::new(data), &mut std::io::sink());
});
