//! BLAKE2b digests of several byte strings at once: a processor with wide registers computes four of them in the time
//! of two. The digests are those of `digest`; only how they are computed differs.

use blake2b_simd::Params;
use blake2b_simd::many::{HashManyJob, hash_many};

use super::digest::{Digest, DigestKind};

impl DigestKind {
    /// Digests each of `inputs`, as [`Self::digest`] does, and returns the digests in their order. Pays from four
    /// inputs on, and more the more alike their sizes are.
    pub fn digest_each(self, inputs: &[&[u8]]) -> Vec<Digest> {
        let mut params = Params::new();
        params.hash_length(self.bytes_count());
        // The longest first: those that are left at the end, fewer than the lanes, are then the shortest.
        let mut order: Vec<usize> = (0..inputs.len()).collect();
        order.sort_unstable_by_key(|&input| std::cmp::Reverse(inputs[input].len()));
        let jobs = order
            .iter()
            .map(|&input| HashManyJob::new(&params, inputs[input]));
        let mut jobs: Vec<HashManyJob<'_>> = jobs.collect();
        hash_many(&mut jobs);
        let mut digests: Vec<Option<Digest>> = vec![None; inputs.len()];
        for (input, job) in order.into_iter().zip(&jobs) {
            digests[input] = Digest::from_bytes(self, job.to_hash().as_bytes());
        }
        let each = digests.into_iter();
        each.map(|digest| digest.expect("each input has a job, with a digest of its kind"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(inputs: &[&[u8]]) {
        for kind in [DigestKind::Blake2b256, DigestKind::Blake2b512] {
            let one_by_one: Vec<Digest> = inputs.iter().map(|input| kind.digest(input)).collect();
            assert_eq!(kind.digest_each(inputs), one_by_one);
        }
    }

    #[test]
    fn digests_around_whole_blocks_and_lanes_are_the_same() {
        let bytes: Vec<u8> = (0..5000u32).map(|n| (n * 7 % 251) as u8).collect();
        check(&[]);
        check(&[b""]);
        for count in [1, 2, 3, 4, 5, 8, 9] {
            for size in [0, 1, 127, 128, 129, 255, 256, 257, 4095] {
                let inputs: Vec<&[u8]> = (0..count).map(|n| &bytes[n..n + size]).collect();
                check(&inputs);
            }
        }
    }

    proptest! {
        #[test]
        fn digests_of_any_lengths_are_those_of_the_other_implementation(
            bytes in proptest::collection::vec(any::<u8>(), 6000),
            ranges in proptest::collection::vec((0..6000usize, 0..6000usize), 0..24),
        ) {
            let inputs: Vec<&[u8]> = ranges
                .iter()
                .map(|&(a, b)| &bytes[a.min(b)..a.max(b)])
                .collect();
            check(&inputs);
        }
    }
}
