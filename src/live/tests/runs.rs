//! Restarts of the encoder, shedding, and the end.

use super::*;

#[test]
fn restart_gives_a_discontinuity_and_a_new_header_and_msn_goes_on() {
    tokio_test(async {
        let camera = camera();
        publish_segments(&camera, LOW, 0..2);
        publish(&camera, LOW, 2, 0);
        camera.begin_run(2, true);
        camera.open_rendition(LOW, init());
        publish(&camera, LOW, 3, 0);
        let now = text(&camera, LOW, Directives::default()).await;
        assert!(now.contains(
            "#EXTINF:0.33333,\n2.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-2.mp4\"\n"
        ));
        assert_eq!(value(&now, "#EXT-X-DISCONTINUITY-SEQUENCE:"), Some("1"));
        assert!(camera.init(LOW, 1).is_some() && camera.init(LOW, 2).is_some());

        // It stays counted while the old run leaves, and then its header goes too.
        let (mut msn_before, mut count_before) = (0, 0);
        for msn in 3..25 {
            for index in u32::from(msn == 3)..6 {
                publish(&camera, LOW, msn, index);
            }
            let now = text(&camera, LOW, Directives::default()).await;
            let number = |tag| {
                value(&now, tag)
                    .expect("the tag")
                    .parse::<u64>()
                    .expect("a number")
            };
            let first = number("#EXT-X-MEDIA-SEQUENCE:");
            let count = number("#EXT-X-DISCONTINUITY-SEQUENCE:");
            let tags = now
                .lines()
                .filter(|line| *line == "#EXT-X-DISCONTINUITY")
                .count() as u64;
            assert!(first >= msn_before && count >= count_before);
            assert_eq!(count + tags, 2);
            (msn_before, count_before) = (first, count);
        }
        assert_eq!(count_before, 2);
        assert_eq!(camera.init(LOW, 1), None);
    });
}

#[test]
fn discontinuities_are_aligned_when_a_rendition_missed_a_run() {
    tokio_test(async {
        let camera = camera();
        publish_segments(&camera, LOW, 0..1);
        publish_segments(&camera, HIGH, 0..1);
        camera.begin_run(2, true);
        camera.open_rendition(LOW, init());
        publish_segments(&camera, LOW, 1..2);
        // A run that delivers nothing leaves no trace.
        camera.begin_run(3, true);
        camera.begin_run(4, true);
        for id in [LOW, HIGH] {
            camera.open_rendition(id, init());
        }
        publish_segments(&camera, LOW, 2..3);
        // It missed segment 1, so that its window starts anew, with the same count.
        publish_segments(&camera, HIGH, 2..3);
        let low = text(&camera, LOW, Directives::default()).await;
        assert_eq!(value(&low, "#EXT-X-DISCONTINUITY-SEQUENCE:"), Some("1"));
        assert_eq!(low.matches("#EXT-X-DISCONTINUITY\n").count(), 2);
        let high = text(&camera, HIGH, Directives::default()).await;
        assert_eq!(value(&high, "#EXT-X-DISCONTINUITY-SEQUENCE:"), Some("3"));
        assert_eq!(value(&high, "#EXT-X-MEDIA-SEQUENCE:"), Some("2"));
        assert_eq!(high.matches("#EXT-X-DISCONTINUITY\n").count(), 0);
    });
}

#[test]
fn a_shed_rendition_is_gone_until_it_opens_again_with_a_new_window() {
    tokio_test(async {
        let camera = camera();
        publish_segments(&camera, LOW, 0..3);
        publish_segments(&camera, HIGH, 0..3);
        let waiting = tokio::spawn({
            let camera = camera.clone();
            async move { camera.playlist(HIGH, ask(3, 0)).await }
        });
        tokio::task::yield_now().await;
        camera.close_rendition(HIGH);
        assert_eq!(waiting.await.expect("no panic"), Err(Refusal::Gone));
        assert_eq!(
            camera.playlist(HIGH, Directives::default()).await,
            Err(Refusal::Gone)
        );
        assert_eq!(camera.part(HIGH, 3, 0).await, Err(Refusal::Gone));
        assert!(
            camera.segment(HIGH, 2).is_some(),
            "a viewer in the middle of it may finish"
        );
        assert_eq!(camera.edge(HIGH), None);
        assert_eq!(camera.renditions(), [LOW]);
        let refused = camera.publish(HIGH, part(3, 0), Wall(0));
        assert_eq!(refused, Err(PublishError::NotOpen));
        let report = text(&camera, LOW, Directives::default()).await;
        assert!(!report.contains("REPORT"));

        publish_segments(&camera, LOW, 3..9);
        camera.open_rendition(HIGH, init());
        publish(&camera, HIGH, 9, 0);
        let high = text(&camera, HIGH, Directives::default()).await;
        assert_eq!(value(&high, "#EXT-X-MEDIA-SEQUENCE:"), Some("9"));
        assert!(!high.contains("#EXT-X-DISCONTINUITY\n"));
        assert_eq!(camera.segment(HIGH, 2), None);
    });
}

#[test]
fn the_multivariant_playlist_lists_open_renditions_and_is_shared() {
    let camera = LiveCamera::new(LiveOptions::default());
    assert_eq!(camera.multivariant(), None);
    camera.begin_run(1, true);
    camera.open_rendition(LOW, init());
    let count = |camera: &LiveCamera| {
        let body = camera.multivariant().expect("a rendition is open");
        let text = String::from_utf8(body.plain.to_vec()).expect("UTF-8");
        text.matches("#EXT-X-STREAM-INF").count()
    };
    assert_eq!(count(&camera), 1);
    camera.open_rendition(HIGH, init());
    assert_eq!(count(&camera), 2);
    let (one, other) = (camera.multivariant(), camera.multivariant());
    assert!(Arc::ptr_eq(&one.expect("open"), &other.expect("open")));
    camera.close_rendition(LOW);
    assert_eq!(count(&camera), 1);
    camera.close_rendition(HIGH);
    assert_eq!(camera.multivariant(), None);
}

#[test]
fn a_viewer_who_waits_for_the_start_is_shown_everything_that_opens() {
    tokio_test(async {
        let camera = LiveCamera::new(LiveOptions::default());
        camera.expect(vec![LOW, HIGH]);
        let started = tokio::time::Instant::now();
        let waiting = tokio::spawn({
            let camera = camera.clone();
            async move { camera.wait_multivariant().await }
        });
        let apart = Duration::from_millis(20);
        tokio::time::sleep(apart).await;
        camera.begin_run(1, true);
        camera.open_rendition(LOW, init());
        tokio::time::sleep(apart).await;
        camera.open_rendition(HIGH, init());
        let body = waiting.await.expect("no panic").expect("a playlist");
        let text = String::from_utf8(body.plain.to_vec()).expect("UTF-8");
        assert_eq!(text.matches("#EXT-X-STREAM-INF").count(), 2);
        assert_eq!(started.elapsed(), apart * 2);
    });
}

#[test]
fn a_rendition_that_does_not_open_keeps_viewers_for_a_second_and_then_nobody() {
    tokio_test(async {
        let camera = LiveCamera::new(LiveOptions::default());
        camera.expect(vec![LOW, HIGH]);
        camera.begin_run(1, true);
        camera.open_rendition(LOW, init());
        for expected_ms in [1_000, 0] {
            let started = tokio::time::Instant::now();
            assert!(camera.wait_multivariant().await.is_ok());
            assert_eq!(started.elapsed().as_millis(), expected_ms);
        }
        camera.close_rendition(LOW);
        assert_eq!(camera.wait_multivariant().await, Err(Refusal::Stalled));
    });
}

#[test]
fn an_ended_source_lets_everybody_go() {
    tokio_test(async {
        let camera = camera();
        publish(&camera, LOW, 0, 0);
        let waiting = tokio::spawn({
            let camera = camera.clone();
            async move { text(&camera, LOW, ask(0, 1)).await }
        });
        tokio::task::yield_now().await;
        camera.end();
        assert!(
            waiting
                .await
                .expect("no panic")
                .ends_with("0.m4s\n#EXT-X-ENDLIST\n")
        );
        assert!(camera.playlist(LOW, ask(90, 0)).await.is_ok());
        assert_eq!(camera.part(LOW, 1, 0).await, Err(Refusal::NotFound));
    });
}

#[test]
fn parts_out_of_order_are_refused_and_change_nothing() {
    let camera = camera();
    let check = |msn, index| {
        let refused = camera.publish(LOW, part(msn, index), Wall(0));
        assert_eq!(refused, Err(PublishError::OutOfOrder { msn, index }));
    };
    check(5, 1);
    publish(&camera, LOW, 5, 0);
    let before = camera.edge(LOW);
    check(5, 0);
    check(5, 2);
    check(4, 0);
    check(6, 1);
    assert_eq!(camera.edge(LOW), before);
    publish(&camera, LOW, 5, 1);
}
