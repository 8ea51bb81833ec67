//! Uploads over HTTP against the whole binary: both protocols byte by byte, everything that a client can get wrong, and
//! a kill in the middle. What real clients make of it is looked at in `tests/browser/uploads.mjs`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use perch::base::SystemClock;
use perch::chunk::ItemId;
use perch::store::{Store, StoreOptions};

use crate::harness::{Appliance, Response, data_dir};

const TUS: &str = "Tus-Resumable: 1.0.0\r\n";
const DATA: &str = "Content-Type: application/offset+octet-stream\r\n";
const DRAFT_DATA: &str = "Content-Type: application/partial-upload\r\n";

fn request(method: &str, path: &str, lines: &str, body: &str) -> Response {
    Appliance::shared().raw(&format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n{lines}\r\n{body}",
        body.len()
    ))
}

fn begin(lines: &str) -> String {
    let made = request("POST", "/api/v1/uploads", &format!("{TUS}{lines}"), "");
    assert_eq!(made.status, 201, "{} {}", made.head, made.text());
    made.header("location").expect("an address").to_owned()
}

fn json(response: &Response) -> serde_json::Value {
    serde_json::from_slice(&response.body).expect("JSON")
}

/// What a person sees of an upload once it has ended.
fn ended(appliance: &Appliance, address: &str) -> serde_json::Value {
    (0..600)
        .find_map(|_| {
            let shown = json(&appliance.get(address));
            let state = shown["state"].as_str().expect("a state");
            if ["done", "refused"].contains(&state) {
                return Some(shown);
            }
            std::thread::sleep(Duration::from_millis(50));
            None
        })
        .expect("it is imported within half a minute")
}

fn offset(address: &str) -> Option<String> {
    let head = request("HEAD", address, TUS, "");
    head.header("upload-offset").map(str::to_owned)
}

#[test]
fn a_client_of_tus_uploads_in_pieces_and_a_person_sees_what_becomes_of_it() {
    let abilities = request(
        "OPTIONS",
        "/api/v1/uploads",
        "Origin: http://evil.example\r\n",
        "",
    );
    assert_eq!(abilities.status, 204);
    assert_eq!(abilities.header("tus-version"), Some("1.0.0"));
    let extensions = abilities.header("tus-extension").expect("a list");
    assert!(extensions.contains("concatenation") && extensions.contains("checksum"));
    assert!(
        !abilities.head.to_lowercase().contains("access-control"),
        "nobody gets leave"
    );

    let address = begin("Upload-Length: 11\r\nUpload-Metadata: filename aGVsbG8udHh0\r\n");
    let append = |offset: &str, body: &str| {
        let lines = format!("{TUS}{DATA}Upload-Offset: {offset}\r\n");
        request("PATCH", &address, &lines, body)
    };
    let first = append("0", "hello ");
    assert_eq!(
        (first.status, first.header("upload-offset")),
        (204, Some("6"))
    );
    assert_eq!(first.header("tus-resumable"), Some("1.0.0"));
    assert!(
        first
            .header("upload-expires")
            .is_some_and(|date| date.ends_with("GMT"))
    );
    let head = request("HEAD", &address, TUS, "");
    assert_eq!(
        (head.status, head.header("upload-offset")),
        (200, Some("6"))
    );
    assert_eq!(head.header("upload-length"), Some("11"));
    assert_eq!(
        head.header("upload-metadata"),
        Some("filename aGVsbG8udHh0")
    );
    assert_eq!(head.header("cache-control"), Some("no-store"));
    let shown = json(&request("GET", &address, "", ""));
    assert_eq!(
        (&shown["state"], &shown["name"]),
        (&"uploading".into(), &"hello.txt".into())
    );

    let conflict = append("0", "hello ");
    assert_eq!(
        (conflict.status, conflict.header("upload-offset")),
        (409, Some("6"))
    );
    let problem = json(&conflict);
    assert!(
        problem["type"]
            .as_str()
            .is_some_and(|kind| kind.ends_with("#mismatching-upload-offset"))
    );
    assert_eq!(
        (&problem["expected-offset"], &problem["provided-offset"]),
        (&6.into(), &0.into())
    );
    let beyond = append("6", "world!");
    assert_eq!(beyond.status, 413, "{}", beyond.problem());
    assert_eq!(offset(&address).as_deref(), Some("6"));

    // In the way of a client whose own method does not get through.
    let lines = format!("{TUS}{DATA}Upload-Offset: 6\r\nX-HTTP-Method-Override: PATCH\r\n");
    let last = request("POST", &address, &lines, "world");
    assert_eq!(
        (last.status, last.header("upload-offset")),
        (204, Some("11"))
    );
    let done = ended(Appliance::shared(), &address);
    assert_eq!(done["state"], "done", "{done}");
    assert!(done["item"].is_string());
    let listed = json(&request("GET", "/api/v1/uploads", "", ""));
    assert!(
        listed["uploads"]
            .as_array()
            .expect("a list")
            .contains(&done)
    );
    // The answer to the last piece may have been lost.
    assert_eq!(append("11", "").status, 204);
}

#[test]
fn data_comes_with_the_creation_with_a_checksum_and_is_removed_on_demand() {
    let data = format!("{DATA}Upload-Length: 20\r\n");
    let sum = "Upload-Checksum: sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=\r\n";
    let lines = format!("{TUS}{data}{sum}");
    let made = request("POST", "/api/v1/uploads", &lines, "hello world");
    assert_eq!(
        (made.status, made.header("upload-offset")),
        (201, Some("11"))
    );
    let address = made.header("location").expect("an address");
    let lines = format!("{TUS}{DATA}{sum}Upload-Offset: 11\r\n");
    let wrong = request("PATCH", address, &lines, "hello");
    assert_eq!(wrong.status, 460, "{}", wrong.problem());
    assert_eq!(wrong.header("tus-resumable"), Some("1.0.0"));
    assert_eq!(offset(address).as_deref(), Some("11"));
    assert_eq!(request("DELETE", address, TUS, "").status, 204);
    for method in ["HEAD", "DELETE"] {
        assert_eq!(request(method, address, TUS, "").status, 404);
    }
    // A creation whose data is not what it says leaves nothing.
    let count = || json(&request("GET", "/api/v1/uploads", "", ""))["uploads"].to_string();
    let lines = format!(
        "{TUS}{DATA}{sum}Upload-Length: 7\r\nUpload-Metadata: mark bWFyaw==,filename bWFyaw==\r\n"
    );
    assert_eq!(
        request("POST", "/api/v1/uploads", &lines, "hallooo").status,
        460
    );
    assert!(!count().contains("\"mark\""));
}

#[test]
fn a_file_is_joined_from_parts() {
    let part = |body: &str| {
        let lines = format!(
            "Upload-Concat: partial\r\nUpload-Length: {}\r\n{DATA}",
            body.len()
        );
        let made = request("POST", "/api/v1/uploads", &format!("{TUS}{lines}"), body);
        assert_eq!(made.status, 201, "{}", made.text());
        made.header("location").expect("an address").to_owned()
    };
    let parts = ["hello ", "joined ", "world"].map(part);
    let head = request("HEAD", &parts[0], TUS, "");
    assert_eq!(head.header("upload-concat"), Some("partial"));
    let list = format!(
        "final;{} {} http://localhost{}",
        parts[0], parts[1], parts[2]
    );
    let address = begin(&format!(
        "Upload-Concat: {list}\r\nUpload-Metadata: filename YQ==\r\n"
    ));
    let done = ended(Appliance::shared(), &address);
    assert_eq!(
        (&done["state"], &done["bytes"]),
        (&"done".into(), &18.into())
    );
    let lines = format!("{TUS}{DATA}Upload-Offset: 18\r\n");
    assert_eq!(request("PATCH", &address, &lines, "more").status, 403);
}

#[test]
fn a_client_of_the_drafts_uploads_in_its_own_words() {
    let complete = |yes: bool| if yes { "?1" } else { "?0" };
    for version in ["3", "5", "6", "8"] {
        let says = |yes: bool| match version {
            "3" => format!("Upload-Incomplete: {}\r\n", complete(!yes)),
            _ => format!("Upload-Complete: {}\r\n", complete(yes)),
        };
        let name = if version == "3" {
            "upload-incomplete"
        } else {
            "upload-complete"
        };
        let speaks = format!("Upload-Draft-Interop-Version: {version}\r\n");
        let lines = format!(
            "{speaks}{}Content-Disposition: inline; filename=\"a.txt\"\r\n",
            says(false)
        );
        let made = request("POST", "/api/v1/uploads", &lines, "hello ");
        assert_eq!(
            (made.status, made.header("upload-offset")),
            (201, Some("6")),
            "{}",
            made.text()
        );
        let address = made.header("location").expect("an address").to_owned();
        let head = request("HEAD", &address, &speaks, "");
        assert_eq!(
            (head.status, head.header("upload-offset")),
            (204, Some("6"))
        );
        assert_eq!(head.header(name), Some(complete(version == "3")));
        let append = |yes: bool, offset: &str, body: &str| {
            let lines = format!(
                "{speaks}{DRAFT_DATA}Upload-Offset: {offset}\r\n{}",
                says(yes)
            );
            request("PATCH", &address, &lines, body)
        };
        assert_eq!(append(false, "5", "x").status, 409);
        assert_eq!(append(false, "6", "wo").status, 204);
        let last = append(true, "8", "rld");
        assert_eq!(
            (last.status, last.header(name)),
            (204, Some(complete(version != "3")))
        );
        let shown = ended(Appliance::shared(), &address);
        assert_eq!(
            (&shown["state"], &shown["name"]),
            (&"done".into(), &"a.txt".into())
        );
        let more = append(true, "11", "x");
        assert_eq!(more.status, 400);
        let kind = json(&more)["type"].to_string();
        assert!(kind.contains("#completed-upload"), "{kind}");
        // Where the length alone ends an upload, its client may say so once more.
        let ends_at_length = ["5", "6"].contains(&version);
        let again = append(true, "11", "");
        assert_eq!(again.status, if ends_at_length { 204 } else { 400 });
        if ends_at_length {
            // As tus-js-client begins an empty file.
            let lines = format!("{speaks}Upload-Complete: ?0\r\nUpload-Length: 0\r\n");
            let empty = request("POST", "/api/v1/uploads", &lines, "");
            assert_eq!((empty.status, empty.header(name)), (201, Some("?1")));
            let address = empty.header("location").expect("an address");
            let shown = ended(Appliance::shared(), address);
            assert_eq!(
                (&shown["state"], &shown["bytes"]),
                (&"done".into(), &0.into())
            );
        }
    }
    // All of it in one request, as a client that hopes for the best does.
    let whole = request(
        "POST",
        "/api/v1/uploads",
        "Upload-Complete: ?1\r\n",
        "all of it",
    );
    assert_eq!(
        (whole.status, whole.header("upload-complete")),
        (201, Some("?1"))
    );
}

#[test]
fn what_a_client_gets_wrong_is_told_and_stores_nothing() {
    let before = json(&request("GET", "/api/v1/uploads", "", ""))["uploads"].to_string();
    let nobody = "/api/v1/uploads/00000000000000000000000000000000";
    let create = |lines: &str, status: u16, detail: &str| {
        let refused = request("POST", "/api/v1/uploads", lines, "");
        assert_eq!(refused.status, status, "{lines}");
        let found = refused.problem();
        assert!(found.contains(detail), "{lines}: {found}");
    };
    create("", 400, "Upload-Complete");
    create("Content-Type: text/plain\r\n", 400, "Upload-Complete");
    create("Tus-Resumable: 0.2.2\r\nUpload-Length: 1\r\n", 412, "1.0.0");
    create(
        "Upload-Draft-Interop-Version: 99\r\nUpload-Complete: ?1\r\n",
        412,
        "3 to 8",
    );
    for (lines, status, detail) in [
        ("", 400, "Upload-Length"),
        ("Upload-Length: 9999999999999\r\n", 413, "at most"),
        (
            "Upload-Length: 1\r\nUpload-Metadata: filename Li4vYQ==\r\n",
            400,
            "is a path",
        ),
        (
            "Upload-Length: 1\r\nUpload-Metadata: filename Li4=\r\n",
            400,
            "is a path",
        ),
        (
            "Upload-Length: 1\r\nUpload-Metadata: filename YQBi\r\n",
            400,
            "control characters",
        ),
        (
            &format!("Upload-Concat: final;{nobody}\r\n")[..],
            400,
            "there is no upload",
        ),
        (
            "Upload-Concat: final;http://evil.example/a\r\n",
            400,
            "no address of an upload",
        ),
        ("Upload-Length: 1099511627776\r\n", 507, "room"),
    ] {
        create(&format!("{TUS}{lines}"), status, detail);
    }
    let part = begin("Upload-Concat: partial\r\nUpload-Length: 5\r\n");
    create(
        &format!("{TUS}Upload-Concat: final;{part}\r\n"),
        400,
        "not complete",
    );
    let append = |lines: &str, status: u16, detail: &str| {
        let refused = request("PATCH", &part, &format!("{TUS}{lines}"), "abc");
        assert_eq!(refused.status, status, "{lines}");
        let found = refused.problem();
        assert!(found.contains(detail), "{lines}: {found}");
    };
    append("Upload-Offset: 0\r\n", 415, "Content-Type");
    append(DATA, 400, "Upload-Offset");
    append(&format!("{DATA}Upload-Offset: 4\r\n"), 409, "goes on at 0");
    append(
        &format!("{DATA}Upload-Offset: 0\r\nUpload-Length: 4\r\n"),
        400,
        "was to have 5",
    );
    assert_eq!(offset(&part).as_deref(), Some("0"));
    assert_eq!(request("DELETE", &part, TUS, "").status, 204);
    for address in [nobody, "/api/v1/uploads/..%2fdb", "/api/v1/uploads/x"] {
        let lines = format!("{TUS}{DATA}Upload-Offset: 0\r\n");
        assert_eq!(
            request("PATCH", address, &lines, "a").status,
            404,
            "{address}"
        );
        assert_eq!(request("GET", address, "", "").status, 404, "{address}");
    }
    let foreign = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\nUpload-Length: 1\r\n";
    create(&format!("{TUS}{foreign}"), 403, "another site");
    let after = json(&request("GET", "/api/v1/uploads", "", ""))["uploads"].to_string();
    // Other tests may have begun some meanwhile.
    assert!(
        after.len() >= before.len() && !after.contains(part.rsplit('/').next().expect("a name"))
    );
}

#[test]
fn an_endless_body_ends_at_the_length_that_was_told() {
    let address = begin("Upload-Length: 1000000\r\n");
    let mut stream = TcpStream::connect(Appliance::shared().address).expect("connected");
    let head = format!(
        "PATCH {address} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n{TUS}{DATA}Upload-Offset: 0\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    // It is cut off at the latest once what is read for politeness is read.
    let sent = (0..2000).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok());
    assert!(sent.count() < 2000);
    let mut answer = String::new();
    // A reset may swallow the answer.
    if stream.read_to_string(&mut answer).is_ok() {
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    assert_eq!(offset(&address).as_deref(), Some("0"), "nothing was stored");
}

#[test]
fn a_killed_appliance_goes_on_where_it_had_acknowledged() {
    let (_folder, data) = data_dir();
    let length = 12_000_000;
    let bytes: Vec<u8> = (0..length)
        .map(|at: u32| (at.wrapping_mul(0x9E37_79B9) >> 17) as u8)
        .collect();
    let send = |appliance: &Appliance, address: &str, offset: usize, until: usize| {
        let mut stream = TcpStream::connect(appliance.address).expect("connected");
        let head = format!(
            "PATCH {address} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{TUS}{DATA}Upload-Offset: {offset}\r\n\
             Content-Length: {}\r\n\r\n",
            bytes.len() - offset
        );
        stream.write_all(head.as_bytes()).expect("sent");
        stream.write_all(&bytes[offset..until]).expect("sent");
        stream
    };
    let state = |appliance: &Appliance, address: &str| json(&appliance.get(address));

    let appliance = Appliance::start(&data);
    let made = appliance.raw(&format!(
        "POST /api/v1/uploads HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{TUS}Upload-Length: {length}\r\n\r\n"
    ));
    let address = made.header("location").expect("an address").to_owned();
    let stream = send(&appliance, &address, 0, 9_000_000);
    let acknowledged = (0..400)
        .find_map(|_| {
            std::thread::sleep(Duration::from_millis(50));
            state(&appliance, &address)["bytes"]
                .as_u64()
                .filter(|&bytes| bytes >= 8 << 20)
        })
        .expect("8 MiB are durable while the request goes on");
    appliance.kill();
    drop(stream);

    let appliance = Appliance::start(&data);
    let offset = state(&appliance, &address)["bytes"]
        .as_u64()
        .expect("a number");
    assert!(offset >= acknowledged && offset <= 9_000_000);
    let mut stream = send(&appliance, &address, offset as usize, bytes.len());
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let done = ended(&appliance, &address);
    assert_eq!(
        (&done["state"], &done["bytes"]),
        (&"done".into(), &length.into())
    );
    let item = done["item"].as_str().expect("an item").to_owned();
    appliance.kill();
    assert!(stored(&data, &item) == bytes, "every byte is what was sent");
}

/// The bytes of an item in a data directory that nobody uses.
fn stored(data: &Path, item: &str) -> Vec<u8> {
    let digits = item.as_bytes().chunks(2).map(|two| {
        let two = std::str::from_utf8(two).expect("digits");
        u8::from_str_radix(two, 16).expect("digits")
    });
    let id = digits.collect::<Vec<_>>().try_into().expect("16 bytes");
    let options = StoreOptions::default();
    let (store, _) = Store::open(data, options, Arc::new(SystemClock)).expect("it opens");
    let mut content = store
        .open_item(ItemId(id))
        .expect("it reads")
        .expect("it is there");
    let mut bytes = Vec::new();
    while let Some(more) = content.load_from(bytes.len() as u64).expect("it reads") {
        bytes.extend_from_slice(&more);
    }
    bytes
}
