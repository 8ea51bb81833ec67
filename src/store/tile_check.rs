//! Compares each tile of the log of segments with the hash above it, from left to right, and the tiles that are not full
//! yet with the root that was signed last. Finds out which of two is damaged where they do not agree, and of a hash above
//! leaves also what it was; writes nothing. Driven by `log_scrub`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::file_system::is_damage;
use super::log_files::{LEVELS, TileFiles, tiles_path};
use crate::seal::{
    Checkpoint, NodeHash, TILE_HASHES, TileId, TileSource, Tree, TreeError, tile_root,
};

/// Others get their turn after so many tiles: 64 KiB.
const TILES_AT_A_TIME: u32 = 8;

/// Hashes in a full tile.
const TILE: u64 = TILE_HASHES as u64;

const ENDS_EARLY: &str = "the file ends early";
const UNREADABLE: &str = "the disk does not give it back";
const OTHER_HASH: &str = "it does not fit the hash above it";
const NOT_SIGNED: &str = "with its end the log is not the one that was signed";

/// Tiles of one file, one behind the other, that are not what they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedTiles {
    /// The file.
    pub path: PathBuf,
    /// The leaves that cannot be proven with them as they are, by their places in the log.
    pub leaves: Range<u64>,
    /// What is wrong.
    pub what: &'static str,
    /// The hashes of them that were others, by their places in the file, growing, as they were for certain; none if
    /// nobody knows.
    pub(super) renewal: Vec<(u64, NodeHash)>,
}

impl DamagedTiles {
    /// Whether it is known for certain what they were.
    pub fn is_certain(&self) -> bool {
        !self.renewal.is_empty()
    }
}

/// Why not all was read.
#[derive(Debug)]
pub(super) enum Ended {
    /// Whoever asked has broken it off.
    BrokenOff,
    /// The operating system refuses, which says nothing of what lies there.
    Failed(io::Error),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

/// Reads the tiles of the first `size` leaves, which must not be in the middle of being written. `signed` is of no more
/// leaves. What it calls damaged is told from left to right, each once. `oldest` tells before which leaf room may have
/// been given back by now. `pause` is called after some tiles; what it returns is whether to break off.
pub(super) fn check_tiles(
    dir: &Path,
    size: u64,
    signed: Option<&Checkpoint>,
    oldest: &dyn Fn() -> u64,
    pause: &dyn Fn() -> bool,
) -> Result<Vec<DamagedTiles>, Ended> {
    // A damaged index may name any size; what is not there is not looked for tile by tile.
    let held = TileFiles::new(dir).leaves()?.min(size);
    let mut check = TileCheck::new(dir, held, oldest, pause);
    check.run(signed.filter(|signed| signed.size <= held))?;
    if held < size {
        check.damaged.push(DamagedTiles {
            path: tiles_path(dir, 0),
            leaves: 0..size,
            what: ENDS_EARLY,
            renewal: Vec::new(),
        });
    }
    Ok(check.damaged)
}

/// Reads only the tiles of the first `size` leaves that are not full, and what lies right below them, where they do not
/// lead to what was `signed`: those of which it is certain what they were.
pub(super) fn check_end(
    dir: &Path,
    size: u64,
    signed: &Checkpoint,
) -> Result<Vec<DamagedTiles>, Ended> {
    let mut check = TileCheck::new(dir, size, &|| 0, &|| false);
    if signed.size <= size && !check.leads_to(signed)? {
        check.renew_end(signed)?;
    }
    check.damaged.retain(|tiles| !tiles.renewal.is_empty());
    Ok(check.damaged)
}

/// The tiles as they lie in the files, but for hashes of which it is known what they were.
struct Tiles {
    files: TileFiles,
    /// By level and place in it.
    renewed: BTreeMap<(u8, u64), NodeHash>,
}

impl Tiles {
    /// The bytes of a tile, and whether the disk gives them back.
    fn bytes(&mut self, id: TileId) -> io::Result<(Vec<u8>, bool)> {
        let (mut bytes, is_readable) = match self.files.tile(id) {
            Ok(bytes) => (bytes, true),
            Err(error) if is_damage(&error) => (Vec::new(), false),
            Err(error) => return Err(error),
        };
        let first = id.index * TILE;
        let of_tile = (id.level, first)..(id.level, first + TILE);
        for ((_, place), hash) in self.renewed.range(of_tile) {
            let at = (place - first) as usize * NodeHash::BYTES;
            let end = at + NodeHash::BYTES;
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[at..end].copy_from_slice(&hash.0);
        }
        Ok((bytes, is_readable))
    }
}

impl TileSource for &mut Tiles {
    type Error = io::Error;

    fn tile(&mut self, id: TileId) -> Result<Vec<u8>, io::Error> {
        Ok(self.bytes(id)?.0)
    }
}

/// A tile that was read.
struct ReadTile {
    /// As many as there are of those that are wanted.
    hashes: Vec<NodeHash>,
    /// Why there are fewer.
    fault: Option<&'static str>,
}

impl ReadTile {
    fn is_full_of_zeros(&self) -> bool {
        let is_zero = |hash: &NodeHash| *hash == NodeHash([0; NodeHash::BYTES]);
        self.hashes.len() == TILE_HASHES && self.hashes.iter().all(is_zero)
    }

    /// The root above a full tile. `None` if it is not all there, or was given back.
    fn root(&self) -> Option<NodeHash> {
        let hashes: &[NodeHash; TILE_HASHES] = self.hashes.as_slice().try_into().ok()?;
        (!self.is_full_of_zeros()).then(|| tile_root(hashes))
    }
}

/// The last tile of a level in a tree of `size` leaves and how many hashes it holds: none if all before it are full.
fn end_tile(level: u8, size: u64) -> (TileId, u64) {
    let count = size >> (8 * u32::from(level));
    let index = count / TILE;
    (TileId { level, index }, count % TILE)
}

fn levels() -> Range<u8> {
    0..LEVELS as u8
}

struct TileCheck<'a> {
    dir: &'a Path,
    size: u64,
    tiles: Tiles,
    oldest: &'a dyn Fn() -> u64,
    pause: &'a dyn Fn() -> bool,
    unpaused: u32,
    /// What `oldest` told last.
    may_be_given_back: u64,
    /// Tiles of leaves that were given back, from the first on.
    given_back: u64,
    /// Tiles that were called damaged, and of which not all is known that stood there.
    told: BTreeSet<TileId>,
    damaged: Vec<DamagedTiles>,
}

impl<'a> TileCheck<'a> {
    fn new(
        dir: &'a Path,
        size: u64,
        oldest: &'a dyn Fn() -> u64,
        pause: &'a dyn Fn() -> bool,
    ) -> Self {
        Self {
            dir,
            size,
            tiles: Tiles {
                files: TileFiles::new(dir),
                renewed: BTreeMap::new(),
            },
            oldest,
            pause,
            unpaused: 0,
            may_be_given_back: 0,
            given_back: 0,
            told: BTreeSet::new(),
            damaged: Vec::new(),
        }
    }

    fn run(&mut self, signed: Option<&Checkpoint>) -> Result<(), Ended> {
        let mut altered = None;
        if let Some(signed) = signed
            && !self.leads_to(signed)?
        {
            altered = Some(signed);
            self.renew_end(signed)?;
        }
        // The larger subtrees come first, from left to right.
        for level in levels().rev() {
            self.check_end(level)?;
        }
        let Some(signed) = altered else {
            return Ok(());
        };
        if !self.is_explained(signed.size) && !self.leads_to(signed)? {
            // All above it is borne out by what lies below.
            let mut ends = levels().map(|level| end_tile(level, signed.size));
            if let Some((lowest, _)) = ends.find(|(_, count)| *count > 0) {
                self.tell(lowest, NOT_SIGNED, Vec::new());
            }
        }
        Ok(())
    }

    /// Whether the root is the one that was signed.
    fn leads_to(&mut self, signed: &Checkpoint) -> Result<bool, Ended> {
        let tree = Tree::new(&mut self.tiles, signed.size);
        match tree.and_then(|mut tree| tree.root()) {
            Ok(root) => Ok(root == signed.root),
            Err(TreeError::Source(error)) => Err(error.into()),
            Err(_) => Ok(false),
        }
    }

    /// Whether something that the root needs was told already, or was given back since it was signed.
    fn is_explained(&self, size: u64) -> bool {
        let (leaves, count) = end_tile(0, size);
        let is_given_back = count > 0 && leaves.index < self.given_back;
        is_given_back || levels().any(|level| self.told.contains(&end_tile(level, size).0))
    }

    /// Hashes in tiles that are not full have no hash above them. They are computed again out of what lies below, all of
    /// them, and believed if that leads to the root that was signed.
    fn renew_end(&mut self, signed: &Checkpoint) -> Result<(), Ended> {
        let mut suspects = Vec::new();
        for level in levels().skip(1) {
            let (id, count) = end_tile(level, signed.size);
            // One that has become full since then has a hash above it.
            if count == 0 || id != end_tile(level, self.size).0 {
                continue;
            }
            let read = self.read(id, count)?;
            let renewal = self.other_hashes(id, &read.hashes, count)?;
            let renewal = renewal.unwrap_or_default();
            if read.fault.is_some() || !renewal.is_empty() {
                suspects.push((id, read.fault.unwrap_or(NOT_SIGNED), renewal));
            }
        }
        for (id, _, renewal) in &suspects {
            self.renew(*id, renewal);
        }
        let is_certain = self.leads_to(signed)?;
        if !is_certain {
            self.tiles.renewed.clear();
        }
        for (id, what, renewal) in suspects {
            let known = if is_certain { renewal } else { Vec::new() };
            self.tell(id, what, known);
        }
        Ok(())
    }

    /// Checks what lies under the last tile of a level.
    fn check_end(&mut self, level: u8) -> Result<(), Ended> {
        let (id, count) = end_tile(level, self.size);
        if count == 0 {
            return Ok(());
        }
        let read = self.read(id, count)?;
        if let Some(fault) = read.fault
            && !self.told.contains(&id)
        {
            self.tell(id, fault, Vec::new());
        }
        let is_told = self.told.contains(&id);
        self.check_below(id, count, &read.hashes, is_told)
    }

    /// Checks the tiles under the hashes of a tile, of which some may be missing. `is_told` says that these are not to be
    /// relied on, and that all below is called damaged already.
    fn check_below(
        &mut self,
        id: TileId,
        count: u64,
        hashes: &[NodeHash],
        is_told: bool,
    ) -> Result<(), Ended> {
        let Some(level) = id.level.checked_sub(1) else {
            return Ok(());
        };
        for slot in 0..count {
            let index = id.index * TILE + slot;
            let above = hashes.get(slot as usize).copied();
            self.check_full(TileId { level, index }, above, is_told)?;
        }
        Ok(())
    }

    /// Compares a full tile with the hash above it, and all below it.
    fn check_full(
        &mut self,
        id: TileId,
        above: Option<NodeHash>,
        mut is_told: bool,
    ) -> Result<(), Ended> {
        if id.level == 0 {
            return match above {
                Some(above) => self.check_leaves(id, above, is_told),
                None => Ok(()),
            };
        }
        let mut read = self.read(id, TILE)?;
        if above.is_some() && read.root() == above {
            is_told = false;
        } else if let Some(above) = above
            && let Some(renewal) = self.renewal(id, &read.hashes, above)?
        {
            self.renew(id, &renewal);
            self.tell(id, read.fault.unwrap_or(OTHER_HASH), renewal);
            read = self.read(id, TILE)?;
            is_told = false;
        } else if !is_told {
            self.tell(id, read.fault.unwrap_or(OTHER_HASH), Vec::new());
            is_told = true;
        }
        self.check_below(id, TILE, &read.hashes, is_told)
    }

    fn check_leaves(&mut self, id: TileId, above: NodeHash, is_told: bool) -> Result<(), Ended> {
        let mut fault = None;
        // What is given back just now may be half of it when it is read first.
        for _ in 0..2 {
            let read = self.read(id, TILE)?;
            let is_given_back = read.is_full_of_zeros() && self.is_given_back(id.index)?;
            if is_given_back || read.root() == Some(above) {
                return Ok(());
            }
            fault = read.fault;
        }
        if !is_told {
            self.tell(id, fault.unwrap_or(OTHER_HASH), Vec::new());
        }
        Ok(())
    }

    /// Whether a tile of leaves that is full of zeros was given back: only those are that lie before all that is recorded,
    /// and whose predecessors are, too. There may be more of these by now.
    fn is_given_back(&mut self, index: u64) -> Result<bool, Ended> {
        while self.given_back < index {
            let index = self.given_back;
            let before = self.read(TileId { level: 0, index }, TILE)?;
            if !before.is_full_of_zeros() {
                return Ok(false);
            }
            self.given_back += 1;
        }
        let end = (index + 1) * TILE;
        if end > self.may_be_given_back {
            self.may_be_given_back = (self.oldest)();
            if end > self.may_be_given_back {
                return Ok(false);
            }
        }
        self.given_back = self.given_back.max(index + 1);
        Ok(true)
    }

    /// What the hashes of a full tile were that does not fit the hash above it; `None` if nobody knows.
    fn renewal(
        &mut self,
        id: TileId,
        stored: &[NodeHash],
        above: NodeHash,
    ) -> Result<Option<Vec<(u64, NodeHash)>>, Ended> {
        let Some(others) = self.other_hashes(id, stored, TILE)? else {
            return Ok(None);
        };
        let mut hashes = stored.to_vec();
        hashes.resize(TILE_HASHES, NodeHash([0; NodeHash::BYTES]));
        for (place, hash) in &others {
            hashes[(place % TILE) as usize] = *hash;
        }
        let whole = ReadTile {
            hashes,
            fault: None,
        };
        Ok((whole.root() == Some(above)).then_some(others))
    }

    /// The first `count` hashes of a tile above leaves, computed again: those that are not `stored` so, by their places in
    /// the level. `None` if one can neither be computed nor is stored.
    fn other_hashes(
        &mut self,
        id: TileId,
        stored: &[NodeHash],
        count: u64,
    ) -> Result<Option<Vec<(u64, NodeHash)>>, Ended> {
        let mut others = Vec::new();
        for slot in 0..count {
            let index = id.index * TILE + slot;
            let level = id.level - 1;
            let computed = self.read(TileId { level, index }, TILE)?.root();
            match (computed, stored.get(slot as usize)) {
                (Some(computed), stored) if stored != Some(&computed) => {
                    others.push((index, computed));
                }
                (None, None) => return Ok(None),
                _ => {}
            }
        }
        Ok(Some(others))
    }

    fn renew(&mut self, id: TileId, renewal: &[(u64, NodeHash)]) {
        let renewed = renewal
            .iter()
            .map(|(place, hash)| ((id.level, *place), *hash));
        self.tiles.renewed.extend(renewed);
    }

    fn read(&mut self, id: TileId, count: u64) -> Result<ReadTile, Ended> {
        if self.unpaused == TILES_AT_A_TIME {
            self.unpaused = 0;
            if (self.pause)() {
                return Err(Ended::BrokenOff);
            }
        }
        self.unpaused += 1;
        let (bytes, is_readable) = self.tiles.bytes(id)?;
        let (hashes, _) = bytes.as_chunks();
        let hashes: Vec<NodeHash> = hashes
            .iter()
            .take(count as usize)
            .map(|hash| NodeHash(*hash))
            .collect();
        let fault = if is_readable { ENDS_EARLY } else { UNREADABLE };
        let is_whole = hashes.len() as u64 == count;
        Ok(ReadTile {
            hashes,
            fault: (!is_whole).then_some(fault),
        })
    }

    /// Calls a tile damaged.
    fn tell(&mut self, id: TileId, what: &'static str, renewal: Vec<(u64, NodeHash)>) {
        let height = 8 * (u32::from(id.level) + 1);
        let end = ((id.index + 1) << height).min(self.size);
        // As long as a tile is not full, its hashes themselves are in every proof, and not the one above them.
        let is_last = id == end_tile(id.level, self.size).0;
        let leaves = if is_last { 0 } else { id.index << height }..end;
        let path = tiles_path(self.dir, usize::from(id.level));
        if renewal.is_empty() {
            self.told.insert(id);
            if let Some(last) = self.damaged.last_mut()
                && last.renewal.is_empty()
                && (&last.path, last.what, last.leaves.end) == (&path, what, leaves.start)
            {
                last.leaves.end = leaves.end;
                return;
            }
        }
        self.damaged.push(DamagedTiles {
            path,
            leaves,
            what,
            renewal,
        });
    }
}
