//! Which encoder this machine gets: goes down the table, tries what is installed, remembers each proven verdict
//! in a file until the kernel, the plugin or the board changes, and says why the better ones were refused.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io, process};

use gstreamer as gst;
use gstreamer::prelude::*;
use serde::{Deserialize, Serialize};

use super::encoder::init;
use super::options::EncodeError;
use super::table::{EncoderChoice, EncoderEntry, TABLE};
use super::trial::{Refusal, TrialTask, Verdict, run_trial};

/// Name of the file with the verdicts.
const CACHE_FILE: &str = "encoders.json";
/// How long an encoder that is in doubt is not tried again: each trial costs a camera up to five seconds.
const DOUBT_LASTS: Duration = Duration::from_secs(600);
/// The same where software has refused a task, for which there is nothing else.
const REFUSAL_LASTS: Duration = Duration::from_secs(60);

/// How a machine's encoders are found out.
#[derive(Clone, Debug)]
pub struct ProbeOptions {
    /// Where verdicts are kept; made if it is missing. Nothing is kept if it cannot be written, or is `None`.
    pub cache_dir: Option<PathBuf>,
    /// The board's name, part of what a verdict depends on.
    pub board: String,
    /// This program and the arguments that lead it to [`super::trial_child_main`].
    pub program: Vec<OsString>,
    /// What the encoder must be able to do.
    pub task: TrialTask,
    /// Element names to consider, best first; empty for the whole table.
    pub order: Vec<String>,
    /// Factories that come after all others, whatever the order: their trial says that they work, but they did not.
    pub distrusted: Vec<String>,
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

/// Encoders whose trial came to no end, such as a time-out on a machine that was busy, and what software refused, which
/// it may have for want of time. They are not tried again for a while, so that a camera that comes back need not wait
/// for it, and no file remembers them. By factory and the task that it was refused for; a trial without an end speaks
/// against every task.
#[derive(Debug, Default)]
pub struct Doubts(BTreeMap<(String, Option<String>), Doubt>);

#[derive(Debug)]
struct Doubt {
    refusal: Refusal,
    arose_at: Instant,
}

impl Doubts {
    fn refusal(&self, factory: &str, task: &str) -> Option<&Refusal> {
        self.fresh(factory, Some(task))
            .or_else(|| self.fresh(factory, None))
    }

    fn fresh(&self, factory: &str, task: Option<&str>) -> Option<&Refusal> {
        let doubt = self.0.get(&(factory.to_owned(), task.map(str::to_owned)))?;
        let lasts = match doubt.refusal {
            Refusal::Proven(_) => REFUSAL_LASTS,
            Refusal::Unproven(_) => DOUBT_LASTS,
        };
        (doubt.arose_at.elapsed() < lasts).then_some(&doubt.refusal)
    }

    /// A doubt that lasts keeps the time at which it arose.
    fn add(&mut self, factory: &str, task: &str, refusal: &Refusal) {
        let task = match refusal {
            Refusal::Proven(_) => Some(task),
            Refusal::Unproven(_) => None,
        };
        if self.fresh(factory, task).is_some() {
            return;
        }
        let doubt = Doubt {
            refusal: refusal.clone(),
            arose_at: Instant::now(),
        };
        let key = (factory.to_owned(), task.map(str::to_owned));
        self.0.insert(key, doubt);
    }
}

/// The best encoder that works. Tries only what has no verdict yet, and nothing below the first that works. If none
/// passes, a software encoder whose trial proved nothing is taken untried: it fails on no machine but one too busy.
/// Fails with `RungRefused` if software does not do what is asked either.
pub fn choose_encoder(
    options: &ProbeOptions,
    doubts: &mut Doubts,
) -> Result<EncoderChoice, EncodeError> {
    init()?;
    let mut cache = Cache::load(options.cache_dir.as_deref());
    let task = Key::task(options.task);
    let mut refusals = Vec::new();
    let mut software = Vec::new();
    for (entry, factory) in candidates(&options.order, &options.distrusted) {
        let choice = EncoderChoice { entry, factory };
        match consider(&choice, options, &mut cache, doubts) {
            Ok(()) => {
                tracing::info!(encoder = choice.factory, "encoder chosen");
                return Ok(choice);
            }
            Err(refusal) => {
                let reason = refusal.reason();
                tracing::warn!(encoder = choice.factory, reason, "encoder refused");
                refusals.push(format!("{}: {reason}", choice.factory));
                if entry.is_software() {
                    software.push((choice, refusal));
                }
            }
        }
    }
    // Had one of them passed, the better ones would be worth another trial at the next start.
    for (choice, refusal) in &software {
        doubts.add(&choice.factory, &task, refusal);
    }
    let is_refused = !software.is_empty();
    let mut software = software.into_iter();
    if let Some((choice, _)) = software.find(|(_, refusal)| matches!(refusal, Refusal::Unproven(_)))
    {
        tracing::warn!(
            encoder = choice.factory,
            "no encoder passed its trial; this one is taken without"
        );
        return Ok(choice);
    }
    if refusals.is_empty() {
        refusals.push("none is installed".to_owned());
    }
    let reasons = refusals.join("; ");
    Err(match &options.order[..] {
        // Software works everywhere: it is what was asked of it.
        _ if is_refused => EncodeError::RungRefused {
            spec: options.task.spec,
            reasons,
        },
        [] => EncodeError::NoEncoder(reasons),
        _ => EncodeError::ChosenEncoder(reasons),
    })
}

/// Whether a plugin brings this element of the table. Fails if GStreamer does not start.
pub fn is_installed(element: &str) -> Result<bool, EncodeError> {
    init()?;
    let mut entries = TABLE.iter().filter(|entry| entry.element == element);
    Ok(entries.any(|entry| !installed(entry).is_empty()))
}

/// What is known of one encoder, by a trial if need be.
fn consider(
    choice: &EncoderChoice,
    options: &ProbeOptions,
    cache: &mut Cache,
    doubts: &mut Doubts,
) -> Result<(), Refusal> {
    let factory = &choice.factory;
    let key = Key::new(factory, options);
    if let Some(verdict) = cache.get(factory, &key) {
        return verdict
            .refusal
            .map_or(Ok(()), |reason| Err(Refusal::Proven(reason)));
    }
    if let Some(refusal) = doubts.refusal(factory, &key.task) {
        return Err(refusal.clone());
    }
    let (outcome, _) = try_and_remember(choice, options, cache);
    if let Err(refusal @ Refusal::Unproven(_)) = &outcome
        && !choice.entry.is_software()
    {
        doubts.add(factory, &key.task, refusal);
    }
    outcome
}

/// Tries an encoder and remembers what that proves. A refusal of a software encoder proves nothing that lasts: it
/// works everywhere, and what it lacked was time, or bits that another configuration may give it.
fn try_and_remember(
    choice: &EncoderChoice,
    options: &ProbeOptions,
    cache: &mut Cache,
) -> (Result<(), Refusal>, Verdict) {
    let (outcome, took) = run_trial(&options.program, &choice.factory, options.task);
    let verdict = Verdict {
        refusal: outcome
            .as_ref()
            .err()
            .map(|refusal| refusal.reason().to_owned()),
        trial_ms: took.as_millis() as u64,
    };
    let is_proven = match &outcome {
        Ok(()) => true,
        Err(Refusal::Proven(_)) => !choice.entry.is_software(),
        Err(Refusal::Unproven(_)) => false,
    };
    if is_proven {
        let key = Key::new(&choice.factory, options);
        cache.put(&choice.factory, &key, verdict.clone());
    }
    (outcome, verdict)
}

/// Tries every encoder of the table anew and remembers what that proves.
pub fn list_encoders(options: &ProbeOptions) -> Result<Vec<EncoderListing>, EncodeError> {
    init()?;
    let mut cache = Cache::load(options.cache_dir.as_deref());
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
            let choice = EncoderChoice { entry, factory };
            let (_, verdict) = try_and_remember(&choice, options, &mut cache);
            listings.push(EncoderListing {
                entry,
                factory: Some(choice.factory),
                verdict: Some(verdict),
            });
        }
    }
    Ok(listings)
}

/// What is installed of the table, in the order asked for, the distrusted ones last.
fn candidates(order: &[String], distrusted: &[String]) -> Vec<(&'static EncoderEntry, String)> {
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
    let mut candidates: Vec<_> = entries.into_iter().flat_map(with_factories).collect();
    candidates.sort_by_key(|(_, factory)| distrusted.contains(factory));
    candidates
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
struct Key {
    /// The system. Verdicts about another are of no use any more.
    environment: String,
    /// What was asked. Cameras of different sizes ask different things.
    task: String,
}

impl Key {
    fn new(factory: &str, options: &ProbeOptions) -> Self {
        let kernel = nix::sys::utsname::uname()
            .map(|names| names.release().to_string_lossy().into_owned())
            .unwrap_or_default();
        let plugin = gst::ElementFactory::find(factory)
            .and_then(|factory| factory.plugin())
            .map(|plugin| format!("{} {}", plugin.plugin_name(), plugin.version()))
            .unwrap_or_default();
        Self {
            environment: format!(
                "{kernel}; {}; {plugin}; {}",
                gst::version_string(),
                options.board
            ),
            task: Self::task(options.task),
        }
    }

    fn task(TrialTask { spec, rate }: TrialTask) -> String {
        format!(
            "{}x{} {}/{} {}",
            spec.width, spec.height, rate.numerator, rate.denominator, spec.video_bitrate_bps
        )
    }
}

/// The verdicts on disk.
struct Cache {
    /// `None` keeps nothing.
    path: Option<PathBuf>,
    /// By factory.
    lines: BTreeMap<String, CacheLine>,
}

#[derive(Serialize, Deserialize)]
struct CacheLine {
    environment: String,
    /// By task.
    verdicts: BTreeMap<String, Verdict>,
}

impl Cache {
    /// What cannot be read counts as empty: a trial too many does no harm.
    fn load(dir: Option<&Path>) -> Self {
        let path = dir.map(|dir| dir.join(CACHE_FILE));
        let lines = path
            .as_ref()
            .and_then(|path| fs::read(path).ok())
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            path,
            lines: lines.unwrap_or_default(),
        }
    }

    fn get(&self, factory: &str, key: &Key) -> Option<Verdict> {
        let line = self.lines.get(factory)?;
        let line = (line.environment == key.environment).then_some(line)?;
        line.verdicts.get(&key.task).cloned()
    }

    /// Remembers a verdict at once, so that a crash later does not cost the trial again.
    fn put(&mut self, factory: &str, key: &Key, verdict: Verdict) {
        let line = self
            .lines
            .entry(factory.to_owned())
            .or_insert_with(|| CacheLine {
                environment: key.environment.clone(),
                verdicts: BTreeMap::new(),
            });
        if line.environment != key.environment {
            line.environment.clone_from(&key.environment);
            line.verdicts.clear();
        }
        line.verdicts.insert(key.task.clone(), verdict);
        if let Some(path) = &self.path
            && let Err(error) = self.save(path)
        {
            tracing::warn!(path = %path.display(), %error, "encoder verdicts are not remembered");
        }
    }

    fn save(&self, path: &Path) -> io::Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        // `perch doctor` may write beside the running appliance.
        let fresh = path.with_extension(format!("json.{}.new", process::id()));
        fs::write(&fresh, serde_json::to_vec_pretty(&self.lines)?)?;
        fs::rename(fresh, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{FrameRate, LADDER};

    fn options(dir: &Path, script: &str, order: &[&str]) -> ProbeOptions {
        ProbeOptions {
            cache_dir: Some(dir.join("cache")),
            board: "bench".to_owned(),
            program: ["sh", "-c", script].map(OsString::from).to_vec(),
            task: TrialTask {
                spec: LADDER[0],
                rate: FrameRate::whole(30),
            },
            order: order.iter().map(|name| (*name).to_owned()).collect(),
            distrusted: Vec::new(),
        }
    }

    fn choose(options: &ProbeOptions) -> Result<String, String> {
        choose_encoder(options, &mut Doubts::default())
            .map(|choice| choice.factory)
            .map_err(|error| error.to_string())
    }

    /// Considers an element as if it were in silicon, or as the software that it is; the machine that runs these
    /// tests has no other.
    fn verdict_on(
        options: &ProbeOptions,
        is_hardware: bool,
        doubts: &mut Doubts,
    ) -> Option<String> {
        init().expect("GStreamer starts");
        let element = if is_hardware {
            "v4l2h264enc"
        } else {
            "x264enc"
        };
        let choice = EncoderChoice::named(element).expect("in the table");
        let mut cache = Cache::load(options.cache_dir.as_deref());
        consider(&choice, options, &mut cache, doubts)
            .err()
            .map(|refusal| refusal.reason().to_owned())
    }

    /// As long as a doubt lasts.
    fn let_time_pass(doubts: &mut Doubts) {
        for doubt in doubts.0.values_mut() {
            let earlier = doubt.arose_at.checked_sub(DOUBT_LASTS);
            doubt.arose_at = earlier.expect("the machine runs longer");
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
        assert_eq!(choose(&picky).expect("one works"), "openh264enc");
        let silent = options(dir.path(), "exit 1", &["x264enc", "openh264enc"]);
        assert_eq!(choose(&silent).expect("remembered"), "openh264enc");
        let moved = ProbeOptions {
            board: "another".to_owned(),
            ..silent
        };
        let error = choose(&moved).expect_err("its verdicts are its own");
        assert!(error.contains("x264enc: it took the trial down"), "{error}");
    }

    #[test]
    fn what_is_distrusted_is_taken_only_if_nothing_else_works() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let order = ["x264enc", "openh264enc"];
        let doubtful = |script: &str| ProbeOptions {
            distrusted: vec!["x264enc".to_owned()],
            ..options(dir.path(), script, &order)
        };
        let picky = doubtful("test $0 = x264enc || { echo not today; exit 1; }");
        assert_eq!(choose(&picky).expect("one works"), "x264enc");
        assert_eq!(choose(&doubtful("exit 0")).expect("both"), "openh264enc");
    }

    #[test]
    fn a_bad_moment_of_a_software_encoder_is_forgotten() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        for script in ["echo 12 of 20 pictures came out; exit 1", "kill -SEGV $$"] {
            assert!(choose(&options(dir.path(), script, &["x264enc"])).is_err());
            let good = options(dir.path(), "exit 0", &["x264enc"]);
            let cache = Cache::load(good.cache_dir.as_deref());
            assert!(cache.lines.is_empty(), "{script}");
        }
        let good = options(dir.path(), "exit 0", &["x264enc"]);
        assert_eq!(choose(&good).expect("tried again"), "x264enc");
    }

    #[test]
    fn a_software_encoder_that_could_not_be_tried_is_taken_all_the_same() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let mut gone = options(dir.path(), "", &["x264enc", "openh264enc"]);
        gone.program = vec!["/nowhere/perch (deleted)".into()];
        assert_eq!(choose(&gone).expect("nothing speaks against it"), "x264enc");
        let killed = options(dir.path(), "kill -KILL $$", &["x264enc"]);
        assert_eq!(choose(&killed).expect("the same"), "x264enc");
        let cache = Cache::load(gone.cache_dir.as_deref());
        assert!(cache.lines.is_empty(), "nothing was proven");
    }

    #[test]
    fn software_that_a_busy_machine_could_not_try_is_not_tried_at_every_start() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let order = ["x264enc", "openh264enc"];
        let busy = options(
            dir.path(),
            &format!("echo $0 >>{}/tried; kill -KILL $$", dir.path().display()),
            &order,
        );
        let tried = || fs::read_to_string(dir.path().join("tried")).expect("written");
        let mut doubts = Doubts::default();
        for _ in 0..2 {
            let choice = choose_encoder(&busy, &mut doubts).expect("taken without");
            assert_eq!(choice.factory, "x264enc");
            assert_eq!(tried(), "x264enc\nopenh264enc\n");
        }
        let_time_pass(&mut doubts);
        choose_encoder(&busy, &mut doubts).expect("taken without");
        assert_eq!(tried().lines().count(), 4, "tried again");
        // One that passes is taken, and what it was preferred to is worth a trial the next time.
        let picky = options(dir.path(), "test $0 = openh264enc || kill -KILL $$", &order);
        let mut doubts = Doubts::default();
        let choice = choose_encoder(&picky, &mut doubts).expect("one works");
        assert_eq!(choice.factory, "openh264enc");
        let good = options(dir.path(), "exit 0", &order);
        let choice = choose_encoder(&good, &mut doubts).expect("both work");
        assert_eq!(choice.factory, "x264enc");
    }

    #[test]
    fn a_rung_that_software_refuses_is_named_and_not_tried_at_every_start() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let script = format!(
            "echo $0 >>{}/tried; echo 9999 bytes do not keep to 500000 b/s; exit 1",
            dir.path().display()
        );
        let asked = options(dir.path(), &script, &["x264enc", "openh264enc"]);
        let tried = || fs::read_to_string(dir.path().join("tried")).expect("written");
        let mut doubts = Doubts::default();
        for _ in 0..2 {
            let error = choose_encoder(&asked, &mut doubts).expect_err("both refuse");
            let error = error.to_string();
            let rung = "ladder.rungs: no encoder makes `very_low`, 426x240 at 500 kb/s,";
            for part in [rung, "x264enc: 9999 bytes do not keep", "bitrate_kbps"] {
                assert!(error.contains(part), "{error}");
            }
            assert!(!error.contains("install"), "{error}");
            assert_eq!(tried(), "x264enc\nopenh264enc\n");
        }
        // What another camera's picture asks for may still be possible.
        let mut smaller = asked.clone();
        smaller.task.spec.width = 320;
        assert!(choose_encoder(&smaller, &mut doubts).is_err());
        assert_eq!(tried().lines().count(), 4);
        let_time_pass(&mut doubts);
        let good = options(dir.path(), "exit 0", &["x264enc"]);
        let choice = choose_encoder(&good, &mut doubts).expect("tried again");
        assert_eq!(choice.factory, "x264enc");
    }

    #[test]
    fn only_what_a_trial_proves_is_held_against_hardware() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let trial = |script: &str| options(dir.path(), script, &[]);
        let good = trial("exit 0");
        let mut doubts = Doubts::default();
        let killed = verdict_on(&trial("kill -KILL $$"), true, &mut doubts);
        assert!(killed.is_some());
        // It is not tried at every start of a camera, but a new process, or this one later, tries it again.
        assert_eq!(verdict_on(&good, true, &mut doubts), killed);
        let_time_pass(&mut doubts);
        assert_eq!(verdict_on(&good, true, &mut doubts), None);

        let dir = tempfile::tempdir().expect("a scratch folder");
        let trial = |script: &str| options(dir.path(), script, &[]);
        let fresh = Doubts::default;
        assert!(verdict_on(&trial("echo no firmware; exit 1"), true, &mut fresh()).is_some());
        assert_eq!(
            verdict_on(&trial("exit 0"), true, &mut fresh()).as_deref(),
            Some("no firmware"),
            "what it said itself is remembered"
        );
        assert_eq!(verdict_on(&trial("exit 0"), false, &mut fresh()), None);
    }

    #[test]
    fn cameras_of_different_sizes_keep_their_own_verdicts() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let sized = |script: &str, spec: usize| {
            let mut options = options(dir.path(), script, &["x264enc"]);
            options.task.spec = LADDER[spec];
            options
        };
        for spec in [0, 3] {
            assert!(choose(&sized("exit 0", spec)).is_ok());
        }
        for spec in [0, 3] {
            assert!(choose(&sized("exit 1", spec)).is_ok(), "remembered");
        }
        assert!(choose(&sized("exit 1", 1)).is_err(), "never tried");
    }

    #[test]
    fn a_broken_or_older_cache_costs_a_trial_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let good = options(dir.path(), "exit 0", &["x264enc"]);
        let cache_dir = dir.path().join("cache");
        fs::create_dir_all(&cache_dir).expect("writable");
        // The second is how verdicts were kept first, those that proved nothing among them.
        for text in [
            r#"{"x264enc": 5"#,
            r#"{"x264enc": {"key": "6.1; GStreamer 1.22.0", "verdict": {"refusal": "it gave no answer within 5 s", "trial_ms": 5000}}}"#,
        ] {
            fs::write(cache_dir.join(CACHE_FILE), text).expect("writable");
            assert_eq!(choose(&good).expect("tried again"), "x264enc");
        }
        let unwritable = ProbeOptions {
            cache_dir: Some("/proc/nowhere".into()),
            ..good
        };
        assert_eq!(choose(&unwritable).expect("not remembered"), "x264enc");
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
    fn verdicts_are_kept_nowhere_but_where_it_is_said() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        let said = options(dir.path(), "exit 0", &[]);
        let unsaid = ProbeOptions {
            cache_dir: None,
            ..said.clone()
        };
        let kept = || dir.path().join("cache").join(CACHE_FILE).exists();
        list_encoders(&unsaid).expect("GStreamer starts");
        assert!(!kept());
        list_encoders(&said).expect("GStreamer starts");
        assert!(kept());
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
