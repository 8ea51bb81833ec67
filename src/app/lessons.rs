//! What one camera's next run does differently after what ended the last one: it goes without sound for a while, with
//! another encoder, or encodes the camera's own H.264 again. Knows no run; its supervisor tells it how they end.

use std::time::{Duration, Instant};

use crate::base::CameraId;
use crate::encode::{Culprit, OwnH264};

/// Sound that failed is left alone this long, and tried by the first run after that.
const SOUND_REST: Duration = Duration::from_secs(60);
/// Each time that it fails again within an hour it is left alone twice as long, up to a day: each try may cost the
/// recording some seconds.
const SOUND_PROBATION: Duration = Duration::from_secs(60 * 60);
const SOUND_REST_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// A hardware encoder that fails within its first seconds fails for good: it passed its trial alone and cannot take
/// the whole ladder, or not beside another camera's. One that fails later deserves another try.
const ENCODER_PROBATION: Duration = Duration::from_secs(10);

/// What was learned. Nothing of it outlives the process.
#[derive(Debug, Default)]
pub(crate) struct Lessons {
    own_h264: OwnH264,
    sound_failed_at: Option<Instant>,
    /// How long sound is left alone since then.
    sound_rest: Duration,
    /// The run under way was started for the sake of its sound, and has delivered nothing yet.
    seeks_sound: bool,
    distrusted: Vec<String>,
}

impl Lessons {
    /// What the next run does with the camera's own H.264.
    pub(crate) fn own_h264(&self) -> OwnH264 {
        self.own_h264
    }

    /// Whether a run that starts `now` tries to have sound.
    pub(crate) fn wants_sound(&self, now: Instant) -> bool {
        self.sound_failed_at
            .is_none_or(|at| now.duration_since(at) >= self.sound_rest)
    }

    /// Factories of encoders to be taken only if there is no other.
    pub(crate) fn distrusted(&self) -> &[String] {
        &self.distrusted
    }

    /// The next run is started for the sake of its sound.
    pub(crate) fn seek_sound(&mut self) {
        self.seeks_sound = true;
    }

    /// The run under way delivers.
    pub(crate) fn note_delivery(&mut self) {
        self.seeks_sound = false;
    }

    /// Takes what ended a run that had lasted `ran_for`, if anything of what is known. Returns whether the next one avoids
    /// it, and so may begin at once.
    pub(crate) fn learn(
        &mut self,
        camera: &CameraId,
        culprit: Option<&Culprit>,
        reason: &str,
        ran_for: Duration,
        now: Instant,
    ) -> bool {
        if std::mem::take(&mut self.seeks_sound) {
            tracing::warn!(
                %camera, reason,
                "the camera ran without its microphone and does not start with it; it goes on without for a day"
            );
            (self.sound_failed_at, self.sound_rest) = (Some(now), SOUND_REST_MAX);
            return true;
        }
        let Some(culprit) = culprit else {
            return false;
        };
        match culprit {
            Culprit::Sound { device } if self.wants_sound(now) => {
                tracing::warn!(
                    %camera, device, reason,
                    "the microphone fails; the pictures go on without sound, which is tried again in a while. See \
                     that no other program uses it, or set `microphone = \"off\"`"
                );
                self.sound_failed_at = Some(now);
                // What does not even start may never do.
                let factor = if ran_for.is_zero() { 60 } else { 2 };
                self.sound_rest = if ran_for < SOUND_PROBATION {
                    (self.sound_rest * factor).clamp(SOUND_REST, SOUND_REST_MAX)
                } else {
                    SOUND_REST
                };
                true
            }
            Culprit::Encoder { factory }
                if ran_for < ENCODER_PROBATION && !self.distrusted.contains(factory) =>
            {
                tracing::warn!(
                    %camera, encoder = factory, reason,
                    "this encoder passed its trial but fails with this camera, which gets the next best one until \
                     Perch is started again"
                );
                self.distrusted.push(factory.clone());
                true
            }
            Culprit::OwnH264 if self.own_h264 == OwnH264::Keep => {
                tracing::warn!(%camera, reason, "the camera's own H.264 is not kept");
                self.own_h264 = OwnH264::EncodeAgain;
                true
            }
            Culprit::Drift => {
                tracing::info!(%camera, reason, "a new run begins");
                true
            }
            _ => false,
        }
    }

    /// The camera was plugged in, and may be another or set otherwise. Encoders are not the camera's.
    pub(crate) fn forget_camera(&mut self) {
        self.own_h264 = OwnH264::Keep;
        self.sound_failed_at = None;
        self.sound_rest = Duration::ZERO;
        self.seeks_sound = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(2);

    fn learn(lessons: &mut Lessons, culprit: &Culprit, ran_for: Duration, now: Instant) -> bool {
        let camera = CameraId::from_description("cam");
        lessons.learn(&camera, Some(culprit), "it broke", ran_for, now)
    }

    #[test]
    fn a_camera_that_does_not_start_with_its_microphone_goes_on_without() {
        let (mut lessons, start) = (Lessons::default(), Instant::now());
        let camera = CameraId::from_description("cam");
        let fail =
            |lessons: &mut Lessons| lessons.learn(&camera, None, "no room on the bus", SOON, start);
        assert!(!fail(&mut lessons));
        lessons.seek_sound();
        lessons.note_delivery();
        assert!(!fail(&mut lessons), "it had delivered with it");
        lessons.seek_sound();
        assert!(fail(&mut lessons));
        assert!(!lessons.wants_sound(start + SOUND_REST_MAX - SOON));
        assert!(lessons.wants_sound(start + SOUND_REST_MAX));
        lessons.seek_sound();
        lessons.forget_camera();
        assert!(!fail(&mut lessons) && lessons.wants_sound(start));
    }

    #[test]
    fn sound_that_does_not_even_start_is_soon_tried_once_a_day() {
        let (mut lessons, mut now) = (Lessons::default(), Instant::now());
        let sound = Culprit::Sound {
            device: "hw:CARD=Mic".to_owned(),
        };
        for rest_s in [60, 60 * 60, 24 * 60 * 60] {
            assert!(learn(&mut lessons, &sound, Duration::ZERO, now));
            let rest = Duration::from_secs(rest_s);
            assert!(!lessons.wants_sound(now + rest - SOON));
            now += rest;
            assert!(lessons.wants_sound(now));
        }
    }

    #[test]
    fn a_microphone_that_fails_is_left_out_for_a_minute() {
        let (mut lessons, start) = (Lessons::default(), Instant::now());
        let sound = Culprit::Sound {
            device: "hw:CARD=Mic".to_owned(),
        };
        let at = |s| start + Duration::from_secs(s);
        assert!(lessons.wants_sound(start));
        assert!(learn(&mut lessons, &sound, SOON, start));
        assert!(!lessons.wants_sound(at(59)));
        assert!(lessons.wants_sound(at(60)));
        assert!(learn(&mut lessons, &sound, SOON, at(60)));
        assert!(!lessons.wants_sound(at(100)));
        lessons.forget_camera();
        assert!(lessons.wants_sound(at(100)), "it was plugged in again");
    }

    #[test]
    fn a_microphone_that_fails_again_and_again_is_tried_ever_more_rarely() {
        let (mut lessons, mut now) = (Lessons::default(), Instant::now());
        let sound = Culprit::Sound {
            device: "hw:CARD=Mic".to_owned(),
        };
        let mut fail = |ran_for, rest_s| {
            assert!(learn(&mut lessons, &sound, ran_for, now));
            let rest = Duration::from_secs(rest_s);
            assert!(!lessons.wants_sound(now + rest - Duration::from_secs(1)));
            now += rest;
            assert!(lessons.wants_sound(now));
        };
        for rest_s in [60, 120, 240, 480] {
            fail(SOON, rest_s);
        }
        fail(Duration::from_secs(7_200), 60);
        for rest_s in (1..11).map(|n| 60_u64 << n) {
            fail(SOON, rest_s);
        }
        fail(SOON, 24 * 60 * 60);
        fail(SOON, 24 * 60 * 60);
    }

    #[test]
    fn an_encoder_that_fails_at_once_is_taken_last_from_then_on() {
        let (mut lessons, now) = (Lessons::default(), Instant::now());
        let encoder = Culprit::Encoder {
            factory: "v4l2h264enc".to_owned(),
        };
        assert!(!learn(
            &mut lessons,
            &encoder,
            Duration::from_secs(3_600),
            now
        ));
        assert!(lessons.distrusted().is_empty());
        assert!(learn(&mut lessons, &encoder, SOON, now));
        assert_eq!(lessons.distrusted(), ["v4l2h264enc"]);
        assert!(
            !learn(&mut lessons, &encoder, SOON, now),
            "there was no other: the camera rests before the next try"
        );
        lessons.forget_camera();
        assert_eq!(lessons.distrusted(), ["v4l2h264enc"]);
    }

    #[test]
    fn a_stream_that_was_refused_gets_another_chance_with_the_next_plug() {
        let (mut lessons, now) = (Lessons::default(), Instant::now());
        assert!(learn(&mut lessons, &Culprit::Drift, SOON, now));
        assert!(
            !learn(&mut lessons, &Culprit::Camera, SOON, now),
            "one that is gone rests before the next try"
        );
        assert_eq!(lessons.own_h264(), OwnH264::Keep);
        assert!(learn(&mut lessons, &Culprit::OwnH264, SOON, now));
        assert_eq!(lessons.own_h264(), OwnH264::EncodeAgain);
        lessons.forget_camera();
        assert_eq!(lessons.own_h264(), OwnH264::Keep);
    }
}
