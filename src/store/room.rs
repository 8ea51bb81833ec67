//! The room that uploads and imports may take, so that neither recording nor the index runs out of it, and nobody who
//! uploads can have all recordings deleted. Decides from numbers; who asks measures the disk.
//!
//! Recordings fill a disk until only what retention keeps free is left, so whatever else is written there is written at
//! the cost of old recordings. That is allowed up to a share: what uploads and imports hold together, in `up/` and in
//! packs. Beyond their share they take only room that nobody uses: they leave twice of what is kept free, which
//! retention never makes free by itself. And half of what is kept free is never theirs.

use rusqlite::Connection;

use super::file_system::DiskSpace;
use super::status::StoreOptions;

/// What must stay free on a disk of `total` bytes whoever writes there but recording and the index: a disk so full is
/// one that retention is about to make room on.
pub(super) fn floor_bytes(options: &StoreOptions, total: u64) -> u64 {
    let kept_free = options.retention.free_bytes_on(total);
    (kept_free / 2).max(options.free_bytes_min * 2)
}

/// Bytes that uploads and imports may still take when they hold `held` bytes.
pub(super) fn room_bytes(options: &StoreOptions, space: DiskSpace, held: u64) -> u64 {
    let retention = &options.retention;
    let share = retention.others_bytes_on(space.total).saturating_sub(held);
    let unused = space
        .free
        .saturating_sub(retention.free_bytes_on(space.total).saturating_mul(2));
    let above_floor = space.free.saturating_sub(floor_bytes(options, space.total));
    share.max(unused).min(above_floor)
}

/// Bytes that uploads and imports hold: packs as long as they are, and what came of uploads that are not imported yet.
pub(super) fn held_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    connection
        .prepare_cached(
            "SELECT (SELECT coalesce(sum(bytes), 0) FROM pack)
                  + (SELECT coalesce(sum(offset), 0) FROM upload WHERE state < 2 AND kind <> 2)",
        )?
        .query_row((), |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::Retention;

    const GIB: u64 = 1 << 30;

    /// 100 GiB, of which 4 GiB are kept free and 20 GiB are the share.
    fn room(free: u64, held: u64) -> u64 {
        let options = StoreOptions {
            retention: Retention {
                others_bytes: Some(20 * GIB),
                ..Retention::default()
            },
            ..StoreOptions::default()
        };
        let total = 100 * GIB;
        room_bytes(&options, DiskSpace { free, total }, held)
    }

    #[test]
    fn old_recordings_make_way_for_a_share_and_no_more() {
        // The disk is full of recordings, so that retention keeps 4 GiB free.
        assert_eq!(room(4 * GIB, 0), 2 * GIB);
        assert_eq!(room(4 * GIB, 19 * GIB), GIB);
        assert_eq!(room(4 * GIB, 20 * GIB), 0);
        assert_eq!(room(4 * GIB, 30 * GIB), 0);
        // Half of what is kept free is recording's.
        assert_eq!(room(2 * GIB, 0), 0);
        assert_eq!(room(0, 0), 0);
    }

    #[test]
    fn what_nobody_uses_is_for_all_to_take() {
        assert_eq!(room(80 * GIB, 0), 72 * GIB);
        assert_eq!(room(80 * GIB, 20 * GIB), 72 * GIB);
        assert_eq!(room(9 * GIB, 50 * GIB), GIB);
    }

    proptest! {
        /// However often retention makes room again, and whoever takes it, recordings keep the rest of the disk.
        #[test]
        fn nobody_takes_more_than_the_share_from_recordings(
            steps in prop::collection::vec((0..4 * GIB, 0..GIB), 1..200),
        ) {
            let (mut held, mut free) = (0, 4 * GIB);
            for (wanted, recorded) in steps {
                let taken = wanted.min(room(free, held));
                (held, free) = (held + taken, free - taken);
                prop_assert!(held <= 20 * GIB && free >= 2 * GIB);
                // Recording writes, and retention makes room, by up to a reel too much.
                free = 4 * GIB + recorded / 16;
            }
        }
    }
}
