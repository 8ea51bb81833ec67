//! The pipeline's sound: its entrances and one AAC encoding a bitrate.

use std::sync::Arc;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};

use super::audio::{AacEntry, SoundFlow};
use super::graph::{Graph, codec_data, coded, make};
use super::options::EncodeError;
use super::outlet::Outlet;
use super::table::set_if_known;
use crate::media::AudioFormat;

impl Graph {
    /// The entrance for pushed sound, and the element that gives it.
    pub(super) fn sound_source(
        &self,
        format: AudioFormat,
    ) -> Result<(AppSrc, gst::Element), EncodeError> {
        let source = AppSrc::builder()
            .caps(&sound_caps("S16LE", format))
            .format(gst::Format::Time)
            .is_live(true)
            .build();
        let element = self.add(source.clone().upcast())?;
        Ok((source, element))
    }

    /// Sound that a device element fetches, in the format that is to be encoded.
    pub(super) fn device_sound(
        &self,
        device: &gst::Element,
        format: AudioFormat,
    ) -> Result<gst::Element, EncodeError> {
        let device = self.add(device.clone())?;
        let (convert, resample) = (
            self.add(make("audioconvert")?)?,
            self.add(make("audioresample")?)?,
        );
        let filter = self.caps_filter(&sound_caps("S16LE", format))?;
        // The encoders share the device's thread; the queue keeps a slow moment of theirs from the device.
        let queue = self.add(make("queue")?)?;
        self.link(&[&device, &convert, &resample, &filter, &queue])?;
        Ok(queue)
    }

    /// One AAC encoding a flow, all on the sound's own thread: together they take less than a tenth of the
    /// time that passes. `device_clock` is given for sound stamped by a device, on the pipeline's timeline
    /// instead of the run's.
    pub(super) fn sound(
        &self,
        raw: &gst::Element,
        entry: &AacEntry,
        format: AudioFormat,
        flows: &[(u32, Arc<SoundFlow>)],
        device_clock: Option<Arc<Outlet>>,
    ) -> Result<(), EncodeError> {
        let mut last = raw.clone();
        if entry.format != "S16LE" {
            let convert = self.add(make("audioconvert")?)?;
            let filter = self.caps_filter(&sound_caps(entry.format, format))?;
            self.link(&[&last, &convert, &filter])?;
            last = filter;
        }
        let tee = self.add(make("tee")?)?;
        self.link(&[&last, &tee])?;
        for (bitrate_bps, flow) in flows {
            let encoder = make(entry.element)?;
            for (name, value) in entry.fixed {
                set_if_known(&encoder, name, value);
            }
            set_if_known(&encoder, "bitrate", &bitrate_bps.to_string());
            let encoder = self.add(encoder)?;
            let sink = AppSink::builder()
                .caps(
                    &gst::Caps::builder("audio/mpeg")
                        .field("mpegversion", 4)
                        .field("stream-format", "raw")
                        .build(),
                )
                .sync(false)
                .async_(false)
                .enable_last_sample(false)
                .build();
            let element = self.add(sink.clone().upcast())?;
            self.link(&[&tee, &encoder, &element])?;
            let flow = Arc::clone(flow);
            let device_clock = device_clock.clone();
            sink.set_callbacks(
                AppSinkCallbacks::builder()
                    .new_sample(move |sink| {
                        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                        if let Some((ns, _, data)) = coded(&sample)
                            && let Some(ns) = since_first_picture(ns, sink, device_clock.as_deref())
                        {
                            flow.unit(ns, data, || codec_data(&sample));
                        }
                        Ok(gst::FlowSuccess::Ok)
                    })
                    .build(),
            );
        }
        Ok(())
    }
}

fn sound_caps(sample_format: &str, format: AudioFormat) -> gst::Caps {
    let mut caps = gst::Caps::builder("audio/x-raw")
        .field("format", sample_format)
        .field("rate", format.sample_rate as i32)
        .field("channels", i32::from(format.channels))
        .field("layout", "interleaved");
    if format.channels == 2 {
        caps = caps.field("channel-mask", gst::Bitmask(0x3));
    }
    caps.build()
}

/// Running time as time since the first picture; `None` while there has been none.
fn since_first_picture(ns: i64, sink: &AppSink, device_clock: Option<&Outlet>) -> Option<i64> {
    let Some(outlet) = device_clock else {
        return Some(ns);
    };
    let base = sink.base_time()?.nseconds() as i64;
    Some(ns + base - outlet.zero()?.0 as i64)
}
