//! Compares what was found after each cut with what had been told before it, and says so on a line a check. Of a disk
//! that lied, it wants to hear that something is wrong.

use std::collections::BTreeMap;

use serde_json::Value;

use super::items::{KEPT, broken_promises};
use super::made::SEGMENT_MS;
use super::tracks::Tracks;

/// The most of each track that may be missing at its end, in ms of media that was complete: the store holds a
/// finished segment back for half a second before it commits it, and a commit takes its time.
const MISSING_MS_MAX: u64 = 2000;

/// Who recorded, with the length of a segment in ms.
const WHO: [(&str, u64); 2] = [("driver", SEGMENT_MS), ("perch", 2000)];

/// What all cuts together came to.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) lines: Vec<String>,
    pub(crate) failures: usize,
    cuts: usize,
    lies: usize,
    segments: u64,
    items: u64,
    discarded: u64,
    missing_ms_max: BTreeMap<&'static str, u64>,
}

/// Judges all cuts of a plan. Both texts hold one JSON object a line.
pub(crate) fn judge(plan: &str, results: &str) -> Verdict {
    let parse = |text: &str| -> Vec<Value> {
        let lines = text.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };
    let results = parse(results);
    let mut verdict = Verdict::default();
    for cut in parse(plan) {
        let of_cut = results.iter().filter(|found| found["cut"] == cut["cut"]);
        verdict.judge_cut(&cut, &of_cut.collect::<Vec<_>>());
    }
    if verdict.cuts == 0 || (verdict.failures == 0 && verdict.segments == 0) {
        verdict.say(false, "something was recorded and cut".to_owned());
    }
    verdict
}

impl Verdict {
    /// One line for people.
    pub(crate) fn summary(&self) -> String {
        let missing = self.missing_ms_max.iter();
        let missing: Vec<_> = missing
            .map(|(who, ms)| format!("{:.1} s of {who}", *ms as f64 / 1000.0))
            .collect();
        format!(
            "{} cuts, {} lies; {} committed segments and {} items were whole, {} uncommitted ones named as cut off, missing at most {}",
            self.cuts,
            self.lies,
            self.segments,
            self.items,
            self.discarded,
            missing.join(" and "),
        )
    }

    fn say(&mut self, good: bool, what: String) {
        let mark = if good { "ok  " } else { "FAIL" };
        self.lines.push(format!("{mark} {what}"));
        self.failures += usize::from(!good);
    }

    fn judge_cut(&mut self, cut: &Value, found: &[&Value]) {
        let mut wrong = Vec::new();
        let mut figures = Vec::new();
        for (who, segment_ms) in WHO {
            match found.iter().find(|found| found["who"] == who) {
                None => wrong.push(format!("{who}: nothing was found out")),
                Some(found) => {
                    let told = Told::of(cut, who);
                    match told.compare(found, segment_ms) {
                        Ok(found) => figures.push((who, found)),
                        Err(errors) => {
                            wrong.extend(errors.into_iter().map(|error| format!("{who}: {error}")));
                        }
                    }
                }
            }
        }
        let name = format!("cut {} at {} ms", cut["cut"], cut["at_ms"]);
        if let Some(lie) = cut["lie"].as_str() {
            self.lies += 1;
            let noticed = wrong.first().map_or("nobody noticed", String::as_str);
            let what = format!("{name} of a disk that lied ({lie}) is noticed: {noticed}");
            self.say(!wrong.is_empty(), what);
            return;
        }
        self.cuts += 1;
        for (who, figures) in &figures {
            self.segments += figures.recorded;
            self.items += figures.items;
            self.discarded += figures.discarded;
            let most = self.missing_ms_max.entry(who).or_default();
            *most = figures.missing_ms.max(*most);
        }
        let kept = format!(
            "{} of {} unflushed sectors kept ({})",
            cut["kept_sectors"],
            cut["sectors"],
            cut["survival"].as_str().unwrap_or_default()
        );
        let rest = if wrong.is_empty() {
            figures
                .iter()
                .map(|(who, f)| {
                    let (recorded, discarded) = (f.recorded, f.discarded);
                    format!("; {who}: {recorded} segments, {discarded} cut off")
                })
                .collect()
        } else {
            format!(": {}", wrong.join("; "))
        };
        self.say(wrong.is_empty(), format!("{name}, {kept}{rest}"));
    }
}

struct Figures {
    recorded: u64,
    items: u64,
    discarded: u64,
    missing_ms: u64,
}

/// What the outside knew at the cut.
struct Told {
    committed: Tracks,
    made: Tracks,
    items: Tracks,
}

impl Told {
    fn of(cut: &Value, who: &str) -> Self {
        let tracks = |who: &str| Tracks::from_json(&cut["told"][who]).unwrap_or_default();
        Self {
            committed: tracks(who),
            made: tracks(&format!("{who} made")),
            items: tracks(&format!("{who} items")),
        }
    }

    fn compare(&self, found: &Value, segment_ms: u64) -> Result<Figures, Vec<String>> {
        if let Some(error) = found["error"].as_str() {
            return Err(vec![error.to_owned()]);
        }
        let (Some(recorded), Some(items), Some(discarded), Some(lost), Some(complaints)) = (
            Tracks::from_json(&found["recorded"]),
            Tracks::from_json(&found["items"]),
            Tracks::from_json(&found["discarded"]),
            found["lost"].as_array(),
            found["wrong"].as_array(),
        ) else {
            return Err(vec![format!("not understood: {found}")]);
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut wrong: Vec<_> = complaints.iter().map(text).collect();
        for (track, missing) in self.committed.without(&recorded) {
            wrong.push(format!(
                "{track}: {} segments that were told as committed are missing, the first {}",
                missing.len(),
                missing[0]
            ));
        }
        wrong.extend(broken_promises(&self.items, &items));
        if !lost.is_empty() || found["unreadable"] != 0 {
            wrong.push(format!(
                "{} committed segments lost, {} reels unreadable",
                lost.len(),
                found["unreadable"]
            ));
        }
        if discarded.count() != discarded_only(&discarded, &recorded) {
            wrong.push("some segments were told as cut off, and are there".to_owned());
        }
        let missing = self.made.without(&recorded);
        let most = missing.values().map(Vec::len).max().unwrap_or(0) as u64;
        let missing_ms = most * segment_ms;
        if missing_ms > MISSING_MS_MAX {
            wrong.push(format!("{missing_ms} ms of finished media are missing"));
        }
        if wrong.is_empty() {
            Ok(Figures {
                recorded: recorded.count(),
                items: items.numbers(KEPT).count() as u64,
                discarded: discarded.count(),
                missing_ms,
            })
        } else {
            Err(wrong)
        }
    }
}

fn discarded_only(discarded: &Tracks, recorded: &Tracks) -> u64 {
    let only = discarded.without(recorded);
    only.values().map(|msns| msns.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan(lie: Option<&str>) -> String {
        json!({
            "cut": 4, "at_ms": 100, "survival": "Writes", "sectors": 9, "kept_sectors": 3, "lie": lie,
            "told": {
                "driver": {"one/low": [[0, 20]]}, "driver made": {"one/low": [[0, 23]]},
                "driver items": {"kept": [[0, 5]], "removed": [[0, 4]]},
            }
        })
        .to_string()
    }

    fn found(who: &str, recorded: Value) -> Value {
        json!({
            "cut": 4, "who": who, "recorded": recorded, "items": {"kept": [[0, 5]]}, "discarded": {}, "lost": [], "unreadable": 0,
            "wrong": [],
        })
    }

    fn check(driver: &Value, lie: Option<&str>, failures: usize) {
        let perch = found("perch", json!({}));
        let verdict = judge(&plan(lie), &format!("{driver}\n{perch}\n"));
        assert_eq!(verdict.failures, failures, "{:?}", verdict.lines);
    }

    #[test]
    fn what_was_told_must_be_there_and_little_else_may_be_missing() {
        let with = |key: &str, value: Value| {
            let mut found = found("driver", json!({"one/low": [[0, 21]]}));
            found[key] = value;
            found
        };
        check(&with("discarded", json!({"one/low": [[22, 22]]})), None, 0);
        let kept_and_removed = json!({"kept": [[0, 6]], "removed": [[5, 5]]});
        check(&with("items", kept_and_removed), None, 0);
        check(&with("items", json!({"kept": [[0, 4]]})), None, 1);
        let back = json!({"kept": [[0, 5]], "removed": [[4, 4]]});
        check(&with("items", back), None, 1);
        check(&with("recorded", json!({"one/low": [[0, 19]]})), None, 1);
        check(&with("recorded", json!({"one/low": [[1, 30]]})), None, 1);
        check(&with("discarded", json!({"one/low": [[21, 22]]})), None, 1);
        check(&with("lost", json!(["one/low 20"])), None, 1);
        check(&with("unreadable", json!(1)), None, 1);
        check(
            &with("wrong", json!(["one/low 3: digest mismatch"])),
            None,
            1,
        );
        check(&with("error", json!("cannot be mounted")), None, 1);
        check(&with("who", json!("nobody")), None, 1);
    }

    #[test]
    fn more_than_two_seconds_missing_is_too_much() {
        let mut told: Value = serde_json::from_str(&plan(None)).expect("JSON");
        told["told"]["driver made"] = json!({"one/low": [[0, 29]]});
        let driver = found("driver", json!({"one/low": [[0, 21]]}));
        let perch = found("perch", json!({}));
        let results = format!("{driver}\n{perch}\n");
        assert_eq!(judge(&told.to_string(), &results).failures, 0);
        told["told"]["driver made"] = json!({"one/low": [[0, 30]]});
        assert_eq!(judge(&told.to_string(), &results).failures, 1);
    }

    #[test]
    fn a_lie_that_nobody_notices_is_a_failure_and_so_is_nothing_at_all() {
        let good = found("driver", json!({"one/low": [[0, 21]]}));
        let bad = found("driver", json!({"one/low": [[0, 2]]}));
        // A plan of nothing but lies looks at nothing, which is said as well.
        check(&good, Some("Flushes(3)"), 2);
        check(&bad, Some("Flushes(3)"), 1);
        assert_eq!(judge("", "").failures, 1);
    }
}
