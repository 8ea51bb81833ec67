//! Tables of the index and how an older index becomes a new one. Knows SQL, not reels.

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::reel_rows::summarize_closed_reels;

/// Marks the file as perch's index: `prch`.
pub(super) const APPLICATION_ID: u32 = u32::from_be_bytes(*b"prch");

/// What makes the next version out of the one before.
#[derive(Clone, Copy)]
pub(super) struct Step {
    sql: &'static str,
    /// What SQL alone cannot fill in.
    fill: fn(&Transaction<'_>) -> rusqlite::Result<()>,
}

impl Step {
    const fn sql(sql: &'static str) -> Self {
        Self {
            sql,
            fill: |_| Ok(()),
        }
    }
}

/// One step a version: step `n` makes version `n + 1` out of version `n`. A step that has landed never changes.
pub(super) const STEPS: &[Step] = &[
    Step::sql(VERSION_1),
    Step {
        sql: VERSION_2,
        fill: summarize_closed_reels,
    },
    Step::sql(LOG),
    Step::sql(IMPORTS),
    Step::sql(UPLOADS),
    Step::sql(REELS),
    Step::sql(PACK_SCRUB),
    Step::sql(SUMS),
];

/// A segment costs about 25 bytes: its times and numbers are relative to its reel, its number is in its key, and
/// its digest lies behind its bytes in the reel. No look-up by time or msn needs an index of segments, since a
/// reel has few of them and reels are indexed. Keys grow with time, so that pages are filled from left to right.
const VERSION_1: &str = "
CREATE TABLE camera (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- The only folder in which reels may lie that have no row yet; NULL before the first.
    day TEXT,
    -- Every run and msn in use or used is below these.
    next_run INTEGER NOT NULL,
    next_msn INTEGER NOT NULL
) STRICT;

CREATE TABLE track (
    id INTEGER PRIMARY KEY,
    camera INTEGER NOT NULL REFERENCES camera (id),
    rendition TEXT NOT NULL,
    UNIQUE (camera, rendition)
) STRICT;

CREATE TABLE run (
    track INTEGER NOT NULL REFERENCES track (id),
    run INTEGER NOT NULL,
    parameters BLOB NOT NULL,
    init BLOB NOT NULL,
    PRIMARY KEY (track, run)
) STRICT, WITHOUT ROWID;

CREATE TABLE reel (
    id INTEGER PRIMARY KEY,
    track INTEGER NOT NULL REFERENCES track (id),
    run INTEGER NOT NULL,
    day TEXT NOT NULL,
    -- Of its first segment.
    first_msn INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL,
    start_ticks INTEGER NOT NULL,
    -- Size of the file once nothing more is appended; NULL before.
    bytes INTEGER
) STRICT;
CREATE UNIQUE INDEX reel_by_msn ON reel (track, first_msn);
CREATE INDEX reel_by_wall ON reel (track, wall_ms);
CREATE INDEX reel_open ON reel (id) WHERE bytes IS NULL;

CREATE TABLE segment (
    -- reel * 256 + (msn - first_msn of the reel)
    id INTEGER PRIMARY KEY,
    offset INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    -- Since the reel's own.
    wall_ms INTEGER NOT NULL,
    start_ticks INTEGER NOT NULL,
    duration_ticks INTEGER NOT NULL
) STRICT;

CREATE TABLE gap (
    id INTEGER PRIMARY KEY,
    camera INTEGER NOT NULL REFERENCES camera (id),
    rendition TEXT,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL,
    reason INTEGER NOT NULL
) STRICT;
CREATE INDEX gap_by_end ON gap (camera, to_ms);
";

/// What retention and timelines need without looking at segments: a year of four cameras has 63 million of them, but
/// two million reels, 35,000 hours and, where nothing went wrong, four spans.
const VERSION_2: &str = "
-- Size of the camera's closed reels.
ALTER TABLE camera ADD COLUMN reel_bytes INTEGER NOT NULL DEFAULT 0;

-- Of a closed reel: where its last segment ends since wall_ms, and how long its segments last together.
ALTER TABLE reel ADD COLUMN end_ms INTEGER;
ALTER TABLE reel ADD COLUMN media_ms INTEGER;
-- Clips that hold it.
ALTER TABLE reel ADD COLUMN refs INTEGER NOT NULL DEFAULT 0;
CREATE INDEX reel_by_age ON reel (track, wall_ms) WHERE refs = 0 AND bytes IS NOT NULL;

-- Closed reels of a track that follow each other without a break.
CREATE TABLE span (
    id INTEGER PRIMARY KEY,
    track INTEGER NOT NULL REFERENCES track (id),
    first_msn INTEGER NOT NULL,
    -- Of its last reel.
    last_msn INTEGER NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX span_by_msn ON span (track, first_msn);
CREATE INDEX span_by_end ON span (track, to_ms);

-- Closed reels that start within an hour of civil time.
CREATE TABLE hour (
    track INTEGER NOT NULL REFERENCES track (id),
    hour INTEGER NOT NULL,
    media_ms INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (track, hour)
) STRICT, WITHOUT ROWID;

-- A stretch of a camera's recording that retention leaves alone.
CREATE TABLE clip (
    id INTEGER PRIMARY KEY,
    camera INTEGER NOT NULL REFERENCES camera (id),
    name TEXT NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL,
    made_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX clip_by_end ON clip (camera, to_ms);

CREATE TABLE clip_reel (
    clip INTEGER NOT NULL REFERENCES clip (id),
    reel INTEGER NOT NULL REFERENCES reel (id),
    PRIMARY KEY (clip, reel)
) STRICT, WITHOUT ROWID;
CREATE INDEX clip_by_reel ON clip_reel (reel);

-- Files that no row names any more and that are yet to be removed, by their path below the data directory.
CREATE TABLE garbage (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL
) STRICT;
";

/// Where the log of segments and the journal of marks stand, see `segment_log` and `journal`; and what scrubbing found.
const LOG: &str = "
CREATE TABLE log (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- Leaves in the log's files; those beyond are of reels from first_reel on.
    size INTEGER NOT NULL,
    first_reel INTEGER NOT NULL,
    -- The journal's file, and how much of it is committed; 0 before the first.
    journal INTEGER NOT NULL,
    journal_bytes INTEGER NOT NULL,
    -- Scrubbing goes on behind this reel; the pass began then, at civil time.
    scrubbed_reel INTEGER NOT NULL,
    scrub_began_ms INTEGER NOT NULL
) STRICT;
INSERT INTO log SELECT 1, 0, coalesce(max(id), 0) + 1, 0, 0, 0, 0 FROM reel;

-- Segments whose bytes are not what they were: as in the table segment, from which they were taken.
CREATE TABLE damaged (
    id INTEGER PRIMARY KEY,
    offset INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    wall_ms INTEGER NOT NULL,
    start_ticks INTEGER NOT NULL,
    duration_ticks INTEGER NOT NULL
) STRICT;
";

/// A day's reels are counted without a look at their rows; and no reel gets the number of one that went, which the
/// journal may still call forgotten.
const REELS: &str = "
DROP INDEX reel_by_wall;
CREATE INDEX reel_by_wall ON reel (track, wall_ms, media_ms, bytes);

-- The highest number of a reel that went.
ALTER TABLE log ADD COLUMN gone_reel INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER reel_gone AFTER DELETE ON reel WHEN old.id > (SELECT gone_reel FROM log)
BEGIN
    UPDATE log SET gone_reel = old.id;
END;
";

/// What was imported: items, the chunks that they are made of, and the packs in which those lie. A chunk costs about
/// 120 bytes, most of them its digest, which is looked up by its first 8 bytes.
const IMPORTS: &str = "
CREATE TABLE pack (
    id INTEGER PRIMARY KEY,
    -- 16 bytes, also the file's name.
    name BLOB NOT NULL UNIQUE,
    -- Where its last committed record ends.
    bytes INTEGER NOT NULL,
    -- Records in it that count: chunks, lists and items.
    live INTEGER NOT NULL,
    -- It holds tombstones and nothing else.
    graves INTEGER NOT NULL,
    -- More may be appended.
    open INTEGER NOT NULL
) STRICT;
CREATE INDEX pack_open ON pack (id) WHERE open = 1;
CREATE INDEX pack_empty ON pack (id) WHERE live = 0;

CREATE TABLE chunk (
    id INTEGER PRIMARY KEY,
    pack INTEGER NOT NULL,
    -- Of its record in the pack.
    offset INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    -- The digest's first 8 bytes.
    prefix INTEGER NOT NULL,
    digest BLOB NOT NULL,
    -- How often lists name it.
    refs INTEGER NOT NULL,
    -- How the first item came that has it.
    source INTEGER NOT NULL
) STRICT;
CREATE INDEX chunk_by_prefix ON chunk (prefix);

CREATE TABLE item (
    id INTEGER PRIMARY KEY,
    -- 16 bytes.
    key BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    media INTEGER NOT NULL,
    source INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    -- NULL until it is whole.
    digest BLOB,
    camera TEXT,
    at_ms INTEGER,
    made_ms INTEGER NOT NULL,
    -- Of its bytes, those that its lists cover; and of those, the ones that were not stored before.
    progress INTEGER NOT NULL,
    new_bytes INTEGER NOT NULL,
    -- What an import that was interrupted is found again by, with the file's time of change in ns.
    origin TEXT NOT NULL,
    origin_changed INTEGER NOT NULL,
    -- Of its record, NULL until it is whole.
    pack INTEGER,
    offset INTEGER,
    record_bytes INTEGER
) STRICT;
CREATE INDEX item_pending ON item (origin) WHERE digest IS NULL;
CREATE INDEX item_by_made ON item (made_ms, id) WHERE digest IS NOT NULL;
CREATE INDEX item_by_time ON item (camera, at_ms) WHERE camera IS NOT NULL;

-- A run of an item's chunks. An item refers to chunks from the transaction that adds this row to the one that takes it.
CREATE TABLE item_list (
    id INTEGER PRIMARY KEY,
    item INTEGER NOT NULL REFERENCES item (id),
    -- Which run of the item's.
    part INTEGER NOT NULL,
    -- Where the run starts in the item.
    start INTEGER NOT NULL,
    -- Key (8 bytes) and size (4 bytes) of each chunk.
    chunks BLOB NOT NULL,
    -- Of its record.
    pack INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    record_bytes INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX item_list_by_start ON item_list (item, start);

-- Records that count no longer, until their tombstones are durable and their payloads are punched out of the packs.
CREATE TABLE dead (
    id INTEGER PRIMARY KEY,
    pack INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    -- Of the payload.
    bytes INTEGER NOT NULL,
    -- Its tombstone is durable.
    buried INTEGER NOT NULL
) STRICT;

-- The packs about which a pack of tombstones speaks; it goes when they are gone.
CREATE TABLE grave (
    pack INTEGER NOT NULL,
    about INTEGER NOT NULL,
    PRIMARY KEY (pack, about)
) STRICT, WITHOUT ROWID;
CREATE INDEX grave_by_about ON grave (about);

-- When something that is done now and then was last done.
CREATE TABLE upkeep (
    task TEXT PRIMARY KEY,
    done_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Uploads under way. A row goes in once its file's name is durable, and its offset grows only over bytes that
/// are; one that is removed leaves a note for the file in the same transaction.
const UPLOADS: &str = "
CREATE TABLE upload (
    id INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE,
    -- 0 single, 1 partial, 2 final
    kind INTEGER NOT NULL,
    -- 0 receiving, 1 complete, 2 imported, 3 refused
    state INTEGER NOT NULL,
    length INTEGER,
    offset INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    began_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    -- Of the item that it became.
    item BLOB,
    -- Why it became none.
    reason TEXT
) STRICT;
CREATE INDEX upload_by_expiry ON upload (expires_ms);

CREATE TABLE upload_part (
    final INTEGER NOT NULL REFERENCES upload (id),
    place INTEGER NOT NULL,
    part INTEGER NOT NULL REFERENCES upload (id),
    PRIMARY KEY (final, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_by_part ON upload_part (part);
";

/// What scrubbing packs needs, and what it found: the records of a pack without a look at all others, and the items that
/// a damaged chunk hits.
const PACK_SCRUB: &str = "
-- Scrubbing goes on behind this pack, once all reels are read.
ALTER TABLE log ADD COLUMN scrubbed_pack INTEGER NOT NULL DEFAULT 0;

-- 0 sound, 1 found damaged, 2 found damaged and the items noted that it hits. One that lies in pack 0 is in none.
ALTER TABLE chunk ADD COLUMN damaged INTEGER NOT NULL DEFAULT 0;
CREATE INDEX chunk_damaged ON chunk (damaged) WHERE damaged > 0;
CREATE INDEX chunk_by_pack ON chunk (pack, offset);
CREATE INDEX item_list_by_pack ON item_list (pack, offset);
CREATE INDEX item_by_pack ON item (pack) WHERE pack IS NOT NULL;

-- What items lack because of chunks that are damaged.
CREATE TABLE item_damage (
    item INTEGER NOT NULL,
    chunk INTEGER NOT NULL,
    -- Of the item: the chunk's, as often as it is named.
    bytes INTEGER NOT NULL,
    PRIMARY KEY (item, chunk)
) STRICT, WITHOUT ROWID;
CREATE INDEX item_damage_by_chunk ON item_damage (chunk);
";

/// Sums that would take long to add up: of a year by quarters of a day, and of a million chunks by how they came. Triggers
/// keep the latter, so that no transaction can forget to.
const SUMS: &str = "
-- Closed reels that start within six hours of civil time.
CREATE TABLE quarter (
    track INTEGER NOT NULL REFERENCES track (id),
    quarter INTEGER NOT NULL,
    media_ms INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (track, quarter)
) STRICT, WITHOUT ROWID;
INSERT INTO quarter SELECT track, (hour - (hour % 6 + 6) % 6) / 6 AS quarter, sum(media_ms), sum(bytes)
    FROM hour GROUP BY track, quarter;

CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    -- Of its items, as far as they are imported.
    logical_bytes INTEGER NOT NULL,
    -- Of the chunks that came with them.
    unique_bytes INTEGER NOT NULL
) STRICT;
INSERT INTO source SELECT code,
    (SELECT coalesce(sum(progress), 0) FROM item WHERE source = code AND (digest IS NOT NULL OR origin <> '')),
    (SELECT coalesce(sum(bytes), 0) FROM chunk WHERE source = code AND pack > 0)
    FROM (SELECT 1 AS code UNION SELECT 2);

CREATE TRIGGER chunk_came AFTER INSERT ON chunk WHEN new.pack > 0
BEGIN
    UPDATE source SET unique_bytes = unique_bytes + new.bytes WHERE id = new.source;
END;
CREATE TRIGGER chunk_changed AFTER UPDATE OF pack, source ON chunk
BEGIN
    UPDATE source SET unique_bytes = unique_bytes - old.bytes WHERE id = old.source AND old.pack > 0;
    UPDATE source SET unique_bytes = unique_bytes + new.bytes WHERE id = new.source AND new.pack > 0;
END;
CREATE TRIGGER chunk_went AFTER DELETE ON chunk WHEN old.pack > 0
BEGIN
    UPDATE source SET unique_bytes = unique_bytes - old.bytes WHERE id = old.source;
END;

-- What is given up or removed counts no more, though its row stays until its chunks are let go.
CREATE TRIGGER item_came AFTER INSERT ON item WHEN new.digest IS NOT NULL OR new.origin <> ''
BEGIN
    UPDATE source SET logical_bytes = logical_bytes + new.progress WHERE id = new.source;
END;
CREATE TRIGGER item_changed AFTER UPDATE OF progress, digest, origin, source ON item
BEGIN
    UPDATE source SET logical_bytes = logical_bytes - old.progress
        WHERE id = old.source AND (old.digest IS NOT NULL OR old.origin <> '');
    UPDATE source SET logical_bytes = logical_bytes + new.progress
        WHERE id = new.source AND (new.digest IS NOT NULL OR new.origin <> '');
END;
CREATE TRIGGER item_went AFTER DELETE ON item WHEN old.digest IS NOT NULL OR old.origin <> ''
BEGIN
    UPDATE source SET logical_bytes = logical_bytes - old.progress WHERE id = old.source;
END;
";

/// Why an index cannot be brought up to date.
#[derive(Debug)]
pub(super) enum MigrateError {
    /// It has a version above the last step.
    Newer(u32),
    /// It is no index of recordings.
    Foreign,
    /// SQLite refuses.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for MigrateError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Brings an index, empty or older, to the version of the last step, all in one transaction.
/// A newer or foreign one is left as it was.
pub(super) fn migrate(connection: &mut Connection, steps: &[Step]) -> Result<(), MigrateError> {
    let version = header_value(connection, "user_version")?;
    let application = header_value(connection, "application_id")?;
    if version as usize > steps.len() {
        return Err(MigrateError::Newer(version));
    }
    if application != APPLICATION_ID && (application != 0 || version != 0) {
        return Err(MigrateError::Foreign);
    }
    if version as usize == steps.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if version == 0 {
        let tables: u32 =
            transaction.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
        if tables > 0 {
            return Err(MigrateError::Foreign);
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    let missing = &steps[version as usize..];
    for step in missing {
        transaction.execute_batch(step.sql)?;
    }
    // Behind all of them, for this is done by what writes to the newest tables.
    for step in missing {
        (step.fill)(&transaction)?;
    }
    transaction.pragma_update(None, "user_version", steps.len())?;
    transaction.commit()?;
    // Into the file's first page, where `version_in_header` reads it.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
    Ok(())
}

fn header_value(connection: &Connection, name: &str) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// The version that the first bytes of an index tell, without opening it as a database.
/// `None` if they are no index of recordings. (SQLite file format, §1.3)
pub(super) fn version_in_header(first_bytes: &[u8]) -> Option<u32> {
    let word = |at: usize| {
        Some(u32::from_be_bytes(
            first_bytes.get(at..at + 4)?.try_into().ok()?,
        ))
    };
    (first_bytes.starts_with(b"SQLite format 3\0") && word(68)? == APPLICATION_ID)
        .then(|| word(60))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_index_gets_the_missing_steps_and_a_newer_one_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &STEPS[..1]).unwrap();
        connection
            .execute("INSERT INTO camera VALUES (1, 'a', NULL, 5, 6)", ())
            .unwrap();

        let next = Step::sql("ALTER TABLE camera ADD COLUMN title TEXT");
        migrate(&mut connection, &[STEPS[0], next]).unwrap();
        let kept: (u32, Option<String>) = connection
            .query_row("SELECT next_run, title FROM camera", (), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(kept, (5, None));

        let refused = migrate(&mut connection, &STEPS[..1]);
        assert!(matches!(refused, Err(MigrateError::Newer(2))));
        assert_eq!(header_value(&connection, "user_version").unwrap(), 2);
    }

    #[test]
    fn a_step_that_fails_leaves_the_older_index_as_it_was() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &STEPS[..1]).unwrap();
        let broken = Step::sql("CREATE TABLE more (id INTEGER); CREATE TABLE camera (id INTEGER)");
        assert!(migrate(&mut connection, &[STEPS[0], broken]).is_err());
        assert_eq!(header_value(&connection, "user_version").unwrap(), 1);
        assert!(connection.execute("SELECT * FROM more", ()).is_err());
    }

    #[test]
    fn another_programs_database_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute("CREATE TABLE theirs (id)", ()).unwrap();
        let refused = migrate(&mut connection, STEPS);
        assert!(matches!(refused, Err(MigrateError::Foreign)));
    }
}
