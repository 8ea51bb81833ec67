//! Ends a batch: makes its pack durable, then has it named by rows. On a thread of its own, for both wait for the
//! disk, and the next batch is gathered in another pack meanwhile.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use super::engine::Imports;
use super::error::ImportError;
use super::pack_writer::PackWriter;
use super::rows::{BatchRows, Committed, add_batch};
use crate::base::Digest;

/// A batch on its way into the index.
pub(super) struct Commit {
    thread: JoinHandle<Ended>,
    /// What it has written. The next batch may refer to it, for it comes into the index later.
    written: HashMap<Digest, u64>,
}

/// What became of a batch.
pub(super) struct Ended {
    /// What the rows say of it; `None` if something is gone that it relies on.
    pub(super) outcome: Result<Option<Committed>, ImportError>,
    /// Its pack, if more can be written to it.
    pub(super) pack: Option<PackWriter>,
}

impl Commit {
    /// Begins to commit a batch whose records `pack` holds, all of them.
    pub(super) fn spawn(
        imports: &Arc<Imports>,
        pack: PackWriter,
        rows: BatchRows,
        written: HashMap<Digest, u64>,
    ) -> io::Result<Self> {
        let imports = Arc::clone(imports);
        let thread = Builder::new().name("import-committer".to_owned());
        let thread = thread.spawn(move || end(&imports, pack, rows))?;
        Ok(Self { thread, written })
    }

    /// Whether the batch has written this chunk.
    pub(super) fn has_written(&self, digest: &Digest) -> bool {
        self.written.contains_key(digest)
    }

    /// Waits until it is committed or has failed.
    pub(super) fn wait(self) -> std::thread::Result<Ended> {
        self.thread.join()
    }
}

fn end(imports: &Imports, mut pack: PackWriter, rows: BatchRows) -> Ended {
    let open = rows.pack.open;
    let outcome = commit(imports, &mut pack, rows);
    let goes_on = match &outcome {
        Ok(Some(_)) => open,
        // Whatever its rows say, the next start makes the file agree with them.
        Err(ImportError::Unanswered) => false,
        Ok(None) | Err(_) => pack.roll_back(&*imports.files),
    };
    Ended {
        outcome,
        pack: goes_on.then_some(pack),
    }
}

fn commit(
    imports: &Imports,
    pack: &mut PackWriter,
    rows: BatchRows,
) -> Result<Option<Committed>, ImportError> {
    let open = rows.pack.open;
    if !open {
        pack.trim()?;
    }
    pack.sync(&*imports.files)?;
    let committed = imports.change(move |transaction| add_batch(transaction, &rows))?;
    if let Some(committed) = committed {
        pack.note_committed(committed.pack);
    }
    if !open {
        pack.let_go();
    }
    Ok(committed)
}
