//! Finds the records of a pack by reading it, without an index.

use std::io;
use std::ops::Range;

use super::record::{ALIGNMENT, PackError, PackHeader, RECORD_MAGIC, RecordHeader};
use crate::chunk::read_at::{ReadAt, Window};

/// Reads the header of a pack of `bytes_count`. Only the disk's own failure is `Io`.
pub fn read_pack_header<R: ReadAt + ?Sized>(
    file: &R,
    bytes_count: u64,
) -> Result<PackHeader, PackError> {
    match Window::new(file, bytes_count).array(0) {
        Ok(bytes) => PackHeader::decode(&bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(PackError::NotAPack),
        Err(error) => Err(error.into()),
    }
}

/// A record where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacedRecord {
    /// Offset of its header in the pack.
    pub offset: u64,
    /// What the header says.
    pub header: RecordHeader,
}

impl PlacedRecord {
    /// Where the payload lies in the pack.
    pub fn payload(&self) -> Range<u64> {
        let header_bytes = RecordHeader::bytes_count(self.header.digest.kind()) as u64;
        let start = self.offset + header_bytes;
        start..start + u64::from(self.header.payload_bytes)
    }

    /// The payload, compared with its digest; `None` if it is not what was written, or not all there.
    pub fn load_payload<R: ReadAt + ?Sized>(&self, file: &R) -> io::Result<Option<Vec<u8>>> {
        let mut payload = vec![0; self.header.payload_bytes as usize];
        match file.read_exact_at(&mut payload, self.payload().start) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let digest = self.header.digest.kind().digest(&payload);
        Ok((digest == self.header.digest).then_some(payload))
    }
}

/// What a scan comes across.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A record whose header holds and whose payload lies within the file. The payload itself was not read.
    Record(PlacedRecord),
    /// A range that belongs to no record. If it reaches to the end of the file, it is where an append was cut off.
    Unreadable(Range<u64>),
}

/// Everything in a pack, in the order of the file, without gaps. Ends behind an error of the disk.
#[derive(Debug)]
pub struct PackScan<'a, R: ?Sized> {
    window: Window<'a, R>,
    header: PackHeader,
    offset: u64,
    /// Found behind an unreadable range, and still to be told.
    next: Option<PlacedRecord>,
}

impl<'a, R: ReadAt + ?Sized> PackScan<'a, R> {
    /// Begins behind the header of a pack of `bytes_count`. `header` is what was read there; if that is damaged, the
    /// id that the file is named by and a kind of digest to try.
    pub fn new(file: &'a R, bytes_count: u64, header: PackHeader) -> Self {
        Self {
            window: Window::new(file, bytes_count),
            header,
            offset: PackHeader::BYTES as u64,
            next: None,
        }
    }

    /// The record at `offset`, if one was written there and all of it fits the file.
    fn record_at(&mut self, offset: u64) -> io::Result<Option<PlacedRecord>> {
        let header_bytes = RecordHeader::bytes_count(self.header.digest_kind);
        let end = self.window.end();
        if offset.saturating_add(header_bytes as u64) > end {
            return Ok(None);
        }
        let bytes = self.window.bytes(offset, header_bytes)?;
        if !bytes.starts_with(RECORD_MAGIC) {
            return Ok(None);
        }
        let header = RecordHeader::decode(bytes, &self.header, offset);
        let record = header.map(|header| PlacedRecord { offset, header });
        Ok(record.filter(|record| record.payload().end <= end))
    }

    fn advance(&mut self) -> io::Result<Option<Found>> {
        let start = self.offset;
        let end = self.window.end();
        if let Some(record) = self.next.take() {
            return Ok(Some(self.step_over(record)));
        }
        if start >= end {
            return Ok(None);
        }
        let mut offset = start;
        while offset < end {
            if let Some(record) = self.record_at(offset)? {
                if offset == start {
                    return Ok(Some(self.step_over(record)));
                }
                self.next = Some(record);
                break;
            }
            offset = (offset + ALIGNMENT).min(end);
        }
        self.offset = offset;
        Ok(Some(Found::Unreadable(start..offset)))
    }

    fn step_over(&mut self, record: PlacedRecord) -> Found {
        self.offset = record.offset + record.header.record_bytes();
        Found::Record(record)
    }
}

impl<R: ReadAt + ?Sized> Iterator for PackScan<'_, R> {
    type Item = io::Result<Found>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.advance();
        if found.is_err() {
            // Whatever follows is not looked for on a disk that fails.
            self.offset = u64::MAX;
        }
        found.transpose()
    }
}
