//! Pictures of one size, lent to a pipeline and used again. GStreamer's pools keep as many as were ever out at once;
//! here what a busy moment took goes back to the system after it.

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

/// Loans after which the pictures that lie idle go back to the system: ten seconds at 30 a second.
const RENEW_AFTER_LOANS: u32 = 300;

/// Lends pictures as they are needed, any number of them.
pub(super) struct PicturePool {
    caps: gst::Caps,
    bytes: u32,
    pool: gst::BufferPool,
    loans: u32,
}

impl PicturePool {
    /// Pictures of `bytes` each.
    pub(super) fn new(caps: &gst::Caps, bytes: u32) -> Result<Self, glib::BoolError> {
        Ok(Self {
            caps: caps.clone(),
            bytes,
            pool: active_pool(caps, bytes)?,
            loans: 0,
        })
    }

    /// A picture of which every byte is to be written. It comes back by itself once nobody holds it.
    pub(super) fn lend(&mut self) -> Result<gst::Buffer, gst::FlowError> {
        if self.loans == RENEW_AFTER_LOANS {
            let renewed = active_pool(&self.caps, self.bytes).map_err(|_| gst::FlowError::Error)?;
            let old = std::mem::replace(&mut self.pool, renewed);
            self.loans = 0;
            // Frees what lies idle; what is out is freed when it comes back.
            old.set_active(false).map_err(|_| gst::FlowError::Error)?;
        }
        self.loans += 1;
        self.pool.acquire_buffer(None)
    }
}

impl Drop for PicturePool {
    fn drop(&mut self) {
        // One that cannot be stopped frees its pictures with its last reference.
        let _ = self.pool.set_active(false);
    }
}

fn active_pool(caps: &gst::Caps, bytes: u32) -> Result<gst::BufferPool, glib::BoolError> {
    let pool = gst::BufferPool::new();
    let mut config = pool.config();
    config.set_params(Some(caps), bytes, 0, 0);
    pool.set_config(config)?;
    pool.set_active(true)?;
    Ok(pool)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Where a picture's bytes lie.
    fn place(picture: &gst::Buffer) -> usize {
        let bytes = picture.map_readable().expect("its bytes");
        bytes.as_ptr() as usize
    }

    #[test]
    fn pictures_are_used_again_and_what_a_busy_moment_took_is_not_kept() {
        gst::init().expect("GStreamer");
        let caps = gst::Caps::builder("video/x-raw").build();
        let mut pool = PicturePool::new(&caps, 1 << 20).expect("a pool");
        let busy: Vec<_> = (0..9).map(|_| pool.lend().expect("a picture")).collect();
        let old: HashSet<_> = busy.iter().map(place).collect();
        assert_eq!(old.len(), 9);
        let first = pool.pool.clone();
        drop(busy);
        for _ in 9..RENEW_AFTER_LOANS {
            assert!(old.contains(&place(&pool.lend().expect("a picture"))));
        }
        let held = pool.lend().expect("a picture");
        assert_ne!(pool.pool, first);
        assert!(!first.is_active());
        drop(first);
        let places: HashSet<_> = (0..9)
            .map(|_| place(&pool.lend().expect("a picture")))
            .collect();
        assert_eq!(places.len(), 1, "one at a time needs one");
        drop(held);
    }
}
