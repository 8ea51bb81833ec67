//! Imports made files beside the recording, removes every second one again, and looks at them after a cut. Neighbours
//! share half of their bytes, so that what one gives back another may need.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use perch::chunk::{ItemId, ItemName, ItemSource};
use perch::store::{ImportMeta, Origin, Store};

use super::cut::Luck;
use super::tracks::Tracks;

/// Numbers of files that stay.
pub(crate) const KEPT: &str = "kept";
/// Numbers of files that are removed as soon as they are there.
pub(crate) const REMOVED: &str = "removed";

/// From one file to the next.
const PAUSE: Duration = Duration::from_millis(300);

/// Each half of a file: a chunk or a few.
const HALF_BYTES: usize = 150 << 10;

/// Files that follow each other so long begin alike.
const ALIKE: u64 = 4;

/// Numbers of a run of the driver: no two runs use one.
const RUN_NUMBERS: u64 = 1 << 20;

/// Every byte of a file.
fn made(kind: &str, number: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2 * HALF_BYTES);
    for seed in [number / ALIKE, number ^ (kind.len() as u64) << 40] {
        let mut luck = Luck::new(seed);
        let end = bytes.len() + HALF_BYTES;
        while bytes.len() < end {
            bytes.extend(luck.next().to_be_bytes());
        }
    }
    bytes
}

/// Imports and removes, one after the other, and tells what is done. `run` is a number that no driver had before.
pub(crate) fn import_items(store: &Store, run: u64, mut tell: impl FnMut(&Tracks)) -> ! {
    let folder = tempfile::tempdir().expect("a folder");
    let mut done = Tracks::default();
    for number in run * RUN_NUMBERS.. {
        import(store, folder.path(), KEPT, number);
        done.add(KEPT, number);
        tell(&done);
        std::thread::sleep(PAUSE);
        let id = import(store, folder.path(), REMOVED, number);
        assert!(store.remove_item(id).expect("it can be removed"));
        done.add(REMOVED, number);
        tell(&done);
        std::thread::sleep(PAUSE);
    }
    unreachable!("numbers have no end")
}

fn import(store: &Store, folder: &Path, kind: &str, number: u64) -> ItemId {
    let name = format!("{kind}-{number}");
    let path = folder.join(&name);
    let mut file = File::create(&path).expect("a file");
    file.write_all(&made(kind, number)).expect("its bytes");
    let file = File::open(&path).expect("it is there");
    let meta = ImportMeta {
        name: name.parse::<ItemName>().expect("a name"),
        source: ItemSource::Import,
        camera: None,
        at: None,
        origin: Origin::Path(path.clone()),
    };
    let imported = store.import(file, &meta, |_| ()).expect("an import");
    std::fs::remove_file(path).expect("it was there");
    imported.id
}

/// The items that are there, each compared with what it must be; and whether all counts of references are right.
pub(crate) fn look_at_items(store: &Store, wrong: &mut Vec<String>) -> Result<Tracks, String> {
    let error = |error: &dyn std::fmt::Display| error.to_string();
    let mut names = Vec::new();
    let mut before = None;
    loop {
        let page = store.items(before, 100).map_err(|e| error(&e))?;
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        names.extend(
            page.into_iter()
                .map(|item| (item.name.to_string(), item.id)),
        );
    }
    let mut found = Vec::new();
    for (name, id) in names {
        let known = name
            .split_once('-')
            .and_then(|(kind, number)| Some((kind, number.parse::<u64>().ok()?)));
        let Some((kind, number)) = known else {
            wrong.push(format!("{name}: nobody imported it"));
            continue;
        };
        match read(store, id) {
            Ok(bytes) if bytes == made(kind, number) => {}
            Ok(_) => wrong.push(format!("{name}: not what was imported")),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
        found.push((kind.to_owned(), number));
    }
    found.sort();
    let mut items = Tracks::default();
    for (kind, number) in found {
        items.add(&kind, number);
    }
    let gc = store.collect_garbage(true).map_err(|e| error(&e))?;
    if !gc.recount.is_clean() {
        wrong.push(format!("counts were wrong: {:?}", gc.recount));
    }
    Ok(items)
}

fn read(store: &Store, id: ItemId) -> Result<Vec<u8>, String> {
    let content = store.open_item(id).map_err(|error| error.to_string())?;
    let mut content = content.ok_or("listed and not there")?;
    let mut bytes = Vec::new();
    while let Some(more) = content
        .load_from(bytes.len() as u64)
        .map_err(|error| error.to_string())?
    {
        bytes.extend_from_slice(&more);
    }
    Ok(bytes)
}

/// What was told before a cut and is not so after it.
pub(crate) fn broken_promises(told: &Tracks, found: &Tracks) -> Vec<String> {
    let missing = told
        .numbers(KEPT)
        .filter(|number| !found.has(KEPT, *number));
    let back = told
        .numbers(REMOVED)
        .filter(|number| found.has(REMOVED, *number));
    missing
        .map(|number| format!("item {number} was imported, and is missing"))
        .chain(back.map(|number| format!("item {number} was removed, and is back")))
        .collect()
}
