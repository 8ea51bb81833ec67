//! Which encoder this machine gets: goes down the table, tries what is installed, remembers each verdict in
//! a file until the kernel, the plugin or the board changes, and says why the better ones were refused.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

use gstreamer as gst;
use gstreamer::prelude::*;
use serde::{Deserialize, Serialize};

use super::encoder::init;
use super::options::EncodeError;
use super::table::{EncoderChoice, EncoderEntry, TABLE};
use super::trial::{TrialTask, Verdict, run_trial};

/// Name of the file with the verdicts.
const CACHE_FILE: &str = "encoders.json";

/// How a machine's encoders are found out.
#[derive(Clone, Debug)]
pub struct ProbeOptions {
    /// Where verdicts are kept; made if it is missing. Nothing is kept if it cannot be written.
    pub cache_dir: PathBuf,
    /// The board's name, part of what a verdict depends on.
    pub board: String,
    /// This program and the arguments that lead it to [`super::trial_child_main`].
    pub program: Vec<OsString>,
    /// What the encoder must be able to do.
    pub task: TrialTask,
    /// Element names to consider, best first; empty for the whole table.
    pub order: Vec<String>,
}

/// One line of `perch doctor`.
#[derive(Clone, Debug)]
pub struct EncoderListing {
    /// What the table says.
    pub entry: &'static EncoderEntry,
    /// The element's factory; `None` if no plugin brings it.
    pub factory: Option<String>,
    /// How its trial went; `None` if it is not installed.
    pub verdict: Option<Verdict>,
}

/// The best encoder that works. Tries only what has no verdict yet, and nothing below the first that works.
pub fn choose_encoder(options: &ProbeOptions) -> Result<EncoderChoice, EncodeError> {
    init()?;
    let mut cache = Cache::load(&options.cache_dir);
    let mut refusals = Vec::new();
    for (entry, factory) in candidates(&options.order) {
        let key = key(&factory, options);
        let verdict = match cache.get(&factory, &key) {
            Some(verdict) => verdict,
            None => {
                let verdict = run_trial(&options.program, &factory, options.task);
                cache.put(&factory, key, verdict.clone());
                verdict
            }
        };
        match verdict.refusal {
            None => {
                tracing::info!(encoder = factory, "encoder chosen");
                return Ok(EncoderChoice { entry, factory });
            }
            Some(reason) => {
                tracing::warn!(encoder = factory, reason, "encoder refused");
                refusals.push(format!("{factory}: {reason}"));
            }
        }
    }
    Err(EncodeError::NoEncoder(refusals.join("; ")))
}

/// Tries every encoder of the table anew and remembers the verdicts.
pub fn list_encoders(options: &ProbeOptions) -> Result<Vec<EncoderListing>, EncodeError> {
    init()?;
    let mut cache = Cache::load(&options.cache_dir);
    let mut listings = Vec::new();
    for entry in TABLE {
        let factories = installed(entry);
        if factories.is_empty() {
            listings.push(EncoderListing {
                entry,
                factory: None,
                verdict: None,
            });
        }
        for factory in factories {
            let verdict = run_trial(&options.program, &factory, options.task);
            cache.put(&factory, key(&factory, options), verdict.clone());
            listings.push(EncoderListing {
                entry,
                factory: Some(factory),
                verdict: Some(verdict),
            });
        }
    }
    Ok(listings)
}

/// What is installed of the table, in the order asked for.
fn candidates(order: &[String]) -> Vec<(&'static EncoderEntry, String)> {
    let mut entries: Vec<&'static EncoderEntry> = TABLE.iter().collect();
    if !order.is_empty() {
        entries.retain(|entry| order.iter().any(|name| name == entry.element));
        entries.sort_by_key(|entry| order.iter().position(|name| name == entry.element));
    }
    let with_factories = |entry: &'static EncoderEntry| {
        installed(entry)
            .into_iter()
            .map(move |factory| (entry, factory))
    };
    entries.into_iter().flat_map(with_factories).collect()
}

/// The factories of an entry: the element itself, then those of further devices.
fn installed(entry: &EncoderEntry) -> Vec<String> {
    let all = gst::ElementFactory::factories_with_type(
        gst::ElementFactoryType::VIDEO_ENCODER,
        gst::Rank::NONE,
    );
    let mut names: Vec<String> = all
        .iter()
        .map(|factory| factory.name().to_string())
        .filter(|name| entry.matches(name))
        .collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    names
}

/// Everything that a verdict depends on.
fn key(factory: &str, options: &ProbeOptions) -> String {
    let kernel = nix::sys::utsname::uname()
        .map(|names| names.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    let plugin = gst::ElementFactory::find(factory)
        .and_then(|factory| factory.plugin())
        .map(|plugin| format!("{} {}", plugin.plugin_name(), plugin.version()))
        .unwrap_or_default();
    let spec = options.task.spec;
    format!(
        "{kernel}; {}; {plugin}; {}; {}x{} {}",
        gst::version_string(),
        options.board,
        spec.width,
        spec.height,
        spec.video_bitrate_bps
    )
}

/// The verdicts on disk.
struct Cache {
    path: PathBuf,
    lines: BTreeMap<String, CacheLine>,
}

#[derive(Serialize, Deserialize)]
struct CacheLine {
    key: String,
    verdict: Verdict,
}

impl Cache {
    /// What cannot be read counts as empty: a trial too many does no harm.
    fn load(dir: &Path) -> Self {
        let path = dir.join(CACHE_FILE);
        let lines = fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            path,
            lines: lines.unwrap_or_default(),
        }
    }

    fn get(&self, factory: &str, key: &str) -> Option<Verdict> {
        let line = self.lines.get(factory).filter(|line| line.key == key)?;
        Some(line.verdict.clone())
    }

    /// Remembers a verdict at once, so that a crash later does not cost the trial again.
    fn put(&mut self, factory: &str, key: String, verdict: Verdict) {
        self.lines
            .insert(factory.to_owned(), CacheLine { key, verdict });
        if let Err(error) = self.save() {
            tracing::warn!(path = %self.path.display(), %error, "encoder verdicts are not remembered");
        }
    }

    fn save(&self) -> io::Result<()> {
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir)?;
        }
        let fresh = self.path.with_extension("json.new");
        fs::write(&fresh, serde_json::to_vec_pretty(&self.lines)?)?;
        fs::rename(fresh, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{FrameRate, LADDER};

    fn options(dir: &Path, script: &str, order: &[&str]) -> ProbeOptions {
        ProbeOptions {
            cache_dir: dir.join("cache"),
            board: "bench".to_owned(),
            program: ["sh", "-c", script].map(OsString::from).to_vec(),
            task: TrialTask {
                spec: LADDER[0],
                rate: FrameRate::whole(30),
            },
            order: order.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn the_first_that_works_is_chosen_and_remembered() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        // `$0` is the factory: the first word after the script.
        let picky = options(
            dir.path(),
            "test $0 = openh264enc || { echo not today; exit 1; }",
            &["x264enc", "openh264enc"],
        );
        assert_eq!(
            choose_encoder(&picky).expect("one works").factory,
            "openh264enc"
        );
        let silent = options(dir.path(), "exit 1", &["x264enc", "openh264enc"]);
        assert_eq!(
            choose_encoder(&silent).expect("remembered").factory,
            "openh264enc"
        );
        let moved = ProbeOptions {
            board: "another".to_owned(),
            ..silent
        };
        let error = choose_encoder(&moved)
            .expect_err("its verdicts are its own")
            .to_string();
        assert!(error.contains("x264enc: it took the trial down"), "{error}");
    }

    #[test]
    fn a_broken_cache_costs_a_trial_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let good = options(dir.path(), "exit 0", &["x264enc"]);
        fs::create_dir_all(&good.cache_dir).expect("writable");
        fs::write(good.cache_dir.join(CACHE_FILE), b"{\"x264enc\": 5").expect("writable");
        assert_eq!(
            choose_encoder(&good).expect("tried again").factory,
            "x264enc"
        );
        let unwritable = ProbeOptions {
            cache_dir: "/proc/nowhere".into(),
            ..good
        };
        assert_eq!(
            choose_encoder(&unwritable).expect("not remembered").factory,
            "x264enc"
        );
    }

    #[test]
    fn the_list_names_what_is_missing_too() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let listings =
            list_encoders(&options(dir.path(), "exit 0", &[])).expect("GStreamer starts");
        assert!(listings.len() >= TABLE.len());
        assert!(
            listings
                .iter()
                .any(|line| line.factory.as_deref() == Some("x264enc") && line.verdict.is_some())
        );
        assert!(
            listings
                .iter()
                .all(|line| line.factory.is_some() == line.verdict.is_some())
        );
    }

    #[test]
    fn further_devices_belong_to_their_entry() {
        let entry = |name: &str| {
            TABLE
                .iter()
                .find(|entry| entry.matches(name))
                .map(|entry| entry.element)
        };
        assert_eq!(entry("v4l2h264enc"), Some("v4l2h264enc"));
        assert_eq!(entry("v4l2video12h264enc"), Some("v4l2h264enc"));
        assert_eq!(entry("varenderD129h264enc"), Some("vah264enc"));
        assert_eq!(entry("nvh264device1enc"), Some("nvh264enc"));
        assert_eq!(entry("v4l2video12h265enc"), None);
        assert_eq!(entry("nvautogpuh264enc"), None);
    }
}
