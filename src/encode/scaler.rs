//! `shrink` as a GStreamer element, for the steps of the ladder; takes I420 and NV12. Other ratios and
//! formats go to GStreamer's own scaler, a general and therefore slower one.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use gstreamer_video::gst_base::subclass::base_transform::{
    InputBuffer, PrepareOutputBufferSuccess,
};
use gstreamer_video::prelude::*;
use gstreamer_video::subclass::prelude::*;

use super::picture_pool::PicturePool;
use super::shrink::{Plane, Shrinker, Step};

glib::wrapper! {
    /// The element.
    pub(super) struct Scaler(ObjectSubclass<ScalerState>)
        @extends gst_video::VideoFilter, gst_video::gst_base::BaseTransform, gst::Element, gst::Object;
}

impl Scaler {
    /// A scaler from one size to another. `None` if it is no step of the ladder.
    pub(super) fn between(from: (u32, u32), to: (u32, u32)) -> Option<gst::Element> {
        step_between(from, to)?;
        Some(glib::Object::new::<Self>().upcast())
    }
}

fn step_between(from: (u32, u32), to: (u32, u32)) -> Option<Step> {
    let across = Step::between(from.0, to.0)?;
    (Step::between(from.1, to.1) == Some(across)).then_some(across)
}

/// What the element keeps between pictures: one set of work rows a plane, whose widths differ, and the pictures that
/// it makes, once their size is known.
#[derive(Default)]
pub(super) struct ScalerState {
    shrinkers: Mutex<[Shrinker; 3]>,
    pictures: Mutex<Option<PicturePool>>,
}

static CAPS: LazyLock<gst::Caps> = LazyLock::new(|| {
    gst_video::VideoCapsBuilder::new()
        .format_list([gst_video::VideoFormat::I420, gst_video::VideoFormat::Nv12])
        .build()
});

#[glib::object_subclass]
impl ObjectSubclass for ScalerState {
    const NAME: &'static str = "PerchScaler";
    type Type = Scaler;
    type ParentType = gst_video::VideoFilter;
}

impl ObjectImpl for ScalerState {}
impl GstObjectImpl for ScalerState {}

impl ElementImpl for ScalerState {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new(
                "Ladder scaler",
                "Filter/Converter/Video/Scaler",
                "Shrinks pictures by 3:2 or 2:1",
                "Perch",
            )
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            [
                ("src", gst::PadDirection::Src),
                ("sink", gst::PadDirection::Sink),
            ]
            .into_iter()
            .map(|(name, direction)| {
                gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &CAPS)
                    .expect("the template's caps are valid")
            })
            .collect()
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for ScalerState {
    const MODE: gst_video::gst_base::subclass::BaseTransformMode =
        gst_video::gst_base::subclass::BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    /// Everything but the size stays.
    fn transform_caps(
        &self,
        _direction: gst::PadDirection,
        caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let mut any_size = caps.clone();
        for structure in any_size.make_mut().iter_mut() {
            structure.set("width", gst::IntRange::new(1, i32::MAX));
            structure.set("height", gst::IntRange::new(1, i32::MAX));
        }
        Some(match filter {
            Some(filter) => filter.intersect_with_mode(&any_size, gst::CapsIntersectMode::First),
            None => any_size,
        })
    }

    /// Pictures come from our own pool: others would be kept in vain.
    fn decide_allocation(
        &self,
        query: &mut gst::query::Allocation,
    ) -> Result<(), gst::LoggableError> {
        while query.allocation_pools().next().is_some() {
            query.remove_nth_allocation_pool(0);
        }
        Ok(())
    }

    fn prepare_output_buffer(
        &self,
        from: InputBuffer,
    ) -> Result<PrepareOutputBufferSuccess, gst::FlowError> {
        let mut pictures = lock(&self.pictures);
        let mut to = pictures.as_mut().ok_or(gst::FlowError::Error)?.lend()?;
        let from = match from {
            InputBuffer::Writable(from) => from,
            InputBuffer::Readable(from) => from,
        };
        self.parent_copy_metadata(from, to.make_mut())
            .map_err(|_| gst::FlowError::Error)?;
        Ok(PrepareOutputBufferSuccess::Buffer(to))
    }

    fn stop(&self) -> Result<(), gst::ErrorMessage> {
        *lock(&self.pictures) = None;
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl VideoFilterImpl for ScalerState {
    fn set_info(
        &self,
        _from: &gst::Caps,
        _from_info: &gst_video::VideoInfo,
        to: &gst::Caps,
        to_info: &gst_video::VideoInfo,
    ) -> Result<(), gst::LoggableError> {
        let bytes = u32::try_from(to_info.size())
            .map_err(|_| gst::loggable_error!(gst::CAT_RUST, "no picture is that large"))?;
        let pool = PicturePool::new(to, bytes)
            .map_err(|error| gst::loggable_error!(gst::CAT_RUST, "no pictures: {error}"))?;
        *lock(&self.pictures) = Some(pool);
        Ok(())
    }

    fn transform_frame(
        &self,
        from: &gst_video::VideoFrameRef<&gst::BufferRef>,
        to: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let step = step_between((from.width(), from.height()), (to.width(), to.height()))
            .ok_or(gst::FlowError::Error)?;
        let mut shrinkers = lock(&self.shrinkers);
        let planes = from.n_planes();
        for (plane, shrinker) in (0..planes).zip(shrinkers.iter_mut()) {
            // In both formats component n is the first one of plane n.
            let source = Plane {
                stride: from.plane_stride()[plane as usize] as usize,
                width: from.comp_width(plane) as usize,
                height: from.comp_height(plane) as usize,
                bytes: from.plane_data(plane).map_err(|_| gst::FlowError::Error)?,
            };
            let mut target = Plane {
                stride: to.plane_stride()[plane as usize] as usize,
                width: to.comp_width(plane) as usize,
                height: to.comp_height(plane) as usize,
                bytes: to
                    .plane_data_mut(plane)
                    .map_err(|_| gst::FlowError::Error)?,
            };
            if planes == 2 && plane == 1 {
                shrinker.shrink::<2>(&source, &mut target, step);
            } else {
                shrinker.shrink::<1>(&source, &mut target, step);
            }
        }
        Ok(gst::FlowSuccess::Ok)
    }
}
