//! Power cuts for a virtual machine: serves its disk and logs what reaches it, makes disks as cuts would have left
//! them, records and checks inside the machine, judges outside. tests/vm/power.sh drives it.
//!
//! power record SOCKET LOG BYTES DRIVER PERCH CAMERA [LOG SEED]   serve a disk, note what DRIVER and PERCH (addresses) tell;
//!                                                                begin with what the first cut of another LOG left
//! power cuts SOCKET LOG BYTES SEED CUTS LIES PLAN                serve the disks of cuts side by side, say which in PLAN
//! power drive DIR PORT                                           record made segments and import made files, in the machine
//! power check driver|perch DIR CUT                               look at a directory after a cut, in the machine
//! power judge PLAN RESULTS                                       say whether all is well

mod check;
mod cut;
mod devices;
mod disk_log;
mod drive;
mod items;
mod judge;
mod made;
mod nbd;
mod tracks;
mod watch;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use self::check::Who;
use self::cut::{Cut, plan_cuts, plan_lies};
use self::devices::{CutDisks, LoggedDisk};
use self::disk_log::{DiskLog, FinishedLog, Kind, SECTOR_BYTES};
use self::made::MARK;

/// What notes are of: what is made, what is committed, by the driver and by perch, and the driver's items.
const TELLERS: usize = 5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["record", socket, log, bytes, driver, perch, camera] => {
            record(socket, log, bytes, [driver, perch, camera], None)
        }
        [
            "record",
            socket,
            log,
            bytes,
            driver,
            perch,
            camera,
            base,
            seed,
        ] => {
            let base = Some((base, seed));
            record(socket, log, bytes, [driver, perch, camera], base)
        }
        ["cuts", socket, log, bytes, seed, cuts, lies, plan] => {
            serve_cuts(socket, log, bytes, [seed, cuts, lies], plan)
        }
        ["drive", dir, port] => drive::drive(Path::new(dir), number(port) as u16),
        ["check", who, dir, cut] => {
            let whose = match who {
                "driver" => Who::Driver,
                "perch" => Who::Perch,
                _ => panic!("`{who}` is nobody's name"),
            };
            let mut found = check::check(Path::new(dir), whose);
            found["who"] = json!(who);
            found["cut"] = json!(number(cut));
            println!("{found}");
            Ok(ExitCode::SUCCESS)
        }
        ["judge", plan, results] => say_verdict(plan, results),
        _ => {
            eprintln!("usage: see tests/vm/power/main.rs");
            Ok(ExitCode::from(2))
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("power {}: {error}", words.join(" "));
        ExitCode::FAILURE
    })
}

fn number(text: &str) -> u64 {
    text.parse()
        .unwrap_or_else(|_| panic!("`{text}` is no number"))
}

/// Serves one machine until it is killed.
fn record(
    socket: &str,
    log: &str,
    bytes: &str,
    [driver, perch, camera]: [&str; 3],
    base: Option<(&str, &str)>,
) -> io::Result<ExitCode> {
    let bytes = number(bytes);
    let mut log = DiskLog::create(Path::new(log), bytes)?;
    if let Some((base, seed)) = base {
        go_on_from(&mut log, Path::new(base), number(seed), bytes)?;
    }
    let log = Arc::new(Mutex::new(log));
    let (address, of_driver) = (driver.to_owned(), Arc::clone(&log));
    std::thread::spawn(move || watch::listen_to_driver(address, of_driver));
    let (address, camera, of_perch) = (perch.to_owned(), camera.to_owned(), Arc::clone(&log));
    std::thread::spawn(move || watch::watch_perch(address, camera, of_perch));

    let listener = UnixListener::bind(socket)?;
    let (mut stream, _) = listener.accept()?;
    let mut disk = LoggedDisk {
        log: Arc::clone(&log),
        bytes,
    };
    nbd::serve(&mut stream, &mut disk)?;
    // Held until the process ends: nothing more is noted.
    let mut log = log.lock().expect("nothing panics with the log held");
    log.finish()?;
    println!("{}", log.summary());
    Ok(ExitCode::SUCCESS)
}

/// Begins a log with the disk that a kill left, and with what had been told as committed before it.
fn go_on_from(log: &mut DiskLog, base: &Path, seed: u64, bytes: u64) -> io::Result<()> {
    let base = FinishedLog::open(base)?;
    let kill = plan_cuts(&base.records, base.first_note(), 1, seed).remove(0);
    let (picture, _) = kill.picture(&base.records, bytes / SECTOR_BYTES as u64);
    for (first, count) in picture.written() {
        let mut data = vec![0; count as usize * SECTOR_BYTES];
        base.read(&picture, first, &mut data)?;
        log.write(first, &data, false)?;
    }
    log.flush()?;
    for (who, tracks) in told(&base, kill.position)? {
        if !who.ends_with("made") {
            log.note(&json!({"who": who, "tracks": tracks}).to_string())?;
        }
    }
    Ok(())
}

/// The last thing that each had told before a record of the log.
fn told(log: &FinishedLog, position: usize) -> io::Result<BTreeMap<String, Value>> {
    let mut told = BTreeMap::new();
    for record in log.records[..position].iter().rev() {
        if record.kind == Kind::Note {
            let note: Value = serde_json::from_str(&log.note(record)?)?;
            let who = note["who"].as_str().unwrap_or_default().to_owned();
            told.entry(who).or_insert_with(|| note["tracks"].clone());
        }
        if told.len() == TELLERS {
            break;
        }
    }
    Ok(told)
}

/// Serves the disks of cuts to one machine, after writing down what they are.
fn serve_cuts(
    socket: &str,
    log: &str,
    bytes: &str,
    [seed, cuts, lies]: [&str; 3],
    plan: &str,
) -> io::Result<ExitCode> {
    let bytes = number(bytes);
    let log = FinishedLog::open(Path::new(log))?;
    let first = log.first_note();
    let (seed, lies) = (number(seed), number(lies) as usize);
    let mut cuts = plan_cuts(&log.records, first, number(cuts) as usize, seed);
    cuts.extend(plan_lies(&log, first, lies, seed, MARK)?);
    let mut text = String::new();
    for (index, cut) in cuts.iter().enumerate() {
        text += &format!("{}\n", describe(&log, index, cut, bytes)?);
    }
    std::fs::write(plan, text)?;
    let listener = UnixListener::bind(socket)?;
    let (mut stream, _) = listener.accept()?;
    nbd::serve(&mut stream, &mut CutDisks::new(log, cuts, bytes))?;
    Ok(ExitCode::SUCCESS)
}

fn describe(log: &FinishedLog, index: usize, cut: &Cut, bytes: u64) -> io::Result<Value> {
    let (_, unflushed) = cut.picture(&log.records, bytes / SECTOR_BYTES as u64);
    let last = cut.position.min(log.records.len()).saturating_sub(1);
    Ok(json!({
        "cut": index,
        "position": cut.position,
        "at_ms": log.records.get(last).map_or(0, |record| record.at_us / 1000),
        "survival": format!("{:?}", cut.survival),
        "lie": cut.lie.map(|lie| format!("{lie:?}")),
        "writes": unflushed.writes,
        "sectors": unflushed.sectors,
        "kept_sectors": unflushed.kept_sectors,
        "told": told(log, cut.position)?,
    }))
}

fn say_verdict(plan: &str, results: &str) -> io::Result<ExitCode> {
    let verdict = judge::judge(
        &std::fs::read_to_string(plan)?,
        &std::fs::read_to_string(results)?,
    );
    let mut out = io::stdout().lock();
    for line in &verdict.lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "     {}", verdict.summary())?;
    Ok(ExitCode::from(u8::from(verdict.failures > 0)))
}
