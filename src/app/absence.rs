//! Why a configured camera does not run as long as discovery has not brought it. Asked when the appliance starts, and
//! whenever a node that is no camera, or may not be opened, comes or goes.

use std::path::Path;

use crate::capture::{OpenError, check_device};
use crate::serve::CameraState;

/// The state and the reason of a camera that is awaited at `path`. Opens what is there.
pub(crate) fn absence(path: &Path) -> (CameraState, String) {
    let path_text = path.display();
    match check_device(path) {
        Ok(()) => {
            let reason =
                format!("{path_text} was not recognised yet; it starts by itself once it is");
            (CameraState::Vanished, reason)
        }
        Err(OpenError::Vanished(_)) => {
            let reason = format!("{path_text} is not plugged in; it starts by itself once it is");
            (CameraState::Vanished, reason)
        }
        Err(error) => (CameraState::Failed, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_camera_that_cannot_be_opened_says_why() {
        let check = |path: &str, expected_state: CameraState, expected: &str| {
            let (state, reason) = absence(Path::new(path));
            assert_eq!(state, expected_state, "{reason}");
            assert!(reason.contains(expected), "{reason}");
        };
        let gone = CameraState::Vanished;
        check("/dev/video-of-nobody", gone, "not plugged in");
        check("/dev/null", CameraState::Failed, "not a video device");
        check("/dev", CameraState::Failed, "not a video device");
    }
}
