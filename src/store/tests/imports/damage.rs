//! What the disk has changed in packs is found, is never given out, is told, and is mended by the same bytes coming
//! again.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::made::*;
use crate::base::SimulatedClock;
use crate::chunk::{Found, ItemId, PackScan, ReadAt, RecordKind, read_pack_header};
use crate::store::import::{OpenedPack, open_pack, read_packs};
use crate::store::index::Index;
use crate::store::reader::Reader;
use crate::store::scrub::{ScrubPosition, scrub_next};
use crate::store::tests::durable::{open, open_whatever};
use crate::store::tests::faults::folder;
use crate::store::tests::faulty_disk::{Fault, FaultyDisk};
use crate::store::tests::fixture::copy;
use crate::store::tests::made::{NOON, patient};
use crate::store::{
    Archive, Damage, PacksReport, ReadError, ScrubMarks, ScrubReport, Store, StoreOptions,
    rebuild_index, scrub_once,
};

fn verify(dir: &Path) -> PacksReport {
    Archive::open(dir).unwrap().verify_packs(|_, _| {}).unwrap()
}

fn scrub(dir: &Path) -> ScrubReport {
    scrub_once(dir, |_, _| {}).unwrap()
}

fn flip(path: &Path, at: u64) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at as usize] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// The records of a kind in a pack: where their headers start, and their payloads.
fn records(pack: &Path, kind: RecordKind) -> Vec<(u64, Range<u64>)> {
    let file = std::fs::read(pack).unwrap();
    let size = file.len() as u64;
    let header = read_pack_header(&file[..], size).unwrap();
    PackScan::new(&file[..], size, header)
        .filter_map(|found| match found.unwrap() {
            Found::Record(record) if record.header.kind == kind => {
                Some((record.offset, record.payload()))
            }
            _ => None,
        })
        .collect()
}

/// Two items that share their first MiB, and one that was removed.
struct Made {
    dir: tempfile::TempDir,
    outside: tempfile::TempDir,
    items: Vec<(&'static str, ItemId, Vec<u8>)>,
}

fn made() -> Made {
    let (dir, outside) = (folder(), folder());
    let store = open(dir.path());
    let first = noise(1, 1 << 20);
    let longer = [&first[..], &noise(2, 300_001)].concat();
    let gone = import(&store, &file(outside.path(), "gone", &noise(3, 200_000)));
    let mut items = Vec::new();
    for (name, bytes) in [("first", first), ("longer", longer)] {
        let path = file(outside.path(), name, &bytes);
        items.push((name, import(&store, &path).id, bytes));
    }
    store.remove_item(gone.id).unwrap();
    store.close();
    Made {
        dir,
        outside,
        items,
    }
}

impl Made {
    fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The pack of chunks, and that of tombstones.
    fn packs(&self) -> (std::path::PathBuf, std::path::PathBuf) {
        let mut packs = packs(self.dir());
        packs.sort_by_key(|pack| records(pack, RecordKind::Tombstones).len());
        let [chunks, graves] = &packs[..] else {
            panic!("two packs");
        };
        (chunks.clone(), graves.clone())
    }

    /// The place of the chunk in which both items start.
    fn first_chunk(&self) -> Range<u64> {
        let offset = number(
            self.dir(),
            "SELECT offset FROM chunk WHERE refs = 2 ORDER BY id LIMIT 1",
        );
        let chunks = records(&self.packs().0, RecordKind::Chunk);
        let found = chunks.into_iter().find(|(at, _)| *at == offset as u64);
        found.unwrap().1
    }

    /// Imports a file again.
    fn again(&self, store: &Store, nth: usize) {
        let (name, _, bytes) = &self.items[nth];
        import(store, &file(self.outside.path(), name, bytes));
    }

    /// Every byte that can be read is right. Returns how many cannot, of each item.
    fn check_reads(&self, store: &Store) -> Vec<u64> {
        let mut lost = Vec::new();
        for (name, id, bytes) in &self.items {
            let mut content = store.open_item(*id).unwrap().unwrap();
            let (mut at, mut missing) = (0, 0);
            while at < bytes.len() {
                match content.load_from(at as u64) {
                    Ok(Some(read)) => {
                        assert!(bytes[at..].starts_with(&read), "{name} at {at}");
                        at += read.len();
                    }
                    Ok(None) => panic!("{name} ends early"),
                    Err(ReadError::ItemDamaged { to, .. }) => {
                        missing += to - at as u64;
                        at = to as usize;
                    }
                    Err(_) => (at, missing) = (at + 4096, missing + 4096),
                }
            }
            lost.push(missing);
        }
        lost
    }
}

#[test]
fn packs_that_are_whole_verify_and_their_bytes_are_counted() {
    let made = made();
    let report = verify(made.dir());
    assert!(report.is_sound() && report.unnamed.is_empty(), "{report:?}");
    assert_eq!(report.packs, 2);
    assert_eq!(
        report.chunks_sound as i64,
        number(made.dir(), "SELECT count(*) FROM chunk")
    );
    assert!(report.bytes_sound > (1 << 20) + 300_001);
    assert_eq!((report.quarantined, report.items.len()), (0, 0));
    let mut last = (0, 1);
    let archive = Archive::open(made.dir()).unwrap();
    archive
        .verify_packs(|done, total| last = (done, total))
        .unwrap();
    assert_eq!(last.0, last.1);
}

/// What a bit flipped at some place of a pack does.
#[derive(Debug, PartialEq)]
enum Finds {
    Chunk,
    Record(&'static str),
    Nothing,
}

fn is_grave(finds: &Finds) -> bool {
    *finds == Finds::Record("a list of what was deleted")
}

#[test]
fn a_bit_flipped_at_every_kind_of_place_in_a_pack_is_found_for_what_it_is() {
    let made = made();
    let (chunks, graves) = made.packs();
    let live = |kind| {
        let all = records(&chunks, kind).into_iter();
        // The last of each kind is of an item that is there.
        all.last().unwrap()
    };
    let first_item = records(&chunks, RecordKind::Item)[1].0;
    let (chunk_at, chunk) = records(&chunks, RecordKind::Chunk)
        .into_iter()
        .find(|(at, payload)| *at > first_item && payload.end % 8 != 0)
        .unwrap();
    let (list_at, list) = live(RecordKind::ItemChunks);
    let (item_at, item) = live(RecordKind::Item);
    let (grave_at, grave) = records(&graves, RecordKind::Tombstones)[0].clone();
    let (dead_at, dead) = records(&chunks, RecordKind::Chunk)[0].clone();
    for (pack, at, expected) in [
        (&chunks, 0, Finds::Record("the header of the pack")),
        (&chunks, 20, Finds::Record("the header of the pack")),
        (&chunks, 39, Finds::Record("the header of the pack")),
        (&chunks, chunk_at, Finds::Record("a chunk: ")),
        (&chunks, chunk_at + 4, Finds::Record("a chunk: ")),
        (&chunks, chunk_at + 40, Finds::Record("a chunk: ")),
        (&chunks, chunk.start - 1, Finds::Record("a chunk: ")),
        (&chunks, chunk.start, Finds::Chunk),
        (&chunks, chunk.end - 1, Finds::Chunk),
        // Padding.
        (&chunks, chunk.end, Finds::Nothing),
        (
            &chunks,
            list_at + 10,
            Finds::Record("a list of the chunks of longer"),
        ),
        (
            &chunks,
            list.start + 17,
            Finds::Record("a list of the chunks of longer"),
        ),
        (
            &chunks,
            list.end - 1,
            Finds::Record("a list of the chunks of longer"),
        ),
        (
            &chunks,
            item_at + 30,
            Finds::Record("what is known of longer"),
        ),
        (
            &chunks,
            item.end - 1,
            Finds::Record("what is known of longer"),
        ),
        (&graves, 9, Finds::Record("the header of the pack")),
        (
            &graves,
            grave_at + 3,
            Finds::Record("a list of what was deleted"),
        ),
        (
            &graves,
            grave.start + 3,
            Finds::Record("a list of what was deleted"),
        ),
        // Of a record that counts no longer.
        (&chunks, dead_at + 3, Finds::Nothing),
        (&chunks, dead.start, Finds::Nothing),
    ] {
        let whole = std::fs::read(pack).unwrap();
        flip(pack, at);
        let report = verify(made.dir());
        let told = match (&report.damaged[..], &report.records_damaged[..]) {
            ([], []) => Finds::Nothing,
            ([one], []) => {
                assert_eq!((&one.path, one.what.as_str()), (pack, "digest mismatch"));
                Finds::Chunk
            }
            ([], [one]) => {
                let Finds::Record(start) = expected else {
                    panic!("{at}: {one:?}");
                };
                assert!(one.what.starts_with(start), "{at}: {one:?}");
                assert_eq!(&one.path, pack);
                Finds::Record(start)
            }
            more => panic!("{at}: {more:?}"),
        };
        assert_eq!(told, expected, "{at}");
        // Whatever it is, an item without its chunk is what it lacks.
        let named: Vec<&str> = report.items.iter().map(|item| item.name.as_str()).collect();
        let hit: &[&str] = if told == Finds::Chunk {
            &["longer"]
        } else {
            &[]
        };
        assert_eq!(named, hit, "{at}");
        // Nobody is given wrong bytes, scrubbed or not.
        let mut lost = Vec::new();
        for is_scrubbed in [false, true] {
            if is_scrubbed {
                let marked = scrub(made.dir()).marked.unwrap();
                assert_eq!(marked.chunks, u64::from(told == Finds::Chunk), "{at}");
                // What the index knows is written again as it was.
                let can_be = matches!(told, Finds::Record(_)) && !is_grave(&expected);
                assert_eq!(marked.records_repaired, u64::from(can_be), "{at}");
                assert_eq!(std::fs::read(pack).unwrap() == whole, can_be, "{at}");
            }
            let (store, _) = open_whatever(made.dir());
            lost = made.check_reads(&store);
            store.close();
        }
        assert_eq!(lost.iter().any(|lost| *lost > 0), told == Finds::Chunk);
        std::fs::write(pack, whole).unwrap();
        let recovered = scrub(made.dir()).marked.unwrap().chunks_recovered;
        assert_eq!(recovered, u64::from(told == Finds::Chunk), "{at}");
        assert!(verify(made.dir()).is_sound());
    }
    let (store, _) = open_whatever(made.dir());
    assert_eq!(made.check_reads(&store), [0, 0]);
}

#[test]
fn a_damaged_chunk_is_told_with_its_items_and_mended_by_the_same_file() {
    let made = made();
    let shared = made.first_chunk();
    let bytes = shared.end - shared.start;
    flip(&made.packs().0, shared.start + 5);
    let report = scrub(made.dir());
    let marked = ScrubMarks {
        chunks: 1,
        ..ScrubMarks::default()
    };
    assert_eq!(report.marked, Some(marked));
    let mut named: Vec<(&str, u64)> = report
        .packs
        .items
        .iter()
        .map(|item| (item.name.as_str(), item.bytes))
        .collect();
    named.sort_unstable();
    assert_eq!(named, [("first", bytes), ("longer", bytes)]);
    let again = scrub(made.dir());
    assert_eq!(again.marked, Some(ScrubMarks::default()));
    assert_eq!((again.packs.damaged.len(), again.packs.quarantined), (0, 1));

    let store = open(made.dir());
    let damage = Damage {
        segments: 0,
        chunks: 1,
        chunk_bytes: bytes,
        items: 2,
    };
    assert_eq!(store.usage().unwrap().damage, damage);
    for item in store.items(None, 9).unwrap() {
        assert_eq!(item.damaged_bytes, bytes, "{}", item.name);
    }
    assert_eq!(made.check_reads(&store), [bytes, bytes]);
    let mut content = store.open_item(made.items[0].1).unwrap().unwrap();
    let refused = content.load_from(3).unwrap_err().to_string();
    assert!(
        refused.contains("first: bytes 0 to ") && refused.contains("import the same file again")
    );
    let size = content.item().bytes;
    assert_eq!(content.damage_within(9, size).unwrap(), Some(0..bytes));
    assert_eq!(content.damage_within(bytes, size).unwrap(), None);

    // The other one mends both.
    let before = store.items(None, 9).unwrap().len();
    made.again(&store, 1);
    let items = store.items(None, 9).unwrap();
    assert_eq!(items.len(), before + 1);
    assert_eq!(items[0].new_bytes, bytes);
    assert!(items.iter().all(|item| item.damaged_bytes == 0));
    assert_eq!(made.check_reads(&store), [0, 0]);
    assert_eq!(store.usage().unwrap().damage, Damage::default());
    assert!(store.collect_garbage(false).unwrap().recount.is_clean());
    check_imports(made.dir());
    store.close();
    drop(store);
    let report = verify(made.dir());
    assert!(report.is_sound() && report.quarantined == 0, "{report:?}");
    // The old place is buried: a rebuilt index knows the new one.
    std::fs::remove_dir_all(made.dir().join("db")).unwrap();
    let rebuilt = rebuild_index(made.dir(), |_, _| {}).unwrap();
    assert_eq!(
        (rebuilt.imports.items, rebuilt.imports.missing_bytes),
        (3, 0)
    );
    let (store, _) = open_whatever(made.dir());
    assert_eq!(made.check_reads(&store), [0, 0]);
    assert_eq!(store.usage().unwrap().damage, Damage::default());
    check_imports(made.dir());
}

#[test]
fn what_was_found_damaged_stays_so_in_a_rebuilt_index_and_is_mended_there() {
    let made = made();
    let shared = made.first_chunk();
    flip(&made.packs().0, shared.end - 1);
    scrub(made.dir());
    for _ in 0..2 {
        std::fs::remove_dir_all(made.dir().join("db")).unwrap();
        rebuild_index(made.dir(), |_, _| {}).unwrap();
        assert_eq!(
            number(made.dir(), "SELECT count(*) FROM chunk WHERE damaged = 1"),
            1
        );
        // Another journal by then, begun with the index that was made.
        open_whatever(made.dir()).0.close();
    }
    let (store, _) = open_whatever(made.dir());
    let bytes = shared.end - shared.start;
    assert_eq!(made.check_reads(&store), [bytes, bytes]);
    made.again(&store, 0);
    assert_eq!(made.check_reads(&store), [0, 0]);
    store.close();
    drop(store);
    assert!(verify(made.dir()).is_sound());
}

#[test]
fn a_pack_that_is_gone_or_cut_short_is_mended_as_well() {
    for is_gone in [true, false] {
        let made = made();
        let (chunks, _) = made.packs();
        if is_gone {
            std::fs::remove_file(&chunks).unwrap();
        } else {
            let file = std::fs::File::options().write(true).open(&chunks).unwrap();
            file.set_len(made.first_chunk().start + 9).unwrap();
        }
        let report = scrub(made.dir());
        let all = number(made.dir(), "SELECT count(*) FROM chunk") as usize;
        assert_eq!(report.packs.damaged.len(), all, "gone: {is_gone}");
        let what = if is_gone {
            "the file is gone"
        } else {
            "the file ends early"
        };
        assert!(report.packs.damaged.iter().all(|chunk| chunk.what == what));
        assert!(report.packs.records_damaged.len() >= 4);
        let repaired = report.marked.unwrap().records_repaired as usize;
        let can_be = report.packs.records_damaged.len() * usize::from(!is_gone);
        assert_eq!(repaired, can_be);
        let (store, _) = open_whatever(made.dir());
        made.again(&store, 1);
        made.again(&store, 0);
        assert_eq!(made.check_reads(&store), [0, 0]);
        assert!(store.collect_garbage(false).unwrap().recount.is_clean());
        assert_eq!(number(made.dir(), "SELECT count(*) FROM dead"), 0);
        store.close();
        drop(store);
        let report = verify(made.dir());
        assert_eq!((report.damaged.len(), report.quarantined), (0, 0));
    }
}

/// A file of which a range cannot be read.
struct BadSector(OpenedPack, Range<u64>);

impl ReadAt for BadSector {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let end = offset + buffer.len() as u64;
        if offset < self.1.end && self.1.start < end {
            return Err(nix::errno::Errno::EIO.into());
        }
        self.0.file.read_exact_at(buffer, offset)
    }
}

fn verify_with_bad_sector(dir: &Path, bad: &Range<u64>) -> PacksReport {
    let open = |path: &Path| -> io::Result<OpenedPack> {
        let opened = open_pack(path)?;
        Ok(OpenedPack {
            bytes: opened.bytes,
            file: Box::new(BadSector(opened, bad.clone())),
        })
    };
    read_packs(dir, &Reader::new(dir), &open, |_, _| {}).unwrap()
}

#[test]
fn a_sector_that_cannot_be_read_costs_what_lies_in_it_and_comes_back_if_it_reads_well_again() {
    let made = made();
    let shared = made.first_chunk();
    let sector = (shared.start + 4096) / 512 * 512;
    let report = verify_with_bad_sector(made.dir(), &(sector..sector + 512));
    assert_eq!(report.damaged.len(), 1);
    assert!(report.damaged[0].what.contains("os error 5"), "{report:?}");
    assert!(report.records_damaged.is_empty());
    // One that holds a chunk's header and none of its bytes costs no bytes.
    let header = shared.start - 60..shared.start;
    let of_header = verify_with_bad_sector(made.dir(), &header);
    assert_eq!(
        (of_header.damaged.len(), of_header.records_damaged.len()),
        (0, 1)
    );

    let mut index = Index::open(made.dir(), Arc::new(FaultyDisk::default())).unwrap();
    assert_eq!(index.mark_damage(&report).unwrap().damaged, 1);
    assert_eq!(index.mark_damage(&report).unwrap().damaged, 0);
    drop(index);
    let (store, _) = open_whatever(made.dir());
    assert!(made.check_reads(&store).iter().all(|lost| *lost > 0));
    store.close();
    drop(store);
    let marked = scrub(made.dir()).marked.unwrap();
    assert_eq!((marked.chunks, marked.chunks_recovered), (0, 1));
    let (store, _) = open_whatever(made.dir());
    assert_eq!(made.check_reads(&store), [0, 0]);
    assert!(
        store
            .items(None, 9)
            .unwrap()
            .iter()
            .all(|item| item.damaged_bytes == 0)
    );
}

#[test]
fn too_many_open_files_are_no_damage() {
    let made = made();
    let refuse = |_: &Path| -> io::Result<OpenedPack> { Err(nix::errno::Errno::EMFILE.into()) };
    let read = read_packs(made.dir(), &Reader::new(made.dir()), &refuse, |_, _| {});
    assert!(matches!(read, Err(ReadError::Io { .. })));
}

#[test]
fn what_is_removed_while_it_is_read_is_no_damage_and_what_is_not_named_is_told() {
    let made = made();
    let stray = made.dir().join("pack").join(format!("{:032x}.pack", 7));
    let (chunks, _) = made.packs();
    let store = open(made.dir());
    std::fs::write(&stray, "of an import that goes on").unwrap();
    let open = |path: &Path| -> io::Result<OpenedPack> {
        if path == chunks {
            for (_, id, _) in &made.items {
                store.remove_item(*id).unwrap();
            }
        }
        open_pack(path)
    };
    let report = read_packs(made.dir(), &Reader::new(made.dir()), &open, |_, _| {}).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.unnamed, [stray]);
}

#[test]
fn a_pass_reads_packs_behind_reels_and_begins_anew_behind_the_last() {
    let made = made();
    let reader = Reader::new(made.dir());
    let first = ScrubPosition {
        reel: 0,
        pack: 0,
        began: crate::base::Wall(0),
    };
    let mut position = first;
    let mut read = Vec::new();
    for _ in 0..3 {
        let next = scrub_next(made.dir(), &reader, position, NOON, || false);
        let next = next.unwrap().unwrap();
        assert!(next.packs.packs == 1 && next.packs.is_sound());
        position = next.position;
        read.push(position.pack);
    }
    assert_eq!(read, [1, 2, 1]);
    let broken_off = scrub_next(made.dir(), &reader, first, NOON, || true);
    assert!(broken_off.unwrap().is_none());
    let empty = folder();
    drop(open(empty.path()));
    let nothing = scrub_next(
        empty.path(),
        &Reader::new(empty.path()),
        first,
        NOON,
        || false,
    );
    assert!(nothing.unwrap().is_none());
}

#[test]
fn a_file_that_was_half_imported_before_the_damage_is_imported_anew() {
    let (dir, outside) = (folder(), folder());
    let store = open(dir.path());
    let bytes = noise(9, 70 << 20);
    let path = file(outside.path(), "a", &bytes);
    let interrupted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let opened = std::fs::File::open(&path).unwrap();
        store.import(opened, &meta(&path), |progress| {
            assert!(progress.done < 60 << 20);
        })
    }));
    assert!(interrupted.is_err());
    store.close();
    drop(store);
    let (pack, offset) = (
        packs(dir.path()),
        number(dir.path(), "SELECT offset FROM chunk WHERE id = 5"),
    );
    let named = number(dir.path(), "SELECT pack FROM chunk WHERE id = 5");
    let name: Vec<u8> = index(dir.path())
        .query_row("SELECT name FROM pack WHERE id = ?", [named], |row| {
            row.get(0)
        })
        .unwrap();
    let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    let pack = pack
        .iter()
        .find(|path| path.to_str().unwrap().contains(&name))
        .unwrap();
    flip(pack, offset as u64 + 1000);
    scrub(dir.path());
    let (store, _) = open_whatever(dir.path());
    let imported = import(&store, &path);
    assert_eq!(imported.resumed_at, 0);
    assert!(imported.new_bytes < 40 << 20);
    assert!(content(&store, imported.id) == bytes);
    assert!(store.collect_garbage(true).unwrap().recount.is_clean());
    check_imports(dir.path());
}

/// Marks a damaged chunk and imports the file again on a disk that fails; afterwards nothing is wrong that is given
/// out, and one more pass and import make all whole.
fn fault_at_every_operation(fault: Fault) {
    let made = made();
    flip(&made.packs().0, made.first_chunk().start + 99);
    let work = |dir: &Path, disk: &FaultyDisk| {
        let found = verify(dir);
        if let Ok(mut index) = Index::open(dir, Arc::new(disk.clone())) {
            let _ = index.mark_damage(&found);
        }
        let options = StoreOptions {
            ballast_bytes: 0,
            ..patient()
        };
        let clock = Arc::new(SimulatedClock::new(NOON));
        let Ok((store, _)) = Store::open_on(Arc::new(disk.clone()), dir, options, clock) else {
            return;
        };
        let (name, _, bytes) = &made.items[1];
        let _ = try_import(&store, &file(made.outside.path(), name, bytes));
        store.close();
    };
    let whole = FaultyDisk::default();
    let dir = folder();
    copy(made.dir(), dir.path());
    work(dir.path(), &whole);
    assert!(verify(dir.path()).is_sound());
    let mut unmarked = 0;
    for at in 0..whole.operations() {
        let dir = folder();
        copy(made.dir(), dir.path());
        let disk = FaultyDisk::failing(at, fault);
        work(dir.path(), &disk);
        disk.lose_what_is_not_synced();
        unmarked += usize::from(!verify(dir.path()).damaged.is_empty());
        let (store, _) = open_whatever(dir.path());
        made.check_reads(&store);
        store.close();
        drop(store);
        scrub(dir.path());
        let (store, _) = open_whatever(dir.path());
        made.again(&store, 0);
        assert_eq!(made.check_reads(&store), [0, 0], "at {at}");
        assert!(
            store
                .items(None, 9)
                .unwrap()
                .iter()
                .all(|item| item.damaged_bytes == 0)
        );
        assert!(store.collect_garbage(true).unwrap().recount.is_clean());
        check_imports(dir.path());
        store.close();
        drop(store);
        assert!(verify(dir.path()).is_sound(), "at {at}");
    }
    assert!(
        unmarked > 0,
        "a cut before the mark was durable is among them"
    );
}

#[test]
fn a_power_cut_between_finding_marking_and_mending_harms_nothing() {
    fault_at_every_operation(Fault::PowerCut);
}

#[test]
fn an_io_error_between_finding_marking_and_mending_harms_nothing() {
    fault_at_every_operation(Fault::Io);
}
