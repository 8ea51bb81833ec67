//! What reached a disk, in order: every write with its data, every flush, and notes of what somebody outside had been
//! told by then. Kept in two files, so that a disk of any cut can be made from it later. Knows sectors, no protocol.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

/// The unit that a disk writes at once; what a power cut leaves of a longer write is a matter of luck.
pub(crate) const SECTOR_BYTES: usize = 512;

const RECORD_BYTES: usize = 32;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Data was taken, but may still be in the disk's cache.
    Write,
    /// Data that was durable when it was acknowledged (force unit access).
    DurableWrite,
    /// All that was taken before is durable.
    Flush,
    /// Somebody outside was told something before this moment: text.
    Note,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Write, Self::DurableWrite, Self::Flush, Self::Note];

    fn number(self) -> u8 {
        self as u8
    }
}

/// One entry of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    /// How long it is, in bytes; whole sectors if it is a write.
    pub(crate) bytes: u32,
    /// Where on the disk it went, in sectors.
    pub(crate) sector: u64,
    /// Where in the file of data it lies, in sectors.
    pub(crate) place: u64,
    /// When, in µs since the log was begun.
    pub(crate) at_us: u64,
}

impl Record {
    /// Sectors that a write covers.
    pub(crate) fn sectors(&self) -> u64 {
        u64::from(self.bytes) / SECTOR_BYTES as u64
    }

    /// Whether it carries data for the disk.
    pub(crate) fn is_write(&self) -> bool {
        matches!(self.kind, Kind::Write | Kind::DurableWrite)
    }

    fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[0] = self.kind.number();
        bytes[4..8].copy_from_slice(&self.bytes.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.sector.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.place.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.at_us.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8; RECORD_BYTES]) -> io::Result<Self> {
        let word = |at: usize| u64::from_be_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        Ok(Self {
            kind: *Kind::ALL
                .get(usize::from(bytes[0]))
                .ok_or(io::ErrorKind::InvalidData)?,
            bytes: u32::from_be_bytes(bytes[4..8].try_into().expect("4 bytes")),
            sector: word(8),
            place: word(16),
            at_us: word(24),
        })
    }
}

/// A log being written, and the disk as it is meanwhile.
pub(crate) struct DiskLog {
    records: BufWriter<File>,
    data: File,
    data_sectors: u64,
    began: Instant,
    disk: Picture,
    /// Records of each kind.
    counts: [u64; Kind::ALL.len()],
}

impl DiskLog {
    /// Begins a log of an empty disk in a folder, which is made.
    pub(crate) fn create(folder: &Path, disk_bytes: u64) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let data = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(folder.join("data"))?;
        Ok(Self {
            records: BufWriter::new(File::create_new(folder.join("records"))?),
            data,
            data_sectors: 0,
            began: Instant::now(),
            disk: Picture::empty(disk_bytes / SECTOR_BYTES as u64),
            counts: [0; Kind::ALL.len()],
        })
    }

    /// Takes whole sectors.
    pub(crate) fn write(&mut self, sector: u64, data: &[u8], durable: bool) -> io::Result<()> {
        let kind = if durable {
            Kind::DurableWrite
        } else {
            Kind::Write
        };
        let record = self.add(kind, sector, data)?;
        self.disk.put(&record, 0..record.sectors());
        Ok(())
    }

    /// Marks all that was written as durable.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.add(Kind::Flush, 0, &[]).map(drop)
    }

    /// Keeps what somebody outside was told.
    pub(crate) fn note(&mut self, text: &str) -> io::Result<()> {
        self.add(Kind::Note, 0, text.as_bytes()).map(drop)
    }

    /// Reads whole sectors.
    pub(crate) fn read(&self, sector: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.read(&self.data, sector, buffer)
    }

    /// One line for people.
    pub(crate) fn summary(&self) -> String {
        let of = |kind: Kind| self.counts[usize::from(kind.number())];
        format!(
            "logged {} writes, {} durable at once, {} flushes, {} notes, {} MiB in {} s",
            of(Kind::Write),
            of(Kind::DurableWrite),
            of(Kind::Flush),
            of(Kind::Note),
            self.data_sectors >> 11,
            self.began.elapsed().as_secs()
        )
    }

    /// Puts everything into the files.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.records.flush()
    }

    fn add(&mut self, kind: Kind, sector: u64, data: &[u8]) -> io::Result<Record> {
        let record = Record {
            kind,
            bytes: data.len() as u32,
            sector,
            place: self.data_sectors,
            at_us: self.began.elapsed().as_micros() as u64,
        };
        self.data
            .write_all_at(data, self.data_sectors * SECTOR_BYTES as u64)?;
        self.data_sectors += data.len().div_ceil(SECTOR_BYTES) as u64;
        self.records.write_all(&record.encode())?;
        self.counts[usize::from(kind.number())] += 1;
        Ok(record)
    }
}

/// A log that is complete.
pub(crate) struct FinishedLog {
    pub(crate) records: Vec<Record>,
    data: File,
}

impl FinishedLog {
    /// Reads a log back.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        File::open(folder.join("records"))?.read_to_end(&mut bytes)?;
        let (records, _) = bytes.as_chunks::<RECORD_BYTES>();
        Ok(Self {
            records: records
                .iter()
                .map(Record::decode)
                .collect::<io::Result<_>>()?,
            data: File::open(folder.join("data"))?,
        })
    }

    /// Where the first note is: what came before it made the disk ready, and nobody was told anything.
    pub(crate) fn first_note(&self) -> usize {
        let mut records = self.records.iter();
        let first = records.position(|record| record.kind == Kind::Note);
        first.unwrap_or(self.records.len())
    }

    /// The data of a write, or the bytes of a note.
    pub(crate) fn data(&self, record: &Record) -> io::Result<Vec<u8>> {
        let mut data = vec![0; record.bytes as usize];
        let offset = record.place * SECTOR_BYTES as u64;
        self.data.read_exact_at(&mut data, offset)?;
        Ok(data)
    }

    /// The text of a note.
    pub(crate) fn note(&self, record: &Record) -> io::Result<String> {
        String::from_utf8(self.data(record)?).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    /// Reads whole sectors of a disk as `picture` says that it is.
    pub(crate) fn read(&self, picture: &Picture, sector: u64, buffer: &mut [u8]) -> io::Result<()> {
        picture.read(&self.data, sector, buffer)
    }
}

/// Which sector of the data each sector of a disk holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture(Vec<u32>);

impl Picture {
    /// A disk full of zeros.
    pub(crate) fn empty(sectors: u64) -> Self {
        Self(vec![0; sectors as usize])
    }

    /// Lets some sectors of a write, counted from its first, reach the disk.
    pub(crate) fn put(&mut self, write: &Record, which: std::ops::Range<u64>) {
        for at in which {
            // 0 stands for zeros.
            self.0[(write.sector + at) as usize] = (write.place + at + 1) as u32;
        }
    }

    /// Stretches of sectors that are not zero: the first and their count.
    pub(crate) fn written(&self) -> Vec<(u64, u64)> {
        let mut stretches: Vec<(u64, u64)> = Vec::new();
        for (sector, _) in self.0.iter().enumerate().filter(|(_, place)| **place > 0) {
            match stretches.last_mut() {
                Some((first, count)) if *first + *count == sector as u64 => *count += 1,
                _ => stretches.push((sector as u64, 1)),
            }
        }
        stretches
    }

    fn read(&self, data: &File, sector: u64, buffer: &mut [u8]) -> io::Result<()> {
        let first = sector as usize;
        let places = &self.0[first..first + buffer.len() / SECTOR_BYTES];
        let mut at = 0;
        // Neighbours on the disk that are neighbours in the data are read at once.
        for run in places.chunk_by(|one, next| *one > 0 && one + 1 == *next) {
            let piece = &mut buffer[at..at + run.len() * SECTOR_BYTES];
            match run[0] {
                0 => piece.fill(0),
                place => data.read_exact_at(piece, u64::from(place - 1) * SECTOR_BYTES as u64)?,
            }
            at += piece.len();
        }
        Ok(())
    }
}
