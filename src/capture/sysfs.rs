//! What the kernel says about video nodes without opening them: where they are plugged in, whose serial they carry,
//! and which microphone sits in the same housing. Takes the root of sysfs as an argument, so that tests bring their own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where sysfs is mounted on every Linux.
pub(super) const SYSFS: &str = "/sys";
/// Where udev keeps its socket and what it knows of devices.
pub(super) const UDEV: &str = "/run/udev";

/// One presence of a video node: a camera that was unplugged and plugged in again is another presence, even if it
/// got the same number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct NodePresence {
    /// `video0`.
    pub(super) name: String,
    /// The folder of the node in sysfs, links resolved.
    folder: PathBuf,
    /// The folder's inode, which the kernel does not give twice in a row.
    inode: u64,
}

/// The `videoN` nodes that exist now, by number. None if there has never been a video driver.
pub(super) fn video_nodes(sysfs: &Path) -> Vec<NodePresence> {
    let Ok(entries) = fs::read_dir(sysfs.join("class/video4linux")) else {
        return Vec::new();
    };
    let mut nodes: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().into_string().ok()?;
            let number: u32 = name.strip_prefix("video")?.parse().ok()?;
            let folder = entry.path().canonicalize().ok()?;
            let inode = fs::metadata(&folder).ok()?.ino();
            Some((
                number,
                NodePresence {
                    name,
                    folder,
                    inode,
                },
            ))
        })
        .collect();
    nodes.sort();
    nodes.into_iter().map(|(_, node)| node).collect()
}

impl NodePresence {
    /// Where the node is opened.
    pub(super) fn path(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// Whether udev, whose folder is `udev`, has not come to this node yet: its links and rights are still to be made.
    /// Never on a machine that runs none.
    pub(super) fn awaits_udev(&self, udev: &Path) -> bool {
        // The socket is there while udev runs; the folder alone may be left over, or lent to a container.
        // The file of a node is written after its links were made (systemd-udevd, udev_event_execute_rules).
        udev.join("control").exists()
            && attribute(&self.folder, "dev")
                .is_some_and(|number| !udev.join("data").join(format!("c{number}")).exists())
    }

    /// The node's number among those of its device: the second lens of a camera with two.
    pub(super) fn index(&self) -> u32 {
        attribute(&self.folder, "index")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }

    /// Number of the USB interface that the node belongs to; 0 for what is not on USB.
    pub(super) fn usb_interface(&self) -> u32 {
        attribute(&self.folder.join("device"), "bInterfaceNumber")
            .and_then(|text| u32::from_str_radix(&text, 16).ok())
            .unwrap_or(0)
    }

    /// The USB device that the node belongs to, if it is on USB.
    pub(super) fn usb_device(&self) -> Option<UsbDevice> {
        let folder = self.folder.join("device").canonicalize().ok()?;
        folder.ancestors().find_map(|folder| {
            Some(UsbDevice {
                vendor: attribute(folder, "idVendor")?,
                product: attribute(folder, "idProduct")?,
                serial: attribute(folder, "serial"),
                folder: folder.to_owned(),
            })
        })
    }
}

/// A whole USB device: the housing that camera and microphone share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UsbDevice {
    pub(super) vendor: String,
    pub(super) product: String,
    pub(super) serial: Option<String>,
    folder: PathBuf,
}

impl UsbDevice {
    /// ALSA's name of the first capture device of this USB device: `hw:CARD=C920,DEV=0`.
    pub(super) fn microphone(&self) -> Option<String> {
        let mut cards: Vec<PathBuf> = subfolders(&self.folder)
            .flat_map(|interface| subfolders(&interface.join("sound")).collect::<Vec<_>>())
            .filter(|card| file_name(card).is_some_and(|name| name.starts_with("card")))
            .collect();
        cards.sort();
        cards.iter().find_map(|card| {
            let id = attribute(card, "id")?;
            // pcmC1D0c: card 1, device 0, capture.
            let device = subfolders(card)
                .filter_map(|pcm| {
                    let name = file_name(&pcm)?.to_owned();
                    let (_, device) = name.strip_prefix("pcmC")?.split_once('D')?;
                    device.strip_suffix('c')?.parse::<u32>().ok()
                })
                .min()?;
            Some(format!("hw:CARD={id},DEV={device}"))
        })
    }
}

/// A one-line file of sysfs; `None` if it is absent or empty.
fn attribute(folder: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(folder.join(name)).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn subfolders(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
}

fn file_name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Adds a USB camera at `port` with the node `node`, as uvcvideo and snd-usb-audio lay it out.
    pub(in crate::capture) fn plug_in(sysfs: &Path, port: &str, node: &str, microphone: bool) {
        let usb = sysfs.join("devices/pci0/usb1").join(port);
        let interface = usb.join(format!("{port}:1.0"));
        let folder = interface.join("video4linux").join(node);
        fs::create_dir_all(&folder).expect("room");
        fs::write(folder.join("index"), "0\n").expect("room");
        fs::write(folder.join("dev"), "81:0\n").expect("room");
        fs::write(interface.join("bInterfaceNumber"), "00\n").expect("room");
        symlink(&interface, folder.join("device")).expect("room");
        for (name, value) in [
            ("idVendor", "046d"),
            ("idProduct", "082d"),
            ("serial", "A1B2"),
        ] {
            fs::write(usb.join(name), value).expect("room");
        }
        if microphone {
            let card = usb.join(format!("{port}:1.2/sound/card1"));
            fs::create_dir_all(card.join("pcmC1D0c")).expect("room");
            fs::create_dir_all(card.join("controlC1")).expect("room");
            fs::write(card.join("id"), "C920\n").expect("room");
        }
        let class = sysfs.join("class/video4linux");
        fs::create_dir_all(&class).expect("room");
        symlink(&folder, class.join(node)).expect("room");
    }

    #[test]
    fn a_camera_is_found_with_its_serial_and_its_own_microphone() {
        let root = tempfile::tempdir().expect("a temporary folder");
        plug_in(root.path(), "1-2", "video10", true);
        plug_in(root.path(), "1-3", "video2", false);
        let nodes = video_nodes(root.path());
        let names: Vec<_> = nodes.iter().map(|node| &node.name[..]).collect();
        assert_eq!(names, ["video2", "video10"]);
        let usb = nodes[1].usb_device().expect("it is on USB");
        assert_eq!(
            (&usb.vendor[..], usb.serial.as_deref()),
            ("046d", Some("A1B2"))
        );
        assert_eq!(usb.microphone().as_deref(), Some("hw:CARD=C920,DEV=0"));
        let deaf = nodes[0].usb_device().expect("it is on USB");
        assert_eq!(deaf.microphone(), None);
        assert_eq!((nodes[0].index(), nodes[0].usb_interface()), (0, 0));
    }

    #[test]
    fn a_node_awaits_udev_until_its_file_is_there_and_never_without_udev() {
        let root = tempfile::tempdir().expect("a temporary folder");
        plug_in(root.path(), "1-2", "video0", false);
        let node = &video_nodes(root.path())[0];
        let udev = root.path().join("udev");
        fs::create_dir_all(udev.join("data")).expect("room");
        assert!(!node.awaits_udev(&udev), "a folder without a daemon");
        fs::write(udev.join("control"), "").expect("room");
        assert!(node.awaits_udev(&udev));
        fs::write(udev.join("data/c81:0"), "").expect("room");
        assert!(!node.awaits_udev(&udev));
    }

    #[test]
    fn other_nodes_than_video_are_left_out() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for name in [
            "vbi0",
            "radio0",
            "v4l-subdev0",
            "swradio0",
            "video",
            "videoX",
        ] {
            fs::create_dir_all(root.path().join("class/video4linux").join(name)).expect("room");
        }
        assert_eq!(video_nodes(root.path()), []);
        assert_eq!(video_nodes(Path::new("/nonexistent")), []);
    }

    #[test]
    fn a_camera_plugged_in_again_is_a_new_presence() {
        let root = tempfile::tempdir().expect("a temporary folder");
        plug_in(root.path(), "1-2", "video0", false);
        let before = video_nodes(root.path());
        assert_eq!(video_nodes(root.path()), before);
        // The old folder is kept aside so that its inode is not given to the new one.
        fs::rename(root.path().join("devices"), root.path().join("gone")).expect("same disk");
        fs::remove_dir_all(root.path().join("class")).expect("ours");
        assert_eq!(video_nodes(root.path()), []);
        plug_in(root.path(), "1-2", "video0", false);
        assert_ne!(video_nodes(root.path()), before);
    }
}
