//! Records made segments of several tracks in real time, imports and removes made files meanwhile, and tells a listener
//! outside, line by line, what was made and what the store called committed. Runs until the power is cut.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use perch::base::{SystemClock, Wall};
use perch::store::{Appended, Store, StoreOptions};
use serde_json::json;

use super::items::import_items;
use super::made::{SEGMENT_MS, segment, track_name, tracks};
use super::tracks::Tracks;

/// Far beyond every label.
pub(crate) const FOREVER: Wall = Wall(1 << 52);

/// Reels are short, so that cuts fall into their beginning and end, too.
const REEL_DURATION: Duration = Duration::from_secs(3);

/// Above this many segments that wait to be written, none are made: a source that waits where the machine is too busy.
/// So what is missing after a cut does not depend on how busy it is, but on what the store holds back.
const QUEUED_MAX: usize = 6;

/// The options under which all that is made is recorded.
pub(crate) fn options() -> StoreOptions {
    StoreOptions {
        reel_duration: REEL_DURATION,
        free_bytes_min: 0,
        close_timeout: Duration::from_secs(60),
        ..StoreOptions::default()
    }
}

/// Where the listener is told. A power cut is the only end.
#[derive(Clone)]
struct Listener(Arc<Mutex<TcpStream>>);

impl Listener {
    fn tell(&self, who: &str, tracks: &Tracks) {
        let line = format!("{}\n", json!({"who": who, "tracks": tracks.to_json()}));
        let mut stream = self.0.lock().expect("nothing panics with it held");
        stream
            .write_all(line.as_bytes())
            .expect("the listener stays");
    }
}

/// Records below `dir` once somebody listens at `port`. Never returns.
pub(crate) fn drive(dir: &Path, port: u16) -> ! {
    let socket = TcpListener::bind(("0.0.0.0", port)).expect("the port is free");
    let (stream, _) = socket.accept().expect("a listener");
    // Each line on its way before the disk is asked for anything more.
    stream.set_nodelay(true).expect("a socket option");
    let listener = Listener(Arc::new(Mutex::new(stream)));

    let clock = Arc::new(SystemClock);
    let (store, report) = Store::open(dir, options(), clock).expect("the store opens");
    println!("{report}");
    let tracks = tracks();
    let mut committed = Tracks::default();
    for (camera, rendition) in &tracks {
        let recording = store
            .recording(camera, Wall(0), FOREVER)
            .expect("the index");
        let of_track = recording.renditions.iter().find(|of| of.id == *rendition);
        for entry in of_track.iter().flat_map(|of| &of.segments) {
            committed.add(&track_name(camera, *rendition), entry.msn);
        }
    }
    listener.tell("driver", &committed);
    let first = tracks
        .iter()
        .map(|(camera, _)| store.camera_position(camera))
        .reduce(|one, other| perch::store::CameraPosition {
            next_run: one.next_run.max(other.next_run),
            next_msn: one.next_msn.max(other.next_msn),
        })
        .expect("there are tracks");

    let watched = (store.clone(), listener.clone(), committed.clone());
    let names: Vec<_> = tracks.iter().map(|(c, r)| track_name(c, *r)).collect();
    std::thread::spawn(move || {
        let (store, listener, committed) = watched;
        tell_commits(&store, &listener, committed, &names, first.next_msn);
    });

    let (store_too, listener_too) = (store.clone(), listener.clone());
    std::thread::spawn(move || {
        import_items(&store_too, first.next_run, |done| {
            listener_too.tell("driver items", done);
        })
    });

    let mut made = committed;
    let began = Instant::now();
    for round in 0.. {
        let due = began + Duration::from_millis(round * SEGMENT_MS);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        while store.status().segments_queued > QUEUED_MAX {
            std::thread::sleep(Duration::from_millis(5));
        }
        let msn = first.next_msn + round;
        for (camera, rendition) in &tracks {
            made.add(&track_name(camera, *rendition), msn);
        }
        listener.tell("driver made", &made);
        for (camera, rendition) in &tracks {
            let segment = segment(camera, *rendition, first.next_run, msn);
            let appended = store.append(camera, *rendition, segment);
            assert_eq!(appended, Appended::Queued, "{:?}", store.status());
        }
    }
    unreachable!("rounds have no end")
}

/// Segments are committed in the order in which they were handed over, so their number says which.
fn tell_commits(
    store: &Store,
    listener: &Listener,
    mut committed: Tracks,
    names: &[String],
    first_msn: u64,
) {
    let mut told = 0;
    loop {
        let status = store.status();
        let given_up = status.segments_shed + status.segments_dropped + status.segments_refused;
        if given_up > 0 {
            eprintln!("the store gave segments up: {status:?}");
            std::process::exit(1);
        }
        if status.segments_committed > told {
            for number in told..status.segments_committed {
                let track = &names[number as usize % names.len()];
                committed.add(track, first_msn + number / names.len() as u64);
            }
            told = status.segments_committed;
            listener.tell("driver", &committed);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
