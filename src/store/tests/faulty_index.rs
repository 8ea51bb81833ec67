//! SQLite's own files on a disk that fails at a chosen operation: a layer between SQLite and its files
//! (<https://www.sqlite.org/vfs.html>) that hands everything on, and counts and refuses what touches files below the
//! folders that tests name. Every connection of the test's process goes through it.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::ffi;

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IndexFault {
    /// No room for this and the next few operations, as far as they need any.
    Full,
    /// EIO once.
    Io,
    /// A write takes only half, as the last that there is room for.
    Short,
    /// A write takes only half, and nothing works from then on.
    Gone,
}

/// Operations that find the disk full.
const FULL_OPERATIONS: u64 = 4;

/// What SQLite does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Open,
    Read,
    Write,
    Truncate,
    Sync,
    Delete,
    /// The index of the write-ahead log, which is shared memory, grows.
    Grow,
}

impl Operation {
    fn needs_room(self) -> bool {
        matches!(self, Self::Write | Self::Grow)
    }

    /// What SQLite's own layer answers when the system refuses it.
    fn refused(self) -> c_int {
        match self {
            Self::Open => ffi::SQLITE_CANTOPEN,
            Self::Read => ffi::SQLITE_IOERR_READ,
            Self::Write => ffi::SQLITE_IOERR_WRITE,
            Self::Truncate => ffi::SQLITE_IOERR_TRUNCATE,
            Self::Sync => ffi::SQLITE_IOERR_FSYNC,
            Self::Delete => ffi::SQLITE_IOERR_DELETE,
            Self::Grow => ffi::SQLITE_IOERR_SHMSIZE,
        }
    }

    /// The same when there is no room.
    fn full(self) -> c_int {
        match self {
            Self::Grow => ffi::SQLITE_IOERR_SHMSIZE,
            _ => ffi::SQLITE_FULL,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    operations: u64,
    fault: Option<(u64, IndexFault)>,
    has_struck: bool,
}

/// What becomes of an operation.
enum Outcome {
    Works,
    Refused(c_int),
    /// Half of what is written is, and then this is answered.
    Half(c_int),
}

impl State {
    fn step(&mut self, operation: Operation) -> Outcome {
        let now = self.operations;
        self.operations += 1;
        let Some((at, fault)) = self.fault.filter(|(at, _)| *at <= now) else {
            return Outcome::Works;
        };
        let is_write = operation == Operation::Write;
        let outcome = match fault {
            IndexFault::Full if now < at + FULL_OPERATIONS && operation.needs_room() => {
                Outcome::Refused(operation.full())
            }
            IndexFault::Io if now == at => Outcome::Refused(operation.refused()),
            IndexFault::Short if now == at && is_write => Outcome::Half(ffi::SQLITE_FULL),
            IndexFault::Gone if now == at && is_write => Outcome::Half(operation.refused()),
            IndexFault::Gone => Outcome::Refused(operation.refused()),
            _ => return Outcome::Works,
        };
        self.has_struck = true;
        outcome
    }
}

type Shared = Arc<Mutex<State>>;

/// The folders that tests have named.
static NAMED: Mutex<BTreeMap<PathBuf, Shared>> = Mutex::new(BTreeMap::new());

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The index of one data directory, as long as this lives.
#[derive(Debug)]
pub(super) struct FaultyIndex {
    folder: PathBuf,
    state: Shared,
}

impl FaultyIndex {
    /// Counts what is done to the index below `dir`, by connections that are opened from now on.
    pub(super) fn below(dir: &Path) -> Self {
        interpose();
        let folder = dir.canonicalize().unwrap();
        let state = Shared::default();
        held(&NAMED).insert(folder.clone(), Arc::clone(&state));
        Self { folder, state }
    }

    /// Lets operation number `at` fail.
    pub(super) fn fail(&self, at: u64, fault: IndexFault) {
        held(&self.state).fault = Some((at, fault));
    }

    /// Lets everything work again.
    pub(super) fn mend(&self) {
        held(&self.state).fault = None;
    }

    /// Operations so far.
    pub(super) fn operations(&self) -> u64 {
        held(&self.state).operations
    }

    /// Whether an operation has failed: some faults befall only what writes.
    pub(super) fn has_struck(&self) -> bool {
        held(&self.state).has_struck
    }
}

impl Drop for FaultyIndex {
    fn drop(&mut self) {
        held(&NAMED).remove(&self.folder);
    }
}

/// SQLite's own layer.
#[derive(Clone, Copy)]
struct Real(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite keeps it for the life of the process, and calls it from every thread itself.
unsafe impl Send for Real {}
// SAFETY: as above.
unsafe impl Sync for Real {}

static REAL: OnceLock<Real> = OnceLock::new();

/// Makes this layer the one that connections use.
fn interpose() {
    REAL.get_or_init(|| {
        // SAFETY: both calls may come at any time from any thread; what is registered lives for ever.
        unsafe {
            let real = ffi::sqlite3_vfs_find(ptr::null());
            let layer = ffi::sqlite3_vfs {
                szOsFile: (*real).szOsFile + FILE_BYTES as c_int,
                pNext: ptr::null_mut(),
                zName: c"perch-faults".as_ptr(),
                xOpen: Some(open),
                xDelete: Some(delete),
                ..*real
            };
            let layer = Box::leak(Box::new(layer));
            assert_eq!(ffi::sqlite3_vfs_register(layer, 1), ffi::SQLITE_OK);
            Real(real)
        }
    });
}

fn real() -> *mut ffi::sqlite3_vfs {
    REAL.get().expect("it was looked for before this").0
}

/// An open file. The one of SQLite's own layer lies behind it.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    state: Option<Shared>,
}

/// Its size, such that what lies behind is aligned as SQLite aligns files.
const FILE_BYTES: usize = size_of::<File>().next_multiple_of(8);

/// The file of SQLite's own layer.
///
/// # Safety
/// `file` was given to [`open`].
unsafe fn below(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
    // SAFETY: SQLite has allocated `szOsFile` bytes, which end behind the other one's.
    unsafe { file.cast::<u8>().add(FILE_BYTES).cast() }
}

/// What becomes of an operation on `file`.
///
/// # Safety
/// `file` was opened and not closed.
unsafe fn step(file: *mut ffi::sqlite3_file, operation: Operation) -> Outcome {
    // SAFETY: `open` has made a `File` there.
    match unsafe { &(*file.cast::<File>()).state } {
        Some(state) => held(state).step(operation),
        None => Outcome::Works,
    }
}

/// Of the folder that a test has named, if the file lies below one.
///
/// # Safety
/// `name` is null or ends with a zero.
unsafe fn state_of(name: *const c_char) -> Option<Shared> {
    if name.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    let name = unsafe { CStr::from_ptr(name) };
    let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
    let named = held(&NAMED);
    let folder = path.ancestors().find_map(|folder| named.get(folder));
    folder.cloned()
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite hands over room for both files, and a path that lives as long as the file.
    unsafe {
        (*file).pMethods = ptr::null();
        let state = state_of(name);
        let outcome = state
            .as_ref()
            .map_or(Outcome::Works, |state| held(state).step(Operation::Open));
        if let Outcome::Refused(code) = outcome {
            return code;
        }
        let real_file = below(file);
        (*real_file).pMethods = ptr::null();
        let open = (*real()).xOpen.expect("it opens files");
        let code = open(real(), name, real_file, flags, out_flags);
        if !(*real_file).pMethods.is_null() {
            let base = ffi::sqlite3_file { pMethods: &METHODS };
            ptr::write(file.cast::<File>(), File { base, state });
        }
        code
    }
}

unsafe extern "C" fn delete(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_folder: c_int,
) -> c_int {
    // SAFETY: SQLite hands over a path.
    unsafe {
        if let Some(state) = state_of(name)
            && let Outcome::Refused(code) = held(&state).step(Operation::Delete)
        {
            return code;
        }
        (*real()).xDelete.expect("it deletes files")(real(), name, sync_folder)
    }
}

/// Calls SQLite's own layer.
macro_rules! hand_on {
    ($file:ident.$method:ident($($argument:expr),*)) => {{
        let real_file = below($file);
        (*(*real_file).pMethods).$method.expect("SQLite's own layer has it")(real_file $(, $argument)*)
    }};
}

/// Functions that hand on and nothing else.
macro_rules! only_hands_on {
    ($($name:ident: $method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        unsafe extern "C" fn $name(file: *mut ffi::sqlite3_file $(, $argument: $type)*) -> $answer {
            // SAFETY: SQLite calls it with an open file.
            unsafe { hand_on!(file.$method($($argument),*)) }
        }
    )*};
}

only_hands_on! {
    file_size: xFileSize(size: *mut i64) -> c_int;
    lock: xLock(kind: c_int) -> c_int;
    unlock: xUnlock(kind: c_int) -> c_int;
    check_reserved_lock: xCheckReservedLock(answer: *mut c_int) -> c_int;
    file_control: xFileControl(operation: c_int, argument: *mut c_void) -> c_int;
    sector_size: xSectorSize() -> c_int;
    device_characteristics: xDeviceCharacteristics() -> c_int;
    shared_lock: xShmLock(offset: c_int, count: c_int, flags: c_int) -> c_int;
    shared_barrier: xShmBarrier() -> ();
    shared_unmap: xShmUnmap(delete: c_int) -> c_int;
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: SQLite calls it once, and never again anything of this file.
    unsafe {
        let code = hand_on!(file.xClose());
        ptr::drop_in_place(file.cast::<File>());
        code
    }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buffer: *mut c_void,
    count: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite calls it with an open file and room for `count` bytes.
    unsafe {
        match step(file, Operation::Read) {
            Outcome::Refused(code) | Outcome::Half(code) => code,
            Outcome::Works => hand_on!(file.xRead(buffer, count, offset)),
        }
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    count: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: SQLite calls it with an open file and `count` bytes.
    unsafe {
        match step(file, Operation::Write) {
            Outcome::Refused(code) => code,
            Outcome::Half(code) => {
                hand_on!(file.xWrite(bytes, count / 2, offset));
                code
            }
            Outcome::Works => hand_on!(file.xWrite(bytes, count, offset)),
        }
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, bytes: i64) -> c_int {
    // SAFETY: SQLite calls it with an open file.
    unsafe {
        match step(file, Operation::Truncate) {
            Outcome::Refused(code) | Outcome::Half(code) => code,
            Outcome::Works => hand_on!(file.xTruncate(bytes)),
        }
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite calls it with an open file.
    unsafe {
        match step(file, Operation::Sync) {
            Outcome::Refused(code) | Outcome::Half(code) => code,
            Outcome::Works => hand_on!(file.xSync(flags)),
        }
    }
}

unsafe extern "C" fn shared_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    region_bytes: c_int,
    may_grow: c_int,
    answer: *mut *mut c_void,
) -> c_int {
    // SAFETY: SQLite calls it with an open file.
    unsafe {
        if may_grow != 0
            && let Outcome::Refused(code) | Outcome::Half(code) = step(file, Operation::Grow)
        {
            *answer = ptr::null_mut();
            return code;
        }
        hand_on!(file.xShmMap(region, region_bytes, may_grow, answer))
    }
}

/// What SQLite calls. Of the second version: files are not mapped into memory, and every read is seen.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shared_map),
    xShmLock: Some(shared_lock),
    xShmBarrier: Some(shared_barrier),
    xShmUnmap: Some(shared_unmap),
    xFetch: None,
    xUnfetch: None,
};
