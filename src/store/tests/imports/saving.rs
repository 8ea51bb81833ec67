//! What storing chunks once saves, on files made for the purpose. The larger corpus and its table are a bench's.

use super::made::*;
use crate::store::Archive;
use crate::store::tests::durable::open;

/// A minute of film as an MP4: tables of a size that tags and the like change, then the media. Samples are noise.
fn film(seed: u64, tags_bytes: usize) -> Vec<u8> {
    let media = noise(seed, 6 << 20);
    let boxed = |kind: &[u8; 4], payload: &[u8]| {
        let size = (payload.len() as u32 + 8).to_be_bytes();
        [&size[..], kind, payload].concat()
    };
    [
        boxed(b"ftyp", b"isom\0\0\0\0isom"),
        boxed(b"moov", &boxed(b"udta", &noise(seed + 1000, tags_bytes))),
        boxed(b"mdat", &media),
    ]
    .concat()
}

#[test]
fn films_that_come_again_retagged_or_from_several_people_save_four_fifths() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for seed in 0..3 {
        // Imported twice, retagged twice, and shared by three people.
        for (n, tags_bytes) in [100, 100, 5_003, 40_001, 100, 100, 100]
            .into_iter()
            .enumerate()
        {
            let bytes = film(seed, tags_bytes);
            let imported = import(
                &store,
                &file(outside.path(), &format!("{seed}-{n}.mp4"), &bytes),
            );
            if n > 0 {
                let saved = 1.0 - imported.new_bytes as f64 / imported.bytes as f64;
                assert!(saved >= 0.95, "{seed}-{n}: {saved}");
            }
        }
    }
    store.close();
    let statistics = Archive::open(dir.path()).unwrap().statistics().unwrap();
    let saved = 1.0 - statistics.unique_bytes() as f64 / statistics.logical_bytes() as f64;
    assert!(saved >= 0.8, "{saved}");
    assert!(statistics.dedup_ratio() > 5.0);
}
