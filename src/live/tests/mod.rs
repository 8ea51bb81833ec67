//! What live viewers rely on, on simulated time: blocking, hints, runs, shedding, sharing.

mod blocking;
mod player;
mod runs;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::base::Wall;
use crate::media::{
    FrameRate, InitSegment, Part, RenditionId, Rung, TrackParameters, VideoParameters,
};
use crate::playlist::{Directives, ReloadPosition};

const LOW: RenditionId = RenditionId::video(Rung::Low);
const HIGH: RenditionId = RenditionId::video(Rung::High);

fn init() -> Arc<InitSegment> {
    Arc::new(InitSegment {
        parameters: TrackParameters::Video(VideoParameters {
            avcc: Bytes::from_static(&[1, 0x42, 0xC0, 0x1F, 0xFF]),
            width: 854,
            height: 480,
            frame_rate: FrameRate::whole(30),
            bitrate_bps: 1_000_000,
        }),
        bytes: Bytes::from_static(b"header"),
    })
}

/// A camera in run 1 with two renditions.
fn camera() -> LiveCamera {
    let camera = LiveCamera::new(LiveOptions::default());
    camera.begin_run(1, true);
    camera.open_rendition(LOW, init());
    camera.open_rendition(HIGH, init());
    camera
}

fn part(msn: u64, index: u32) -> Part {
    Part {
        msn,
        index,
        start_ticks: msn * 180_000 + u64::from(index) * 30_000,
        duration_ticks: 30_000,
        independent: index == 0,
        last: index == 5,
        bytes: format!("{msn}.{index};").into(),
    }
}

fn publish(camera: &LiveCamera, id: RenditionId, msn: u64, index: u32) {
    let wall_start = Wall(1_763_712_000_000 + msn as i64 * 2_000);
    camera
        .publish(id, part(msn, index), wall_start)
        .expect("the part is in order");
}

fn publish_segments(camera: &LiveCamera, id: RenditionId, msns: std::ops::Range<u64>) {
    for msn in msns {
        for index in 0..6 {
            publish(camera, id, msn, index);
        }
    }
}

fn ask(msn: u64, part: impl Into<Option<u32>>) -> Directives {
    let part = part.into();
    Directives {
        position: Some(ReloadPosition { msn, part }),
        skip: false,
    }
}

async fn text(camera: &LiveCamera, id: RenditionId, directives: Directives) -> String {
    let body = camera.playlist(id, directives).await.expect("a playlist");
    String::from_utf8(body.plain.to_vec()).expect("playlists are UTF-8")
}

fn value<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(tag))
}

fn tokio_test<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(test)
}
