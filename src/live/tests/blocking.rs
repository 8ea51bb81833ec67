//! Requests that wait, and those that must not.

use std::io::Read;

use super::*;
use crate::playlist::ReloadError;

#[test]
fn a_blocking_reply_has_the_part_that_was_asked_for() {
    tokio_test(async {
        let camera = camera();
        publish_segments(&camera, LOW, 0..3);
        let viewers: Vec<_> = (0..50)
            .map(|_| {
                let camera = camera.clone();
                tokio::spawn(async move { camera.playlist(LOW, ask(3, 1)).await })
            })
            .collect();
        tokio::task::yield_now().await;
        publish(&camera, LOW, 3, 0);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(viewers.iter().all(|viewer| !viewer.is_finished()));
        publish(&camera, LOW, 3, 1);
        let mut bodies = Vec::new();
        for viewer in viewers {
            bodies.push(viewer.await.expect("no panic").expect("a playlist").plain);
        }
        let text = String::from_utf8(bodies[0].to_vec()).expect("UTF-8");
        assert!(text.contains("URI=\"3.1.m4s\""));
        assert!(text.contains("PRELOAD-HINT:TYPE=PART,URI=\"3.2.m4s\""));
        // Rendered once: all share the same bytes.
        assert!(
            bodies
                .iter()
                .all(|body| body.as_ptr() == bodies[0].as_ptr())
        );
    });
}

#[test]
fn a_stalled_encoder_is_said_after_three_target_durations() {
    tokio_test(async {
        let camera = camera();
        let begun = tokio::time::Instant::now();
        assert_eq!(
            camera.playlist(LOW, Directives::default()).await,
            Err(Refusal::Stalled)
        );
        publish_segments(&camera, LOW, 0..3);
        assert_eq!(camera.playlist(LOW, ask(3, 0)).await, Err(Refusal::Stalled));
        assert_eq!(camera.part(LOW, 3, 0).await, Err(Refusal::Stalled));
        assert_eq!(begun.elapsed(), Duration::from_secs(18));
    });
}

#[test]
fn what_is_old_or_absurd_is_answered_at_once() {
    tokio_test(async {
        let camera = camera();
        publish_segments(&camera, LOW, 0..30);
        let begun = tokio::time::Instant::now();
        assert!(camera.playlist(LOW, ask(2, 3)).await.is_ok());
        assert!(camera.playlist(LOW, ask(28, 6)).await.is_ok());
        let error = ReloadError::MsnTooFarAhead {
            msn: 32,
            newest: 29,
        };
        assert_eq!(
            camera.playlist(LOW, ask(32, None)).await,
            Err(Refusal::BadRequest(error))
        );
        let error = ReloadError::PartTooFarAhead { part: 15 };
        assert_eq!(
            camera.playlist(LOW, ask(29, 15)).await,
            Err(Refusal::BadRequest(error))
        );
        let absent = RenditionId::audio(Rung::Low);
        assert_eq!(
            camera.playlist(absent, ask(0, 0)).await,
            Err(Refusal::NotFound)
        );
        assert_eq!(begun.elapsed(), Duration::ZERO);
    });
}

#[test]
fn a_part_past_the_end_is_answered_with_the_next_segments_first() {
    tokio_test(async {
        let camera = camera();
        publish_segments(&camera, LOW, 0..3);
        let viewer = tokio::spawn({
            let camera = camera.clone();
            async move { text(&camera, LOW, ask(2, 6)).await }
        });
        tokio::task::yield_now().await;
        assert!(!viewer.is_finished());
        publish(&camera, LOW, 3, 0);
        assert!(viewer.await.expect("no panic").contains("3.0.m4s"));
    });
}

#[test]
fn the_hinted_part_is_held_and_then_whole_any_other_is_not_found() {
    tokio_test(async {
        let camera = camera();
        publish_segments(&camera, LOW, 0..2);
        let viewer = tokio::spawn({
            let camera = camera.clone();
            async move { camera.part(LOW, 2, 0).await }
        });
        tokio::task::yield_now().await;
        assert!(!viewer.is_finished());
        for (msn, index) in [(2, 1), (3, 0), (1, 6), (99, 0)] {
            assert_eq!(camera.part(LOW, msn, index).await, Err(Refusal::NotFound));
        }
        publish(&camera, LOW, 2, 0);
        assert_eq!(
            viewer.await.expect("no panic"),
            Ok(Bytes::from_static(b"2.0;"))
        );
    });
}

#[test]
fn a_hint_that_its_run_did_not_keep_is_not_found() {
    tokio_test(async {
        let camera = camera();
        publish(&camera, LOW, 0, 0);
        let viewer = tokio::spawn({
            let camera = camera.clone();
            async move { camera.part(LOW, 0, 1).await }
        });
        tokio::task::yield_now().await;
        camera.begin_run(2, true);
        assert_eq!(viewer.await.expect("no panic"), Err(Refusal::NotFound));
    });
}

#[test]
fn parts_in_order_are_the_segment_and_outlive_their_listing() {
    tokio_test(async {
        let camera = camera();
        publish_segments(&camera, LOW, 0..20);
        publish(&camera, LOW, 20, 0);
        let text = text(&camera, LOW, Directives::default()).await;
        assert_eq!(value(&text, "#EXT-X-MEDIA-SEQUENCE:"), Some("12"));
        // Three target durations after it left the playlist it can still be fetched.
        for msn in 9..20 {
            let segment = camera.segment(LOW, msn).expect("still there").concat();
            let mut parts = Vec::new();
            for index in 0..6 {
                parts.extend(camera.part(LOW, msn, index).await.expect("still there"));
            }
            assert_eq!(segment, parts);
        }
        assert_eq!(camera.segment(LOW, 8), None);
        assert_eq!(camera.segment(LOW, 20), None, "it is still open");
        assert_eq!(camera.segment(LOW, 21), None);
    });
}

#[test]
fn rendition_reports_are_current_even_when_only_the_other_moved() {
    tokio_test(async {
        let camera = camera();
        publish(&camera, LOW, 0, 0);
        publish(&camera, HIGH, 0, 0);
        let report = "#EXT-X-RENDITION-REPORT:URI=\"../high/index.m3u8\",";
        let before = text(&camera, LOW, Directives::default()).await;
        assert_eq!(value(&before, report), Some("LAST-MSN=0,LAST-PART=0"));
        publish(&camera, HIGH, 0, 1);
        let after = text(&camera, LOW, Directives::default()).await;
        assert_eq!(value(&after, report), Some("LAST-MSN=0,LAST-PART=1"));
    });
}

#[test]
fn gzip_holds_the_same_text() {
    tokio_test(async {
        let camera = camera();
        publish_segments(&camera, LOW, 0..15);
        for skip in [false, true] {
            let directives = Directives {
                skip,
                ..Directives::default()
            };
            let body = camera.playlist(LOW, directives).await.expect("a playlist");
            let mut plain = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(&body.gzip[..]);
            decoder.read_to_end(&mut plain).expect("a gzip member");
            assert_eq!(plain, body.plain);
            assert!(body.gzip.len() * 3 < plain.len());
            let has_skip = value(std::str::from_utf8(&plain).expect("UTF-8"), "#EXT-X-SKIP:");
            assert_eq!(has_skip.is_some(), skip);
        }
    });
}
