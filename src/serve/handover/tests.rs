//! Files handed over to an appliance that is made here and does what a test has it do: breaks off, forgets, refuses.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{HandOver, HandOverError};
use crate::chunk::{ItemSource, MediaKind};
use crate::store::{ImportMeta, Imported, Origin};

const PIECE: u64 = 8 << 20;
const UPLOAD: &str = "/api/v1/uploads/1";

/// What becomes of a request that brings data; the upload takes so many of its bytes first.
#[derive(Clone, Copy)]
enum Fault {
    /// The connection ends without an answer.
    Cut(u64),
    /// Another request takes the upload over.
    TakenOver(u64),
    /// Another client has added so many bytes before.
    Ahead(u64),
    /// The upload is gone.
    Forgotten,
    /// The disk is full.
    Full(u64),
    /// It has no place.
    NoPlace,
}

/// The appliance.
#[derive(Default)]
struct Made {
    faults: VecDeque<Fault>,
    /// The one upload: its metadata and bytes.
    upload: Option<(String, u64)>,
    length: u64,
    is_refused: bool,
    begun: u32,
    removed: u32,
    /// Bytes of all requests that brought data.
    brought: u64,
}

impl Made {
    /// The answer to a request; `None` for an end without one.
    fn answer(&mut self, request: &Sent) -> Option<String> {
        let shown = self.shown();
        Some(match (&request.method[..], &request.path[..]) {
            ("GET", "/api/v1/uploads") => {
                ok(&format!("{{\"uploads\":[{}]}}", shown.unwrap_or_default()))
            }
            ("GET", UPLOAD) => shown.map_or_else(|| status("404 Not Found"), |shown| ok(&shown)),
            ("GET", "/api/v1/items/7") => ok(&format!(
                "{{\"id\":\"{}\",\"media\":\"video\",\"bytes\":{},\"new_bytes\":5,\"damaged_bytes\":0,\"digest\":\"{}\"}}",
                "07".repeat(16),
                self.length,
                "ab".repeat(32)
            )),
            ("POST", _) => {
                self.length = request.number("upload-length");
                self.upload = Some((request.text("upload-metadata"), 0));
                self.begun += 1;
                status("201 Created")
            }
            ("DELETE", _) => {
                self.upload = None;
                self.removed += 1;
                status("204 No Content")
            }
            _ => return self.append(request),
        })
    }

    fn append(&mut self, request: &Sent) -> Option<String> {
        let fault = self.faults.pop_front();
        let Some((_, bytes)) = &mut self.upload else {
            return Some(status("404 Not Found"));
        };
        if let Some(Fault::Ahead(count)) = fault {
            *bytes += count;
        }
        if request.number("upload-offset") != *bytes {
            return Some(status(&format!("409 Conflict\r\nUpload-Offset: {bytes}")));
        }
        let taken = match fault {
            Some(Fault::Cut(count) | Fault::TakenOver(count) | Fault::Full(count)) => count,
            Some(Fault::Forgotten | Fault::NoPlace) => 0,
            _ => request.body,
        };
        *bytes += taken;
        self.brought += taken;
        Some(match fault {
            Some(Fault::Cut(_)) => return None,
            Some(Fault::TakenOver(_)) => status("409 Conflict"),
            Some(Fault::Full(_)) => status("507 Insufficient Storage"),
            Some(Fault::NoPlace) => status("503 Service Unavailable"),
            Some(Fault::Forgotten) => {
                self.upload = None;
                status("404 Not Found")
            }
            _ => status(&format!("204 No Content\r\nUpload-Offset: {bytes}")),
        })
    }

    /// The upload as JSON.
    fn shown(&self) -> Option<String> {
        let (metadata, bytes) = self.upload.as_ref()?;
        let state = match (*bytes == self.length, self.is_refused) {
            (false, _) => "\"uploading\"",
            (true, false) => "\"done\",\"item\":\"7\"",
            (true, true) => "\"refused\",\"reason\":\"it is no media\"",
        };
        Some(format!(
            "{{\"address\":\"{UPLOAD}\",\"state\":{state},\"metadata\":\"{metadata}\",\"bytes\":{bytes}}}"
        ))
    }
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// An answer without a body; `line` may have header fields behind it.
fn status(line: &str) -> String {
    let length = if line.starts_with("204") {
        ""
    } else {
        "\r\nContent-Length: 0"
    };
    format!("HTTP/1.1 {line}{length}\r\n\r\n")
}

/// A request as it came.
struct Sent {
    method: String,
    path: String,
    lines: Vec<(String, String)>,
    body: u64,
}

impl Sent {
    fn read(stream: &TcpStream) -> Self {
        let mut stream = BufReader::new(stream);
        let mut line = || {
            let mut line = String::new();
            stream.read_line(&mut line).expect("a line");
            line.trim_end().to_owned()
        };
        let first = line();
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (
            words.next().expect("a method"),
            words.next().expect("a path"),
        );
        let fields = std::iter::from_fn(|| {
            let line = line();
            let (name, value) = line.split_once(": ")?;
            Some((name.to_ascii_lowercase(), value.to_owned()))
        });
        let mut sent = Self {
            method,
            path,
            lines: fields.collect(),
            body: 0,
        };
        let length = sent.number("content-length");
        let body = std::io::copy(&mut stream.take(length), &mut std::io::sink());
        sent.body = body.expect("a body");
        sent
    }

    fn text(&self, name: &str) -> String {
        let found = self.lines.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }
}

/// Hands a film of `bytes` bytes over to an appliance with these faults; tells what came of it, and the appliance.
fn hand_over(
    bytes: u64,
    made: Made,
    mut progress: impl FnMut(&Path),
) -> (Result<Imported, HandOverError>, Made) {
    let dir = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let reach = format!("{{\"address\":\"{address}\",\"pid\":1}}");
    fs::write(dir.path().join("appliance.json"), reach).expect("written");
    let made = Arc::new(Mutex::new(made));
    let server = std::thread::spawn({
        let made = Arc::clone(&made);
        move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let request = Sent::read(&stream);
                if request.method == "STOP" {
                    return;
                }
                let answer = made.lock().expect("no panic").answer(&request);
                if let Some(answer) = answer {
                    stream.write_all(answer.as_bytes()).expect("sent");
                }
            }
        }
    });
    let path = dir.path().join("film.mp4");
    let file = File::create(&path).expect("a file");
    file.set_len(bytes).expect("its length");
    let meta = ImportMeta {
        name: "film.mp4".parse().expect("a name"),
        source: ItemSource::Import,
        camera: Some("front".parse().expect("a name")),
        at: None,
        origin: Origin::Path(path.clone()),
    };
    let mut appliance = HandOver::to_holder(dir.path()).expect("it begins");
    let file = File::open(&path).expect("a file");
    let outcome = appliance.import(file, &meta, |_| progress(&path));
    let mut stop = TcpStream::connect(address).expect("connected");
    stop.write_all(b"STOP / HTTP/1.1\r\n\r\n").expect("sent");
    server.join().expect("no panic");
    let made = Arc::into_inner(made).expect("nobody else has it");
    (outcome, made.into_inner().expect("no panic"))
}

/// A film of two and a half pieces arrives whole through these faults; returns the appliance.
fn arrives(faults: &[Fault]) -> Made {
    let made = Made {
        faults: faults.iter().copied().collect(),
        ..Made::default()
    };
    let (imported, made) = hand_over(PIECE * 5 / 2, made, |_| {});
    let imported = imported.expect("it arrives");
    assert_eq!((imported.bytes, imported.new_bytes), (PIECE * 5 / 2, 5));
    assert_eq!((imported.media, imported.resumed_at), (MediaKind::Video, 0));
    assert!(made.upload.is_none() && made.removed == 1);
    made
}

#[test]
fn no_byte_is_sent_twice_whatever_breaks_off() {
    for faults in [
        &[][..],
        &[Fault::Cut(0)],
        &[Fault::Cut(1000), Fault::Cut(PIECE)],
        &[Fault::TakenOver(PIECE / 2)],
        &[Fault::NoPlace, Fault::TakenOver(7), Fault::Cut(7)],
    ] {
        let made = arrives(faults);
        assert_eq!((made.brought, made.begun), (PIECE * 5 / 2, 1));
    }
}

#[test]
fn an_upload_that_is_forgotten_begins_again() {
    let made = arrives(&[Fault::Cut(PIECE), Fault::Forgotten]);
    assert_eq!((made.brought, made.begun), (PIECE * 7 / 2, 2));
}

#[test]
fn an_empty_file_arrives_without_data() {
    let (imported, made) = hand_over(0, Made::default(), |_| {});
    assert_eq!(imported.expect("it arrives").bytes, 0);
    assert_eq!((made.brought, made.begun), (0, 1));
}

#[test]
fn a_full_disk_ends_it_and_leaves_what_is_there() {
    let made = Made {
        faults: [Fault::Full(1000)].into(),
        ..Made::default()
    };
    let (outcome, made) = hand_over(PIECE, made, |_| {});
    assert!(matches!(outcome, Err(HandOverError::DiskFull(_))));
    assert_eq!(made.upload.map(|(_, bytes)| bytes), Some(1000));
}

#[test]
fn a_file_that_is_refused_is_told_with_the_reason_and_left_nowhere() {
    let made = Made {
        is_refused: true,
        ..Made::default()
    };
    let (outcome, made) = hand_over(1000, made, |_| {});
    let said = outcome.expect_err("refused").to_string();
    assert!(said.ends_with("does not take it: it is no media"), "{said}");
    assert!(made.upload.is_none());
}

#[test]
fn another_client_that_goes_on_with_it_is_left_to_it() {
    let made = Made {
        faults: [Fault::Ahead(0), Fault::Ahead(5)].into(),
        ..Made::default()
    };
    let (outcome, _) = hand_over(PIECE * 3, made, |_| {});
    assert!(matches!(outcome, Err(HandOverError::Elsewhere(_))));
}

#[test]
fn a_file_that_changes_meanwhile_is_not_stored() {
    let mut steps = 0;
    let (outcome, made) = hand_over(PIECE * 3, Made::default(), |path| {
        steps += 1;
        if steps == 2 {
            let file = File::options().append(true).open(path).expect("a file");
            (&file).write_all(b"more").expect("written");
        }
    });
    assert!(matches!(outcome, Err(HandOverError::Changed(_))));
    assert!(made.upload.is_none(), "what came of it is of no use");
}
