//! Commands on a data directory that a running appliance holds: files are handed over to it, whichever side is killed
//! meanwhile, and what goes wrong is one clear line.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Appliance, data_dir, perch};
use crate::imports::{answer, json};

const MIB: usize = 1 << 20;

/// Noise behind the first bytes of a film; `seed` tells files apart.
fn film(path: &Path, length: usize, seed: u32) -> Vec<u8> {
    let noise = (0..).map(|n: u32| (n ^ seed).wrapping_mul(2_654_435_761).to_be_bytes());
    let head = b"\0\0\0\x18ftypisom\0\0\0\0isommp42".iter().copied();
    let bytes: Vec<u8> = head.chain(noise.flatten()).take(length).collect();
    fs::write(path, &bytes).expect("a file");
    bytes
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

fn reach_path(data: &Path) -> PathBuf {
    data.join("appliance.json")
}

/// Says that the appliance is somewhere else.
fn announce(data: &Path, address: SocketAddr) {
    let new = data.join("test.new");
    fs::write(&new, format!("{{\"address\":\"{address}\",\"pid\":1}}")).expect("written");
    fs::rename(new, reach_path(data)).expect("in its place");
}

/// Lets commands reach an appliance until they have sent so many bytes; what they send then leads nowhere.
struct Narrow {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
}

impl Narrow {
    fn before(appliance: &Appliance, bytes: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (target, closed) = (appliance.address, Arc::new(AtomicBool::new(false)));
        let (left, ended) = (Arc::new(AtomicUsize::new(bytes)), Arc::clone(&closed));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let client = client.expect("a connection");
                let server = TcpStream::connect(target).expect("the appliance");
                let left = Arc::clone(&left);
                let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
                std::thread::spawn(move || send_some(client, server, &left));
            }
        });
        Self { address, closed }
    }
}

impl Drop for Narrow {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes whoever accepts, who then closes the port.
        let _ = TcpStream::connect(self.address);
    }
}

fn send_some(mut client: TcpStream, mut server: TcpStream, left: &AtomicUsize) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let some = left.load(Ordering::SeqCst).min(count);
        left.fetch_sub(some, Ordering::SeqCst);
        if server.write_all(&buffer[..some]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

/// A `perch import FILE --json` under way. Killed when it goes.
struct Import(Child);

impl Import {
    fn begin(file: &Path, data: &Path) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_perch"))
            .args([Path::new("import"), Path::new("--json"), file])
            .args([Path::new("--data"), data])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.expect("it runs"))
    }
}

impl Drop for Import {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        self.0.wait().expect("it ends");
    }
}

/// Waits until so many bytes of the only upload are durable.
fn wait_uploaded(appliance: &Appliance, bytes: usize) {
    let there = (0..1200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        let shown = json(appliance.get("/api/v1/uploads").text());
        shown["uploads"][0]["bytes"].as_u64() >= Some(bytes as u64)
    });
    assert!(there, "{bytes} bytes are uploaded within a minute");
}

fn items(appliance: &Appliance) -> Vec<Value> {
    let shown = json(appliance.get("/api/v1/items").text());
    shown["items"].as_array().expect("a list").clone()
}

/// No upload is left behind.
fn assert_tidy(appliance: &Appliance) {
    let shown = json(appliance.get("/api/v1/uploads").text());
    assert_eq!(shown["uploads"], json("[]"), "{shown}");
}

/// An item's bytes are those of the file.
fn assert_content(appliance: &Appliance, id: &Value, bytes: &[u8]) {
    let id = id.as_str().expect("an id");
    let content = appliance.get(&format!("/api/v1/items/{id}/content"));
    assert!(content.status == 200 && content.body == bytes);
}

#[test]
fn commands_work_beside_a_running_appliance() {
    let (folder, data) = data_dir();
    let path = folder.path().join("a film.mp4");
    let bytes = film(&path, 20 * MIB + 17, 1);
    let appliance = Appliance::start(&data);
    let reach = json(&fs::read_to_string(reach_path(&data)).expect("it says where it is"));
    assert_eq!(reach["address"], appliance.address.to_string());

    let when = ["--camera", "test", "--at", "2026-11-21T08:00:00Z"];
    let beside = ["import", text(&path), "--data", text(&data)];
    let told = answer(&[&beside[..], &when].concat());
    let first = &told[0];
    assert_eq!(
        (&first["name"], &first["media"], &first["file"]),
        (&"a film.mp4".into(), &"video".into(), &text(&path).into())
    );
    assert_eq!(first["bytes"], bytes.len());
    assert_eq!(
        (&first["new_bytes"], &first["known_bytes"]),
        (&bytes.len().into(), &0.into())
    );
    assert_eq!(first["resumed_at"], 0);
    assert_content(&appliance, &first["id"], &bytes);
    // The same again is another item, and costs nothing.
    let again = &answer(&beside)[0];
    assert_ne!(again["id"], first["id"]);
    assert_eq!(
        (&again["new_bytes"], &again["known_bytes"]),
        (&0.into(), &bytes.len().into())
    );
    assert_tidy(&appliance);
    let line = "/api/v1/timeline?camera=test&from=2026-11-21T07:59:59Z&to=2026-11-21T08:00:01Z";
    let line = json(appliance.get(line).text());
    assert_eq!(line["imports"].as_array().map(Vec::len), Some(1));

    // One file that is none takes the others along no more than otherwise.
    let small = folder.path().join("empty");
    fs::write(&small, "").expect("a file");
    let (done, said) = perch(&["import", "/dev/null", text(&small), "--data", text(&data)]);
    assert!(
        !done && said.contains("/dev/null: it is no regular file"),
        "{said}"
    );
    assert_eq!(items(&appliance)[0]["name"], "empty");

    for (command, what) in [("gc", "each week"), ("rebuild", "stop it")] {
        let (done, said) = perch(&["store", command, "--data", text(&data)]);
        let at = format!("appliance at http://{}/", appliance.address);
        assert!(!done && said.contains(&at) && said.contains(what), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let sums = answer(&["store", "stats", "--data", text(&data)]);
    assert!(sums["dedup_ratio"].as_f64() > Some(1.0), "{sums}");
    assert_eq!(
        answer(&["store", "verify", "--data", text(&data)])["damaged"],
        json("[]")
    );

    assert!(appliance.stop().0.success());
    assert!(!reach_path(&data).exists(), "nobody is there any more");
    assert_eq!(answer(&beside)[0]["new_bytes"], 0);
}

#[test]
fn a_killed_command_goes_on_where_it_was() {
    let (folder, data) = data_dir();
    let path = folder.path().join("film.mp4");
    let bytes = film(&path, 30 * MIB, 2);
    let appliance = Appliance::start(&data);
    let narrow = Narrow::before(&appliance, 20 * MIB);
    announce(&data, narrow.address);
    let first = Import::begin(&path, &data);
    wait_uploaded(&appliance, 16 * MIB);
    drop(first);
    drop(narrow);
    announce(&data, appliance.address);

    let told = &answer(&["import", text(&path), "--data", text(&data)])[0];
    assert!(
        told["resumed_at"].as_u64() >= Some(16 * MIB as u64),
        "{told}"
    );
    assert_eq!(told["new_bytes"], bytes.len());
    assert_eq!(items(&appliance).len(), 1);
    assert_content(&appliance, &told["id"], &bytes);
    assert_tidy(&appliance);
}

#[test]
fn a_killed_appliance_is_waited_for_and_what_it_left_misleads_nobody() {
    let (folder, data) = data_dir();
    let path = folder.path().join("film.mp4");
    let bytes = film(&path, 30 * MIB, 3);
    let appliance = Appliance::start(&data);
    let narrow = Narrow::before(&appliance, 20 * MIB);
    announce(&data, narrow.address);
    let mut import = Import::begin(&path, &data);
    wait_uploaded(&appliance, 16 * MIB);
    appliance.kill();
    drop(narrow);
    let mut said = String::new();
    let mut stderr = BufReader::new(import.0.stderr.take().expect("its standard error"));
    stderr.read_line(&mut said).expect("a line");
    assert!(said.contains("waiting for the appliance"), "{said}");

    // Nobody holds the directory, so another command minds itself alone.
    assert!(reach_path(&data).exists(), "a kill removes nothing");
    let small = folder.path().join("small.mp4");
    let small_bytes = film(&small, MIB, 4);
    let told = &answer(&["import", text(&small), "--data", text(&data)])[0];
    assert_eq!(told["new_bytes"], small_bytes.len());
    assert!(!reach_path(&data).exists());

    let appliance = Appliance::start(&data);
    let mut told = String::new();
    let mut stdout = import.0.stdout.take().expect("its standard output");
    stdout.read_to_string(&mut told).expect("text");
    assert!(import.0.wait().expect("it ends").success());
    let told = &json(&told)[0];
    assert_eq!(
        (&told["bytes"], &told["resumed_at"]),
        (&bytes.len().into(), &0.into())
    );
    assert_content(&appliance, &told["id"], &bytes);
    assert_eq!(items(&appliance).len(), 2);
    assert_tidy(&appliance);
}

#[test]
fn a_file_against_the_policy_is_refused_with_its_reason_and_others_are_taken() {
    let (folder, data) = data_dir();
    let (note, path) = (
        folder.path().join("note.txt"),
        folder.path().join("film.mp4"),
    );
    fs::write(&note, "remember the milk").expect("a file");
    film(&path, MIB, 5);
    let appliance = Appliance::start_with(&data, "[storage]\naccept = \"media\"\n");
    let (done, said) = perch(&["import", text(&note), text(&path), "--data", text(&data)]);
    assert!(
        !done && said.contains("note.txt: the appliance does not take it"),
        "{said}"
    );
    assert!(said.contains("storage.accept"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let items = items(&appliance);
    assert_eq!((items.len(), &items[0]["name"]), (1, &"film.mp4".into()));
    assert_tidy(&appliance);
}

/// Holds a data directory as an appliance does, which answers with what `answers` says to a method and the metadata
/// that it was sent last.
fn hold(data: &Path, answers: fn(&str, &str) -> Vec<u8>) -> File {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let lock = held(data);
    announce(data, listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        let mut metadata = String::new();
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let (mut method, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).expect("a line");
                let line = line.trim_end();
                if method.is_empty() {
                    method = line.split(' ').next().expect("a word").to_owned();
                }
                match line.split_once(": ") {
                    Some(("content-length", count)) => length = count.parse().expect("a number"),
                    Some(("upload-metadata", text)) => metadata = text.to_owned(),
                    _ => {}
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).expect("a body");
            let _ = stream.get_mut().write_all(&answers(&method, &metadata));
        }
    });
    lock
}

/// A data directory that somebody holds.
fn held(data: &Path) -> File {
    fs::create_dir_all(data).expect("a folder");
    let lock = File::create(data.join("lock")).expect("a lock");
    lock.try_lock().expect("held");
    lock
}

fn http(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}

/// Imports a file where somebody else holds the directory; returns the one line that it fails with.
fn failure(prepare: impl FnOnce(&Path) -> File) -> String {
    let (folder, data) = data_dir();
    let path = folder.path().join("film.mp4");
    film(&path, 9 * MIB, 6);
    let _held = prepare(&data);
    let (done, said) = perch(&["import", text(&path), "--data", text(&data)]);
    assert!(!done, "{said}");
    let told = said.lines().filter(|line| !line.contains(": waiting for"));
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 1, "{said}");
    told[0].to_owned()
}

#[test]
fn what_the_appliance_does_not_grant_is_one_line() {
    const NONE: &str = "{\"uploads\":[]}";
    let full = failure(|data| {
        hold(data, |method, _| match method {
            "GET" => http("200 OK", NONE),
            _ => http(
                "507 Insufficient Storage",
                "{\"detail\":\"9 MB are to come\"}",
            ),
        })
    });
    assert!(
        full.ends_with("film.mp4: the appliance has no room for it: 9 MB are to come"),
        "{full}"
    );
    let refused = failure(|data| {
        hold(data, |method, _| match method {
            "GET" => http("200 OK", NONE),
            _ => http("413 Content Too Large", "{\"detail\":\"too large\"}"),
        })
    });
    assert!(refused.contains("does not take it: too large"), "{refused}");
    let waits = failure(|data| {
        hold(data, |method, metadata| match (method, metadata) {
            ("GET", "") => http("200 OK", NONE),
            ("GET", _) => {
                // One upload, alone and in the list of all.
                let one = format!(
                    "\"address\":\"/api/v1/uploads/1\",\"state\":\"importing\",\"reason\":\"disk full\",\
                     \"metadata\":\"{metadata}\",\"bytes\":9"
                );
                http("200 OK", &format!("{{{one},\"uploads\":[{{{one}}}]}}"))
            }
            _ => http("201 Created", ""),
        })
    });
    assert!(waits.contains("cannot store it yet: disk full"), "{waits}");
    let strange = failure(|data| hold(data, |_, _| http("200 OK", "<html>")));
    assert!(strange.contains("does not understand"), "{strange}");
}

#[test]
fn an_upload_that_cannot_be_stored_does_not_speak_for_another() {
    let (folder, data) = data_dir();
    let appliance = Appliance::start(&data);
    let begin = |lines: &str, body: &str| {
        let made = appliance.raw(&format!(
            "POST /api/v1/uploads HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTus-Resumable: 1.0.0\r\n\
             Content-Length: {}\r\n{lines}\r\n{body}",
            body.len()
        ));
        assert_eq!(made.status, 201, "{}", made.text());
        made.header("location").expect("an address").to_owned()
    };
    let data_type = "Content-Type: application/offset+octet-stream";
    let part = begin(
        &format!("Upload-Concat: partial\r\nUpload-Length: 4\r\n{data_type}\r\n"),
        "part",
    );
    // Its bytes cannot be reached for a reason that may pass.
    let name = part.rsplit('/').next().expect("a name");
    let bytes = data.join("up").join(format!("{name}.part"));
    fs::remove_file(&bytes).expect("removed");
    std::os::unix::fs::symlink(&bytes, &bytes).expect("a loop");
    let stuck = begin(&format!("Upload-Concat: final;{part}\r\n"), "");
    let shown = || json(appliance.get(&stuck).text());
    let reason = (0..400).find_map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        shown()["reason"].as_str().map(str::to_owned)
    });
    let reason = reason.expect("it is told what is wrong");
    assert!(reason.contains("cannot be read"), "{reason}");

    let path = folder.path().join("film.mp4");
    film(&path, MIB, 7);
    let told = answer(&["import", text(&path), "--data", text(&data)]);
    assert_eq!(told[0]["new_bytes"], MIB);
    let listed = json(appliance.get("/api/v1/uploads").text());
    let listed = listed["uploads"].as_array().expect("a list").clone();
    let reasons = listed.iter().map(|upload| upload["reason"].as_str());
    assert_eq!(reasons.collect::<Vec<_>>(), [None, Some(&reason[..])]);
    assert_eq!(shown(), listed[1]);
}

type MakeFile = fn(&Path) -> File;

#[test]
fn an_appliance_that_does_not_answer_is_one_line_after_some_seconds() {
    let cases: [(MakeFile, &str); 4] = [
        (held, "no appliance that could take the file"),
        (
            |data| {
                announce_nobody(data);
                held(data)
            },
            "does not answer: Connection refused",
        ),
        (
            |data| hold(data, |_, _| b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
            "does not answer: ",
        ),
        (
            |data| {
                let held = held(data);
                fs::write(reach_path(data), "{").expect("written");
                held
            },
            "appliance.json",
        ),
    ];
    let threads = cases.map(|(prepare, expected)| {
        std::thread::spawn(move || {
            let said = failure(prepare);
            assert!(said.contains(expected), "{said}");
        })
    });
    for thread in threads {
        thread.join().expect("as expected");
    }
}

/// Says that the appliance is where nobody listens.
fn announce_nobody(data: &Path) {
    fs::create_dir_all(data).expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    announce(data, listener.local_addr().expect("its address"));
}
