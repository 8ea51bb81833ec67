//! The H.264 encoders that Perch knows, best first, and what each wants to be told. Data and one function
//! that applies it; whether an encoder works on this machine is found out by the trial.

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

use crate::media::{FrameRate, RungSpec};

/// How an encoder takes its bitrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitrateUnit {
    /// Bits a second.
    Bits,
    /// Thousands of bits a second.
    Kilobits,
}

/// How an encoder is told a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knob {
    /// A property of the element.
    Property(&'static str),
    /// A V4L2 control, passed through the property `extra-controls`.
    Control(&'static str),
}

/// One encoder of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct EncoderEntry {
    /// Element name. Second devices are named after it with a device in between (`v4l2video12h264enc`).
    pub element: &'static str,
    /// Where it is found, for people.
    pub boards: &'static str,
    /// Unit of the bitrate.
    pub bitrate_unit: BitrateUnit,
    /// Where bitrates are set.
    pub bitrate: &'static [Knob],
    /// Where the distance between keyframes, in pictures, is set.
    pub gop: &'static [Knob],
    /// Further properties, as GStreamer reads them; those that this version does not know are left out.
    pub fixed: &'static [(&'static str, &'static str)],
    /// Further V4L2 controls.
    pub controls: &'static [(&'static str, &'static str)],
    /// Raw formats it takes, or what stands before it, best first: of those that the scaler takes, at least one. What a
    /// source has in another is converted to the first, with which the encoder is tried.
    pub formats: &'static [&'static str],
    /// What must stand before it to bring pictures into its memory.
    pub upload: Option<&'static str>,
    /// What its output caps must say.
    pub output: &'static str,
    /// What is known to go wrong, for people.
    pub traps: &'static str,
}

impl EncoderEntry {
    /// Whether `factory` is this element, or the same on a further device: `v4l2video12h264enc`,
    /// `varenderD129h264enc`, `nvh264device1enc`.
    pub(super) fn matches(&self, factory: &str) -> bool {
        if factory == self.element {
            return true;
        }
        ["video", "renderD", "device"].iter().any(|device| {
            let Some((before, after)) = factory.split_once(device) else {
                return false;
            };
            let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            rest.len() < after.len() && self.element.strip_prefix(before) == Some(rest)
        })
    }

    /// Whether it encodes on the processor.
    pub fn is_software(&self) -> bool {
        matches!(self.element, "x264enc" | "openh264enc")
    }
}

/// An encoder of the table as it was found on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderChoice {
    /// What the table says.
    pub entry: &'static EncoderEntry,
    /// Name of the element's factory.
    pub factory: String,
}

impl EncoderChoice {
    /// The encoder with this element name, on its first device. `None` if the table has no such name.
    pub fn named(element: &str) -> Option<Self> {
        let entry = TABLE.iter().find(|entry| entry.element == element)?;
        Some(Self {
            entry,
            factory: element.to_owned(),
        })
    }

    /// The software encoder that every machine can run.
    pub fn software() -> Self {
        Self::named("x264enc").expect("the table ends with software")
    }
}

use BitrateUnit::{Bits, Kilobits};
use Knob::{Control, Property};

/// Our order of preference, not GStreamer's rank.
pub const TABLE: &[EncoderEntry] = &[
    EncoderEntry {
        element: "nvv4l2h264enc",
        boards: "Jetson Orin NX, AGX",
        bitrate_unit: Bits,
        bitrate: &[Property("bitrate")],
        gop: &[Property("iframeinterval"), Property("idrinterval")],
        fixed: &[
            ("insert-sps-pps", "true"),
            ("control-rate", "1"),
            ("num-B-Frames", "0"),
            ("maxperf-enable", "true"),
        ],
        controls: &[],
        // What nvvidconv takes.
        formats: &["NV12", "I420"],
        upload: Some("nvvidconv"),
        output: "video/x-h264,stream-format=byte-stream,profile=main",
        traps: "the Orin Nano has the element but no encoder",
    },
    EncoderEntry {
        element: "mpph264enc",
        boards: "RK3588, RK3566",
        bitrate_unit: Bits,
        bitrate: &[Property("bps"), Property("bps-max"), Property("bps-min")],
        gop: &[Property("gop")],
        fixed: &[
            ("rc-mode", "cbr"),
            ("header-mode", "each-idr"),
            ("profile", "main"),
        ],
        controls: &[],
        formats: &["NV12", "I420"],
        upload: None,
        output: "video/x-h264,stream-format=byte-stream",
        traps: "some versions give heights that 16 does not divide, such as 1080, a green bar",
    },
    EncoderEntry {
        element: "v4l2h264enc",
        boards: "Raspberry Pi 4, CM4, vendor drivers",
        bitrate_unit: Bits,
        bitrate: &[Control("video_bitrate")],
        gop: &[Control("h264_i_frame_period")],
        fixed: &[],
        controls: &[("repeat_sequence_header", "1"), ("video_bitrate_mode", "1")],
        formats: &["NV12", "I420"],
        upload: None,
        // Without a level in the caps the Raspberry Pi's driver stalls on 1080p.
        output: "video/x-h264,stream-format=byte-stream,profile=main,level=(string)4",
        traps: "forced keyframes are missing in GStreamer 1.22.0; 25 Mb/s and more fail",
    },
    EncoderEntry {
        element: "vpuenc_h264",
        boards: "i.MX8M Plus with NXP's own system",
        bitrate_unit: Kilobits,
        bitrate: &[Property("bitrate")],
        gop: &[Property("gop-size")],
        fixed: &[],
        controls: &[],
        formats: &["NV12"],
        upload: None,
        output: "video/x-h264,stream-format=byte-stream",
        traps: "only with the vendor's kernel",
    },
    EncoderEntry {
        element: "vah264enc",
        boards: "x86 with VA-API",
        bitrate_unit: Kilobits,
        bitrate: &[Property("bitrate")],
        gop: &[Property("key-int-max")],
        fixed: &[("rate-control", "cbr"), ("b-frames", "0"), ("aud", "false")],
        controls: &[],
        formats: &["NV12"],
        upload: None,
        output: "video/x-h264,stream-format=byte-stream,profile=main",
        traps: "",
    },
    EncoderEntry {
        element: "vah264lpenc",
        boards: "x86 with VA-API, low power",
        bitrate_unit: Kilobits,
        bitrate: &[Property("bitrate")],
        gop: &[Property("key-int-max")],
        fixed: &[("rate-control", "cbr"), ("b-frames", "0"), ("aud", "false")],
        controls: &[],
        formats: &["NV12"],
        upload: None,
        output: "video/x-h264,stream-format=byte-stream,profile=main",
        traps: "rate control needs the HuC firmware",
    },
    EncoderEntry {
        element: "qsvh264enc",
        boards: "x86 with Intel Quick Sync",
        bitrate_unit: Kilobits,
        bitrate: &[Property("bitrate")],
        gop: &[Property("gop-size"), Property("idr-interval")],
        fixed: &[("rate-control", "cbr"), ("b-frames", "0")],
        controls: &[],
        formats: &["NV12"],
        upload: None,
        output: "video/x-h264,stream-format=byte-stream,profile=main",
        traps: "",
    },
    EncoderEntry {
        element: "nvh264enc",
        boards: "x86 with an NVIDIA card",
        bitrate_unit: Kilobits,
        bitrate: &[Property("bitrate")],
        gop: &[Property("gop-size")],
        fixed: &[
            ("rc-mode", "cbr"),
            ("zerolatency", "true"),
            ("bframes", "0"),
        ],
        controls: &[],
        formats: &["NV12", "I420"],
        upload: None,
        output: "video/x-h264,stream-format=byte-stream,profile=main",
        traps: "data-centre cards have no encoder",
    },
    EncoderEntry {
        element: "x264enc",
        boards: "any processor",
        bitrate_unit: Kilobits,
        bitrate: &[Property("bitrate")],
        gop: &[Property("key-int-max")],
        fixed: &[
            ("speed-preset", "superfast"),
            ("tune", "zerolatency"),
            // One thread a rung: slices cost bits, and the rungs already fill the cores.
            ("threads", "1"),
            ("bframes", "0"),
            ("aud", "false"),
            ("vbv-buf-capacity", "1000"),
            ("option-string", "scenecut=0"),
        ],
        controls: &[],
        formats: &["I420", "NV12"],
        upload: None,
        output: "video/x-h264,stream-format=avc,profile=main",
        traps: "",
    },
    EncoderEntry {
        element: "openh264enc",
        boards: "any processor, where x264 is missing",
        bitrate_unit: Bits,
        bitrate: &[Property("bitrate"), Property("max-bitrate")],
        gop: &[Property("gop-size")],
        fixed: &[
            ("rate-control", "bitrate"),
            ("complexity", "low"),
            ("multi-thread", "1"),
            ("scene-change-detection", "false"),
        ],
        controls: &[],
        formats: &["I420"],
        upload: None,
        output: "video/x-h264,stream-format=byte-stream,profile=constrained-baseline",
        traps: "",
    },
];

/// Tells an encoder what a rung asks for. Properties that this version of it does not have are left out;
/// the trial shows whether it can do without.
pub(super) fn configure(
    element: &gst::Element,
    entry: &EncoderEntry,
    spec: &RungSpec,
    rate: FrameRate,
) {
    for (name, value) in entry.fixed {
        set_if_known(element, name, value);
    }
    let bitrate = match entry.bitrate_unit {
        Bits => spec.video_bitrate_bps,
        Kilobits => spec.video_bitrate_bps / 1_000,
    };
    let gop = (rate.as_f64() * 2.0).round() as u32;
    let mut controls: Vec<String> = entry
        .controls
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let knobs = entry.bitrate.iter().map(|knob| (knob, bitrate));
    for (knob, value) in knobs.chain(entry.gop.iter().map(|knob| (knob, gop))) {
        match knob {
            Property(name) => set_if_known(element, name, &value.to_string()),
            Control(name) => controls.push(format!("{name}={value}")),
        }
    }
    if !controls.is_empty() {
        set_if_known(
            element,
            "extra-controls",
            &format!("controls,{}", controls.join(",")),
        );
    }
}

/// Sets a property from its text form if the element has it and takes the value; a number that is too large or too
/// small becomes the nearest that it takes.
pub(super) fn set_if_known(element: &gst::Element, name: &str, text: &str) {
    let writable = |spec: &glib::ParamSpec| {
        spec.flags().contains(glib::ParamFlags::WRITABLE)
            && !spec.flags().contains(glib::ParamFlags::CONSTRUCT_ONLY)
    };
    let Some(spec) = element.find_property(name).filter(writable) else {
        tracing::debug!(element = %element.name(), property = name, "this version has no such property");
        return;
    };
    match glib::Value::deserialize_with_pspec(text, &spec) {
        Ok(value) => {
            let taken = nearest(value.clone(), &spec);
            if let (Ok(asked), Ok(taken)) = (value.serialize(), taken.serialize())
                && asked != taken
            {
                tracing::warn!(element = %element.name(), property = name, %asked, %taken, "beyond what it takes");
            }
            element.set_property_from_value(name, &taken);
        }
        Err(_) => {
            tracing::warn!(element = %element.name(), property = name, value = text, "value not understood")
        }
    }
}

/// A number within the bounds of its property, whose setter would panic at any other.
fn nearest(value: glib::Value, spec: &glib::ParamSpec) -> glib::Value {
    fn clamp<T: Ord + Copy>(number: T, minimum: T, maximum: T) -> T {
        number.max(minimum).min(maximum)
    }
    if let (Some(spec), Ok(n)) = (spec.downcast_ref::<glib::ParamSpecUInt>(), value.get()) {
        clamp::<u32>(n, spec.minimum(), spec.maximum()).to_value()
    } else if let (Some(spec), Ok(n)) = (spec.downcast_ref::<glib::ParamSpecInt>(), value.get()) {
        clamp::<i32>(n, spec.minimum(), spec.maximum()).to_value()
    } else if let (Some(spec), Ok(n)) = (spec.downcast_ref::<glib::ParamSpecInt64>(), value.get()) {
        clamp::<i64>(n, spec.minimum(), spec.maximum()).to_value()
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::LADDER;

    #[test]
    fn the_table_ends_with_what_every_machine_can_run() {
        let software: Vec<_> = TABLE.iter().filter(|entry| entry.is_software()).collect();
        assert_eq!(software.len(), 2);
        assert_eq!(TABLE.last().map(|entry| entry.element), Some("openh264enc"));
        assert_eq!(EncoderChoice::software().factory, "x264enc");
        assert_eq!(EncoderChoice::named("vp8enc"), None);
    }

    #[test]
    fn every_encoder_takes_what_the_scaler_makes() {
        for entry in TABLE {
            assert!(!entry.formats.is_empty(), "{}", entry.element);
            for format in entry.formats {
                assert!(["I420", "NV12"].contains(format), "{format}");
            }
        }
    }

    #[test]
    fn every_setting_of_the_software_encoders_is_understood() {
        gst::init().expect("GStreamer starts");
        for entry in TABLE.iter().filter(|entry| entry.is_software()) {
            let Ok(element) = gst::ElementFactory::make(entry.element).build() else {
                continue;
            };
            for (name, text) in entry.fixed {
                let spec = element.find_property(name).expect(name);
                assert!(
                    glib::Value::deserialize_with_pspec(text, &spec).is_ok(),
                    "{name}={text}"
                );
            }
            configure(&element, entry, &LADDER[3], FrameRate::whole(30));
            let expected = if entry.bitrate_unit == Bits {
                4_000_000
            } else {
                4_000
            };
            assert_eq!(element.property::<u32>("bitrate"), expected);
        }
    }

    #[test]
    fn a_number_that_an_element_does_not_take_becomes_the_nearest() {
        gst::init().expect("GStreamer starts");
        let queue = gst::ElementFactory::make("queue")
            .build()
            .expect("a core element");
        set_if_known(&queue, "min-threshold-buffers", "7");
        assert_eq!(queue.property::<u32>("min-threshold-buffers"), 7);
        let identity = gst::ElementFactory::make("identity")
            .build()
            .expect("a core element");
        // It takes -1 and more.
        set_if_known(&identity, "error-after", "-5");
        assert_eq!(identity.property::<i32>("error-after"), -1);
        // Read-only, unknown, and not a number.
        set_if_known(&queue, "current-level-buffers", "5");
        set_if_known(&queue, "no-such-property", "5");
        set_if_known(&queue, "min-threshold-buffers", "many");
        assert_eq!(queue.property::<u32>("min-threshold-buffers"), 7);
        if let Ok(aac) = gst::ElementFactory::make("voaacenc").build() {
            set_if_known(&aac, "bitrate", "512000");
            assert_eq!(aac.property::<i32>("bitrate"), 320_000);
        }
    }
}
