//! What is wrong with the appliance, in words that say what to do.

use std::sync::Arc;

use super::camera::Camera;
use crate::media::{Rung, RungSpec};
use crate::serve::{CameraState, Health, HealthProblem};
use crate::store::{RecordingState, StoreStatus};

/// Sums up every camera and the store. `advances` says whether pictures come out where they should.
pub(crate) fn check(cameras: &[Arc<Camera>], store: &StoreStatus, advances: bool) -> Health {
    let conditions: Vec<_> = cameras
        .iter()
        .map(|c| (c.id.as_str(), c.condition()))
        .collect();
    let mut problems: Vec<_> = stand_still(advances)
        .into_iter()
        .chain(store_problem(store))
        .collect();
    for (id, condition) in &conditions {
        let code = match condition.state {
            CameraState::Vanished => "camera_vanished",
            CameraState::Failed => "camera_failed",
            CameraState::Starting | CameraState::Live => continue,
        };
        let reason = condition.reason.as_deref().unwrap_or("no reason is known");
        problems.push(HealthProblem {
            code,
            detail: format!("{id}: {reason}"),
        });
    }
    for (camera, (_, condition)) in cameras.iter().zip(&conditions) {
        let report = camera.encode_report().unwrap_or_default();
        let shed: Vec<_> = report
            .rungs
            .iter()
            .filter(|rung| !rung.running)
            .map(|rung| quality(rung.rung, &condition.ladder))
            .collect();
        if !shed.is_empty() {
            let detail = format!(
                "{}: {} paused, since the machine cannot encode every quality in time",
                camera.id,
                shed.join(", ")
            );
            problems.push(HealthProblem {
                code: "rungs_shed",
                detail,
            });
        }
    }
    let ready = conditions
        .iter()
        .any(|(_, condition)| condition.state == CameraState::Live);
    Health {
        live: advances,
        ready,
        problems,
    }
}

/// A rung as the page calls it, by its height: `720p`; by its own name where the ladder does not tell it.
fn quality(rung: Rung, ladder: &[RungSpec]) -> String {
    match ladder.iter().find(|spec| spec.rung == rung) {
        Some(spec) => format!("{}p", spec.height),
        None => rung.name().to_owned(),
    }
}

fn stand_still(advances: bool) -> Option<HealthProblem> {
    (!advances).then(|| HealthProblem {
        code: "no_progress",
        detail: "no camera delivers though one should; restart Perch if nothing does it by itself"
            .to_owned(),
    })
}

fn store_problem(store: &StoreStatus) -> Option<HealthProblem> {
    match &store.state {
        RecordingState::Recording => None,
        RecordingState::Paused { reason, since } => Some(HealthProblem {
            code: "recording_paused",
            detail: format!("nothing is recorded since {since}: {reason}"),
        }),
        RecordingState::Poisoned { reason } => Some(HealthProblem {
            code: "store_poisoned",
            detail: format!(
                "nothing is recorded any more: {reason}; check the disk, then restart Perch"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_appliance_whose_pictures_stand_still_is_not_live() {
        let store = StoreStatus::default();
        assert!(check(&[], &store, true).live);
        let health = check(&[], &store, false);
        assert!(!health.live);
        assert_eq!(health.problems[0].code, "no_progress");
    }
}
