//! What one thread of BLAKE2b-512 does on this machine, the measure of an import: as Perch calls it, over memory.
//! `cargo bench --bench digest` prints one line of JSON.

use std::hint::black_box;
use std::time::Instant;

use perch::base::DigestKind;

const CHUNK_BYTES: usize = 64 << 10;
const BYTES: usize = 256 << 20;
const ROUNDS: usize = 8;

fn main() {
    // As large as no cache, as the bytes of an import are.
    let bytes: Vec<u8> = (0..BYTES)
        .map(|i| (i.wrapping_mul(0x9E37_79B9) >> 13) as u8)
        .collect();
    let round = |_| {
        let begun = Instant::now();
        for chunk in bytes.chunks(CHUNK_BYTES) {
            black_box(DigestKind::Blake2b512.digest(chunk));
        }
        BYTES as f64 / begun.elapsed().as_secs_f64()
    };
    let mut rates: Vec<f64> = (0..ROUNDS).map(round).collect();
    rates.sort_by(f64::total_cmp);
    let median = rates[ROUNDS / 2];
    println!(
        "{}",
        serde_json::json!({ "blake2b_512_bytes_per_second": median })
    );
}
