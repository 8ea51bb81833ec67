//! The file of the index: whether it may be opened, and how its connection is set up.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::error::OpenError;
use super::schema::{MigrateError, STEPS, migrate, version_in_header};

/// The index below the data directory.
pub(super) const INDEX_PATH: &str = "db/index.db";

/// Size of a page of the index.
pub(super) const PAGE_BYTES: u64 = 4096;

/// Opens the index below `dir` for writing, making or migrating it as needed. The folder `db` must exist.
pub(super) fn open_index_file(dir: &Path) -> Result<Connection, OpenError> {
    open_index_at(dir, &dir.join(INDEX_PATH))
}

/// The same for an index of the data directory `dir` that lies elsewhere.
pub(super) fn open_index_at(dir: &Path, path: &Path) -> Result<Connection, OpenError> {
    let sqlite = |error: rusqlite::Error| OpenError::from_sqlite(dir, &error);
    let mut connection = Connection::open(path).map_err(sqlite)?;
    configure(&mut connection).map_err(sqlite)?;
    migrate(&mut connection, STEPS).map_err(|error| match error {
        MigrateError::Newer(found) => newer(dir, found),
        MigrateError::Foreign => OpenError::IndexDamaged {
            path: dir.to_owned(),
            cause: "it is another program's database".to_owned(),
        },
        MigrateError::Sqlite(error) => sqlite(error),
    })?;
    Ok(connection)
}

fn newer(dir: &Path, found: u32) -> OpenError {
    OpenError::NewerVersion {
        path: dir.to_owned(),
        found,
        known: STEPS.len() as u32,
    }
}

/// Refuses a newer or foreign index before SQLite touches it.
pub(super) fn check_header(dir: &Path) -> Result<(), OpenError> {
    match header_version(dir)? {
        Some(found) if found as usize > STEPS.len() => Err(newer(dir, found)),
        _ => Ok(()),
    }
}

/// The version of the index below `dir`; `None` without one. Refuses what is no database.
pub(super) fn header_version(dir: &Path) -> Result<Option<u32>, OpenError> {
    let path = dir.join(INDEX_PATH);
    let first_bytes = match File::open(&path) {
        Ok(file) => {
            let mut bytes = Vec::new();
            file.take(100)
                .read_to_end(&mut bytes)
                .map_err(|cause| OpenError::from_io(dir, cause))?;
            bytes
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OpenError::from_io(dir, error)),
    };
    if first_bytes.is_empty() {
        return Ok(None);
    }
    if !first_bytes.starts_with(b"SQLite format 3\0") {
        return Err(OpenError::IndexDamaged {
            path: dir.to_owned(),
            cause: "it does not start as a SQLite database".to_owned(),
        });
    }
    Ok(version_in_header(&first_bytes))
}

fn configure(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.query_row("PRAGMA journal_mode = WAL", (), |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // A log that a long reader let grow is cut back afterwards.
    connection.query_row("PRAGMA journal_size_limit = 16777216", (), |_| Ok(()))?;
    Ok(())
}
