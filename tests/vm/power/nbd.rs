//! A network block device over a unix socket, as much of it as QEMU needs: the fixed newstyle handshake, reads, writes
//! with force unit access, flushes. (The NBD protocol, github.com/NetworkBlockDevice/nbd, doc/proto.md)

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use super::disk_log::SECTOR_BYTES;

/// What is behind the device. Offsets and lengths are whole sectors within it.
pub(crate) trait Disk {
    /// Size in bytes.
    fn bytes_count(&self) -> u64;
    fn read(&mut self, sector: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// `durable` asks that the data be durable before the answer.
    fn write(&mut self, sector: u64, data: &[u8], durable: bool) -> io::Result<()>;
    /// Everything written before is durable once this returns.
    fn flush(&mut self) -> io::Result<()>;
}

const MAGIC: u64 = u64::from_be_bytes(*b"NBDMAGIC");
const OPTION_MAGIC: u64 = u64::from_be_bytes(*b"IHAVEOPT");
const OPTION_REPLY_MAGIC: u64 = 0x0003_E889_0455_65A9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const REPLY_MAGIC: u32 = 0x6744_6698;

/// Fixed newstyle, and no zeros behind the export's size.
const HANDSHAKE_FLAGS: u16 = 0b11;
/// Flags are there, flush and force unit access are understood.
const DEVICE_FLAGS: u16 = 0b1101;
const FORCE_UNIT_ACCESS: u16 = 1;

const OPTION_EXPORT_NAME: u32 = 1;
const OPTION_ABORT: u32 = 2;
const OPTION_INFO: u32 = 6;
const OPTION_GO: u32 = 7;
const REPLY_ACK: u32 = 1;
const REPLY_INFO: u32 = 3;
const REPLY_UNSUPPORTED: u32 = (1 << 31) + 1;
const INFO_EXPORT: u16 = 0;
const INFO_BLOCK_SIZE: u16 = 3;

const READ: u16 = 0;
const WRITE: u16 = 1;
const DISCONNECT: u16 = 2;
const FLUSH: u16 = 3;

const NO_ERROR: u32 = 0;
const EIO: u32 = 5;
const EINVAL: u32 = 22;

/// The longest request: what the protocol lets a client rely on.
const REQUEST_BYTES_MAX: u32 = 32 << 20;
const OPTION_BYTES_MAX: u32 = 4096;

/// Serves one client until it goes, however it goes: a machine that is killed says nothing.
pub(crate) fn serve(stream: &mut UnixStream, disk: &mut impl Disk) -> io::Result<()> {
    let served = shake_hands(stream, disk.bytes_count()).and_then(|begun| match begun {
        true => transmit(stream, disk),
        false => Ok(()),
    });
    match served {
        Err(error) if is_end(&error) => Ok(()),
        other => other,
    }
}

fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

/// Returns whether the client wants the device.
fn shake_hands(stream: &mut UnixStream, bytes_count: u64) -> io::Result<bool> {
    let mut greeting = Vec::new();
    greeting.extend(MAGIC.to_be_bytes());
    greeting.extend(OPTION_MAGIC.to_be_bytes());
    greeting.extend(HANDSHAKE_FLAGS.to_be_bytes());
    stream.write_all(&greeting)?;
    let client_flags = u32::from_be_bytes(take(stream)?);
    loop {
        if u64::from_be_bytes(take(stream)?) != OPTION_MAGIC {
            return Err(ErrorKind::InvalidData.into());
        }
        let option = u32::from_be_bytes(take(stream)?);
        let length = u32::from_be_bytes(take(stream)?);
        if length > OPTION_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        stream.read_exact(&mut vec![0; length as usize])?;
        match option {
            OPTION_EXPORT_NAME => {
                let mut answer = Vec::new();
                answer.extend(bytes_count.to_be_bytes());
                answer.extend(DEVICE_FLAGS.to_be_bytes());
                if client_flags & 0b10 == 0 {
                    answer.extend([0; 124]);
                }
                stream.write_all(&answer)?;
                return Ok(true);
            }
            OPTION_INFO | OPTION_GO => {
                let mut export = INFO_EXPORT.to_be_bytes().to_vec();
                export.extend(bytes_count.to_be_bytes());
                export.extend(DEVICE_FLAGS.to_be_bytes());
                reply(stream, option, REPLY_INFO, &export)?;
                let mut sizes = INFO_BLOCK_SIZE.to_be_bytes().to_vec();
                for size in [SECTOR_BYTES as u32, 4096, REQUEST_BYTES_MAX] {
                    sizes.extend(size.to_be_bytes());
                }
                reply(stream, option, REPLY_INFO, &sizes)?;
                reply(stream, option, REPLY_ACK, &[])?;
                if option == OPTION_GO {
                    return Ok(true);
                }
            }
            OPTION_ABORT => {
                reply(stream, option, REPLY_ACK, &[])?;
                return Ok(false);
            }
            _ => reply(stream, option, REPLY_UNSUPPORTED, &[])?,
        }
    }
}

fn reply(stream: &mut UnixStream, option: u32, kind: u32, data: &[u8]) -> io::Result<()> {
    let mut answer = Vec::new();
    answer.extend(OPTION_REPLY_MAGIC.to_be_bytes());
    answer.extend(option.to_be_bytes());
    answer.extend(kind.to_be_bytes());
    answer.extend((data.len() as u32).to_be_bytes());
    answer.extend(data);
    stream.write_all(&answer)
}

fn transmit(stream: &mut UnixStream, disk: &mut impl Disk) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        if u32::from_be_bytes(take(stream)?) != REQUEST_MAGIC {
            return Err(ErrorKind::InvalidData.into());
        }
        let flags = u16::from_be_bytes(take(stream)?);
        let command = u16::from_be_bytes(take(stream)?);
        let cookie: [u8; 8] = take(stream)?;
        let offset = u64::from_be_bytes(take(stream)?);
        let length = u32::from_be_bytes(take(stream)?);
        if length > REQUEST_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        let carries_data = matches!(command, READ | WRITE);
        buffer.resize(if carries_data { length as usize } else { 0 }, 0);
        if command == WRITE {
            stream.read_exact(&mut buffer)?;
        }
        let sector = offset / SECTOR_BYTES as u64;
        let fits = offset.is_multiple_of(SECTOR_BYTES as u64)
            && (length as usize).is_multiple_of(SECTOR_BYTES)
            && offset
                .checked_add(length.into())
                .is_some_and(|end| end <= disk.bytes_count());
        let done = match command {
            DISCONNECT => return Ok(()),
            FLUSH => disk.flush(),
            READ if fits => disk.read(sector, &mut buffer),
            WRITE if fits => disk.write(sector, &buffer, flags & FORCE_UNIT_ACCESS != 0),
            _ => Err(ErrorKind::InvalidInput.into()),
        };
        let error = match &done {
            Ok(()) => NO_ERROR,
            Err(error) if error.kind() == ErrorKind::InvalidInput => EINVAL,
            Err(error) => {
                eprintln!("disk: command {command} at sector {sector}: {error}");
                EIO
            }
        };
        let mut answer = Vec::with_capacity(16 + buffer.len());
        answer.extend(REPLY_MAGIC.to_be_bytes());
        answer.extend(error.to_be_bytes());
        answer.extend(cookie);
        if command == READ && done.is_ok() {
            answer.extend_from_slice(&buffer);
        }
        stream.write_all(&answer)?;
    }
}

fn take<const N: usize>(stream: &mut UnixStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Remembered {
        disk: Vec<u8>,
        events: Vec<String>,
    }

    impl Disk for Remembered {
        fn bytes_count(&self) -> u64 {
            self.disk.len() as u64
        }

        fn read(&mut self, sector: u64, buffer: &mut [u8]) -> io::Result<()> {
            let at = sector as usize * SECTOR_BYTES;
            buffer.copy_from_slice(&self.disk[at..at + buffer.len()]);
            Ok(())
        }

        fn write(&mut self, sector: u64, data: &[u8], durable: bool) -> io::Result<()> {
            let at = sector as usize * SECTOR_BYTES;
            self.disk[at..at + data.len()].copy_from_slice(data);
            self.events.push(format!("write {sector} {durable}"));
            Ok(())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.events.push("flush".to_owned());
            Ok(())
        }
    }

    fn request(flags: u16, command: u16, offset: u64, length: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = REQUEST_MAGIC.to_be_bytes().to_vec();
        bytes.extend(flags.to_be_bytes());
        bytes.extend(command.to_be_bytes());
        bytes.extend(7u64.to_be_bytes());
        bytes.extend(offset.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(data);
        bytes
    }

    fn option(option: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = OPTION_MAGIC.to_be_bytes().to_vec();
        bytes.extend(option.to_be_bytes());
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(data);
        bytes
    }

    /// What the server says to a client that says all of this, and what reached the disk.
    fn exchange(said: &[u8]) -> (Vec<u8>, Remembered) {
        let (mut client, mut server) = UnixStream::pair().expect("a pair");
        client.write_all(said).expect("it fits the socket's buffer");
        client
            .shutdown(std::net::Shutdown::Write)
            .expect("no more to say");
        let mut disk = Remembered {
            disk: vec![0; 8 * SECTOR_BYTES],
            ..Remembered::default()
        };
        serve(&mut server, &mut disk).expect("a client that goes is no error");
        drop(server);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("the answer");
        (answer, disk)
    }

    #[test]
    fn a_client_that_takes_the_device_reads_what_it_wrote() {
        let data = [9; SECTOR_BYTES];
        let said = [
            &0b11u32.to_be_bytes()[..],
            &option(8, &[]),
            &option(OPTION_GO, &[0; 6]),
            &request(0, WRITE, 1024, 512, &data),
            &request(FORCE_UNIT_ACCESS, WRITE, 512, 512, &data),
            &request(0, FLUSH, 0, 0, &[]),
            &request(0, READ, 1024, 512, &[]),
            &request(0, READ, 8 * 512, 512, &[]),
            &request(0, DISCONNECT, 0, 0, &[]),
        ]
        .concat();
        let (answer, disk) = exchange(&said);
        assert_eq!(disk.events, ["write 2 false", "write 1 true", "flush"]);
        // Greeting, a refused option, two infos and an acknowledgement, then the replies.
        let replies = &answer[18 + 20 + 32 + 34 + 20..];
        let reply = |error: u32| {
            let cookie = 7u64.to_be_bytes();
            [
                &REPLY_MAGIC.to_be_bytes()[..],
                &error.to_be_bytes(),
                &cookie,
            ]
            .concat()
        };
        let expected = [
            reply(0),
            reply(0),
            reply(0),
            [reply(0), data.to_vec()].concat(),
            reply(EINVAL),
        ];
        assert_eq!(replies, expected.concat());
    }

    #[test]
    fn an_older_client_and_one_that_only_looks_are_served_too() {
        let old = [&0u32.to_be_bytes()[..], &option(OPTION_EXPORT_NAME, b"")].concat();
        let (answer, _) = exchange(&old);
        assert_eq!(answer.len(), 18 + 8 + 2 + 124);
        assert_eq!(answer[18..26], (8 * 512u64).to_be_bytes());
        let looks = [&0b11u32.to_be_bytes()[..], &option(OPTION_ABORT, b"")].concat();
        let (answer, _) = exchange(&looks);
        assert_eq!(answer.len(), 18 + 20);
    }

    #[test]
    fn what_is_no_nbd_is_refused() {
        let (mut client, mut server) = UnixStream::pair().expect("a pair");
        client.write_all(&[0; 64]).expect("it fits");
        let mut disk = Remembered::default();
        let error = serve(&mut server, &mut disk).expect_err("no magic");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
