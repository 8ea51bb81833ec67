//! A disk that fails at a chosen operation, and forgets what was not synced when the power goes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::errno::Errno;

use crate::base::SimulatedClock;
use crate::chunk::ReadAt;
use crate::store::file_system::{
    DiskSpace, FileSystem, FolderSyncError, RealFileSystem, StoredFile,
};

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// ENOSPC for this and the next few operations.
    Full,
    /// EIO once; a sync that fails so has kept nothing.
    Io,
    /// A write takes only half; anything else works.
    Short,
    /// The power goes in the middle of it: nothing works any more.
    PowerCut,
}

/// Operations that find the disk full.
const FULL_OPERATIONS: u64 = 4;

#[derive(Debug, Default)]
struct State {
    operations: u64,
    fault: Option<(u64, Fault)>,
    power_is_off: bool,
    next_sync_fails: bool,
    reads_fail: bool,
    bad_sectors: Vec<Range<u64>>,
    slow: Option<(SimulatedClock, Duration)>,
    folders_do_not_open: bool,
    space: Option<DiskSpace>,
    full_until_gone: Option<PathBuf>,
    full_until_given_back: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, Kept>,
}

/// What a file has left after a power cut.
#[derive(Debug, Default)]
struct Kept {
    is_named: bool,
    /// It is removed, and comes back if the power goes before its folder is synced.
    is_removed: bool,
    content: Vec<u8>,
}

/// Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    file: Box<dyn StoredFile>,
}

impl FaultyDisk {
    /// A disk whose operation number `at` fails.
    pub(super) fn failing(at: u64, fault: Fault) -> Self {
        let disk = Self::default();
        disk.0.lock().unwrap().fault = Some((at, fault));
        disk
    }

    /// Lets the next few operations find the disk full.
    pub(super) fn fill(&self) {
        let mut state = self.0.lock().unwrap();
        state.fault = Some((state.operations, Fault::Full));
    }

    /// Lets the next sync of a file fail.
    pub(super) fn fail_next_sync(&self) {
        self.0.lock().unwrap().next_sync_fails = true;
    }

    /// Lets no byte of a file be read: EIO for each.
    pub(super) fn fail_reads(&self) {
        self.0.lock().unwrap().reads_fail = true;
    }

    /// Lets these ranges of each file not be read: EIO for what touches them.
    pub(super) fn break_sectors(&self, bad: &[Range<u64>]) {
        self.0.lock().unwrap().bad_sectors = bad.to_vec();
    }

    /// Lets each read that is refused take so long.
    pub(super) fn refuse_slowly(&self, clock: &SimulatedClock, each: Duration) {
        self.0.lock().unwrap().slow = Some((clock.clone(), each));
    }

    /// Tells of so much free space on a disk of `total` bytes from now on, whatever is written.
    pub(super) fn tell_space(&self, free: u64, total: u64) {
        self.0.lock().unwrap().space = Some(DiskSpace { free, total });
    }

    /// Gives no more room until the file at `path` is gone. What needs none goes on.
    pub(super) fn fill_until_gone(&self, path: &Path) {
        self.0.lock().unwrap().full_until_gone = Some(path.to_owned());
    }

    /// Gives no more room until each of the files at `paths` has given back what is reserved for it: the room that all
    /// else needs lies there.
    pub(super) fn fill_until_given_back(&self, paths: &[&Path]) {
        let paths = paths.iter().map(|path| path.to_path_buf());
        self.0.lock().unwrap().full_until_given_back = paths.collect();
    }

    /// Lets no folder be opened, as when too many files are open, or lets them again.
    pub(super) fn refuse_folders(&self, refuse: bool) {
        self.0.lock().unwrap().folders_do_not_open = refuse;
    }

    /// Operations so far.
    pub(super) fn operations(&self) -> u64 {
        self.0.lock().unwrap().operations
    }

    pub(super) fn power_is_off(&self) -> bool {
        self.0.lock().unwrap().power_is_off
    }

    /// Makes the real files what a power cut leaves of those that were made here.
    pub(super) fn lose_what_is_not_synced(&self) {
        for (path, kept) in &self.0.lock().unwrap().files {
            if kept.is_named {
                std::fs::write(path, &kept.content).unwrap();
            } else if path.exists() {
                std::fs::remove_file(path).unwrap();
            }
        }
    }

    /// Counts an operation. The fault that is to happen in it, if it is not an error right away.
    fn step(&self) -> io::Result<Option<Fault>> {
        let mut state = self.0.lock().unwrap();
        if state.power_is_off {
            return Err(Errno::EIO.into());
        }
        let now = state.operations;
        state.operations += 1;
        match state.fault {
            Some((at, Fault::Full)) if (at..at + FULL_OPERATIONS).contains(&now) => {
                Err(Errno::ENOSPC.into())
            }
            Some((at, Fault::Io)) if at == now => Err(Errno::EIO.into()),
            Some((at, Fault::Short)) if at == now => Ok(Some(Fault::Short)),
            Some((at, Fault::PowerCut)) if at == now => {
                state.power_is_off = true;
                Ok(Some(Fault::PowerCut))
            }
            _ => Ok(None),
        }
    }

    /// Whether there is room for more.
    fn take_room(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        state.full_until_gone.take_if(|path| !path.exists());
        match state.full_until_gone.is_some() || !state.full_until_given_back.is_empty() {
            true => Err(Errno::ENOSPC.into()),
            false => Ok(()),
        }
    }

    /// Counts an operation that is done whole or not at all, and needs no room, so that a full disk does it.
    fn step_roomless(&self) -> io::Result<()> {
        match self.step_whole() {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
            other => other,
        }
    }

    /// Counts an operation that is done whole or not at all.
    fn step_whole(&self) -> io::Result<()> {
        match self.step()? {
            Some(Fault::PowerCut) => Err(Errno::EIO.into()),
            _ => Ok(()),
        }
    }
}

impl FileSystem for FaultyDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.step_whole()?;
        RealFileSystem.create_folder(path)
    }

    fn create_file(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        self.step_whole()?;
        let file = RealFileSystem.create_file(path)?;
        self.0
            .lock()
            .unwrap()
            .files
            .insert(path.to_owned(), Kept::default());
        Ok(Box::new(FaultyFile {
            disk: self.clone(),
            path: path.to_owned(),
            file,
        }))
    }

    fn open_file(&self, path: &Path) -> io::Result<Box<dyn StoredFile>> {
        self.step_whole()?;
        let file = RealFileSystem.open_file(path)?;
        let kept = Kept {
            is_named: true,
            is_removed: false,
            content: std::fs::read(path)?,
        };
        self.0
            .lock()
            .unwrap()
            .files
            .entry(path.to_owned())
            .or_insert(kept);
        Ok(Box::new(FaultyFile {
            disk: self.clone(),
            path: path.to_owned(),
            file,
        }))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.step_whole()?;
        RealFileSystem.remove_file(path)?;
        let mut state = self.0.lock().unwrap();
        if let Some(kept) = state.files.get_mut(path) {
            kept.is_removed = true;
        }
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> Result<(), FolderSyncError> {
        self.step_whole().map_err(FolderSyncError::NotOpened)?;
        if self.0.lock().unwrap().folders_do_not_open {
            return Err(FolderSyncError::NotOpened(Errno::EMFILE.into()));
        }
        self.step_whole().map_err(FolderSyncError::NotSynced)?;
        let mut state = self.0.lock().unwrap();
        let is_inside = |file: &Path| file.parent() == Some(path);
        state
            .files
            .retain(|file, kept| !(is_inside(file) && kept.is_removed));
        let inside = state.files.iter_mut().filter(|(file, _)| is_inside(file));
        inside.for_each(|(_, kept)| kept.is_named = true);
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.step_whole()?;
        RealFileSystem.remove_folder(path)
    }

    fn list_folder(&self, path: &Path) -> io::Result<Vec<String>> {
        self.step_whole()?;
        RealFileSystem.list_folder(path)
    }

    fn space(&self, path: &Path) -> io::Result<DiskSpace> {
        self.step_whole()?;
        match self.0.lock().unwrap().space {
            Some(space) => Ok(space),
            None => RealFileSystem.space(path),
        }
    }
}

impl FaultyFile {
    /// What a write does that the fault befalls.
    fn write_half(&mut self, all: &[u8], offset: u64, fault: Option<Fault>) -> io::Result<usize> {
        let half = &all[..all.len().div_ceil(2)];
        let written = self.file.write_at(&[IoSlice::new(half)], offset)?;
        match fault {
            Some(Fault::PowerCut) => Err(Errno::EIO.into()),
            _ => Ok(written),
        }
    }
}

impl ReadAt for FaultyFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.disk.step_whole()?;
        let end = offset + buffer.len() as u64;
        let state = self.disk.0.lock().unwrap();
        let is_hit = |bad: &Range<u64>| offset < bad.end && bad.start < end;
        if state.reads_fail || state.bad_sectors.iter().any(is_hit) {
            if let Some((clock, each)) = &state.slow {
                clock.advance(*each);
            }
            return Err(Errno::EIO.into());
        }
        drop(state);
        self.file.read_exact_at(buffer, offset)
    }
}

impl StoredFile for FaultyFile {
    fn write_at(&mut self, pieces: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.disk.take_room()?;
        let fault = self.disk.step()?;
        if fault.is_none() {
            return self.file.write_at(pieces, offset);
        }
        let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.to_vec()).collect();
        self.write_half(&all, offset, fault)
    }

    fn write_blocks_at(&mut self, blocks: &[u8], offset: u64) -> io::Result<usize> {
        self.disk.take_room()?;
        let fault = self.disk.step()?;
        if fault.is_none() {
            return self.file.write_blocks_at(blocks, offset);
        }
        self.write_half(blocks, offset, fault)
    }

    fn reserve(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
        self.disk.take_room()?;
        self.disk.step_whole()?;
        self.file.reserve(offset, bytes)
    }

    fn punch(&mut self, offset: u64, bytes: u64) -> io::Result<()> {
        self.disk.step_whole()?;
        self.file.punch(offset, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.step_whole()?;
        let content = std::fs::read(&self.path)?;
        let mut state = self.disk.0.lock().unwrap();
        if std::mem::take(&mut state.next_sync_fails) {
            return Err(Errno::EIO.into());
        }
        if let Some(kept) = state.files.get_mut(&self.path) {
            kept.content = content;
        }
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.disk.step_roomless()?;
        self.file.truncate(bytes)?;
        let mut state = self.disk.0.lock().unwrap();
        state.full_until_given_back.remove(&self.path);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.disk.step_whole()?;
        self.file.size()
    }
}
