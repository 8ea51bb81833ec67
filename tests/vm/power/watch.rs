//! Listens to what the machine tells while it records, and notes it in the disk's log: then the order of log entries
//! says what had been told before a cut, with no clock involved.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::disk_log::DiskLog;
use super::tracks::Tracks;

/// How often the appliance is asked.
const ASK_EVERY: Duration = Duration::from_millis(150);
const ANSWER_WAIT: Duration = Duration::from_secs(20);

type SharedLog = Arc<Mutex<DiskLog>>;

fn note(log: &SharedLog, text: &str) {
    let mut log = log.lock().expect("nothing panics with the log held");
    log.note(text).expect("the log can be written");
}

/// Notes each line that the driver says at `address`, once it is there, until it goes.
pub(crate) fn listen_to_driver(address: String, log: SharedLog) {
    loop {
        // The network's emulation takes the connection before anybody in the machine listens, then drops it.
        if let Ok(stream) = TcpStream::connect(&address) {
            let mut is_first = true;
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { break };
                note(&log, &line);
                if std::mem::take(&mut is_first) {
                    println!("the driver records");
                }
            }
        }
        std::thread::sleep(ASK_EVERY);
    }
}

/// Notes again and again what the appliance's recordings and its live view list, as a viewer would see them.
pub(crate) fn watch_perch(address: String, camera: String, log: SharedLog) {
    let (mut live, mut committed) = (Tracks::default(), Tracks::default());
    let mut is_first = true;
    loop {
        // Recordings first: what is live by then may be on its way to the disk.
        if look(&address, "recordings", &camera, &mut committed).is_ok() {
            note(
                &log,
                &json!({"who": "perch", "tracks": committed.to_json()}).to_string(),
            );
            if std::mem::take(&mut is_first) {
                println!("perch records");
            }
        }
        if look(&address, "live", &camera, &mut live).is_ok() {
            note(
                &log,
                &json!({"who": "perch made", "tracks": live.to_json()}).to_string(),
            );
        }
        std::thread::sleep(ASK_EVERY);
    }
}

/// Adds what a camera's playlists below `place` list.
fn look(address: &str, place: &str, camera: &str, tracks: &mut Tracks) -> io::Result<()> {
    let above = format!("/{place}/{camera}");
    let master = get(address, &format!("{above}/master.m3u8"))?;
    for playlist in playlists(&master) {
        let text = get(address, &format!("{above}/{playlist}"))?;
        let rendition = playlist.split('/').next().unwrap_or_default();
        for msn in segments(&text) {
            tracks.add(&format!("{camera}/{rendition}"), msn);
        }
    }
    Ok(())
}

/// The addresses of the media playlists in a multivariant one.
fn playlists(master: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in master.lines() {
        if let Some((_, rest)) = line.split_once("URI=\"")
            && let Some((address, _)) = rest.split_once('"')
        {
            found.push(address.to_owned());
        } else if line.contains("index.m3u8") {
            found.push(line.to_owned());
        }
    }
    found
}

/// The whole segments in a media playlist: `1207.m4s`, not the part `1207.3.m4s`.
fn segments(playlist: &str) -> impl Iterator<Item = u64> {
    playlist
        .lines()
        .filter_map(|line| line.strip_suffix(".m4s")?.parse().ok())
}

/// The body of a page, as text.
fn get(address: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_WAIT))?;
    stream.set_write_timeout(Some(ANSWER_WAIT))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    if head.starts_with("HTTP/1.1 200 ") {
        Ok(body.to_owned())
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn playlists_are_read_for_whole_segments() {
        let master = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"audio-low/index.m3u8?from=1\",NAME=\"x\"\n\
                      #EXT-X-STREAM-INF:BANDWIDTH=1\nlow/index.m3u8?from=1\n";
        let expected = ["audio-low/index.m3u8?from=1", "low/index.m3u8?from=1"];
        assert_eq!(playlists(master), expected);
        let media =
            "#EXTM3U\n#EXT-X-PART:URI=\"9.0.m4s\"\n#EXTINF:2,\n7.m4s\n#EXTINF:2,\n8.m4s\n9.1.m4s\n";
        assert_eq!(segments(media).collect::<Vec<_>>(), [7, 8]);
    }
}
