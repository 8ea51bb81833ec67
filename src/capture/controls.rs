//! A camera's controls (exposure, focus, power-line frequency, …), listed and set by name.
//! Names are the driver's in snake case, as `v4l2-ctl` prints them; the names of older and newer kernels both work.

use std::fmt;
use std::io;
use std::path::Path;

use v4l::v4l_sys as sys;

use super::discover::{Asked, open_camera};
use super::error::OpenError;
use super::ioctl::{ControlAnswer, VideoNode};

/// What values a control takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlKind {
    /// Any number from `minimum` to `maximum` in steps of `step` from `minimum`.
    Integer {
        /// Smallest value.
        minimum: i64,
        /// Largest value.
        maximum: i64,
        /// Distance of values, at least 1.
        step: u64,
    },
    /// 0 or 1.
    Boolean,
    /// One of these: value and label. Values may have holes.
    Menu(Vec<(i64, String)>),
    /// Does something when set, whatever the value.
    Button,
    /// Text, bits and tables, which are listed but not set.
    Other,
}

/// One control of one camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// The driver's number, V4L2_CID_*.
    pub id: u32,
    /// `exposure_auto`, `power_line_frequency`.
    pub name: String,
    /// What values it takes.
    pub kind: ControlKind,
    /// Value after the camera was plugged in.
    pub default: i64,
    /// Value now; `None` where it cannot be read.
    pub value: Option<i64>,
    /// Cannot be set.
    pub read_only: bool,
    /// Another control (an automatic) keeps it from having an effect now.
    pub inactive: bool,
    is_64_bit: bool,
}

/// A value as a person wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlValue {
    /// A number, or the number of a menu's item.
    Integer(i64),
    /// On or off.
    Boolean(bool),
    /// The label of a menu's item in any case, `50 Hz` or `50_hz`; or a number as text.
    Text(String),
}

impl fmt::Display for ControlValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.fmt(f),
            Self::Boolean(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}

/// A control was not set. The others were.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The camera has none of that name.
    #[error("control `{name}`: the camera has none of that name; it has {offered}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        offered: String,
    },
    /// The value does not fit.
    #[error("control `{name}`: {value} does not fit; {allowed}")]
    Value {
        /// Which control.
        name: String,
        /// What was asked for.
        value: String,
        /// What would fit, in words.
        allowed: String,
    },
    /// It cannot be set at all.
    #[error("control `{0}`: read-only; remove it from the configuration")]
    ReadOnly(String),
    /// The driver refused.
    #[error(
        "control `{name}`: the driver refused {value}: {source}; an automatic may have to be off first"
    )]
    Refused {
        /// Which control.
        name: String,
        /// What was asked for.
        value: i64,
        /// What the driver said.
        source: io::Error,
    },
}

/// The controls of the camera at `path`, in the driver's order. Does not disturb whoever streams from it.
pub fn list_controls(path: &Path) -> Result<Vec<Control>, OpenError> {
    let ((video, _), _) = open_camera(path, Asked::ByName)?;
    Ok(read_controls(&video))
}

/// Sets controls of the camera at `path`, automatics and menus first, as they decide which others may be set.
/// Returns what was not set; a camera runs without its wishes too.
pub fn set_controls(
    path: &Path,
    wishes: &[(String, ControlValue)],
) -> Result<Vec<ControlError>, OpenError> {
    if wishes.is_empty() {
        return Ok(Vec::new());
    }
    let ((video, _), _) = open_camera(path, Asked::ByName)?;
    let controls = read_controls(&video);
    let (plan, mut errors) = plan(&controls, wishes);
    for (control, value) in plan {
        if let Err(source) = video.set_control(control.id, value, control.is_64_bit) {
            errors.push(ControlError::Refused {
                name: control.name.clone(),
                value,
                source,
            });
        }
    }
    Ok(errors)
}

fn read_controls(video: &VideoNode) -> Vec<Control> {
    let mut controls = Vec::new();
    let mut id = 0;
    while let Some(answer) = video.control_after(id) {
        // A driver that does not step on would be asked for ever.
        if answer.id <= id {
            break;
        }
        id = answer.id;
        let is_class = answer.kind == sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_CTRL_CLASS;
        if !is_class && answer.flags & sys::V4L2_CTRL_FLAG_DISABLED == 0 {
            controls.push(read_control(video, &answer));
        }
    }
    controls
}

fn read_control(video: &VideoNode, answer: &ControlAnswer) -> Control {
    let has = |flag| answer.flags & flag != 0;
    let menu = |of_integers| {
        let items = answer.minimum.max(0)..=answer.maximum.min(1023);
        let item = |index| {
            Some((
                index,
                video.menu_item(answer.id, index as u32, of_integers)?,
            ))
        };
        ControlKind::Menu(items.filter_map(item).collect())
    };
    let is_64_bit = answer.kind == sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER64;
    let kind = match answer.kind {
        sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER
        | sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER64 => ControlKind::Integer {
            minimum: answer.minimum,
            maximum: answer.maximum,
            step: answer.step.max(1),
        },
        sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_BOOLEAN => ControlKind::Boolean,
        sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_MENU => menu(false),
        sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_INTEGER_MENU => menu(true),
        sys::v4l2_ctrl_type_V4L2_CTRL_TYPE_BUTTON => ControlKind::Button,
        _ => ControlKind::Other,
    };
    let is_readable = !matches!(kind, ControlKind::Other | ControlKind::Button)
        && !has(sys::V4L2_CTRL_FLAG_WRITE_ONLY);
    Control {
        id: answer.id,
        name: snake_case(&answer.name),
        default: answer.default,
        value: is_readable
            .then(|| video.control(answer.id, is_64_bit).ok())
            .flatten(),
        read_only: has(sys::V4L2_CTRL_FLAG_READ_ONLY) || kind == ControlKind::Other,
        inactive: has(sys::V4L2_CTRL_FLAG_INACTIVE),
        kind,
        is_64_bit,
    }
}

/// What to set, in order, and what cannot be.
fn plan<'a>(
    controls: &'a [Control],
    wishes: &[(String, ControlValue)],
) -> (Vec<(&'a Control, i64)>, Vec<ControlError>) {
    let (mut plan, mut errors) = (Vec::new(), Vec::new());
    for (name, value) in wishes {
        match resolve(controls, name, value) {
            Ok(step) => plan.push(step),
            Err(error) => errors.push(error),
        }
    }
    plan.sort_by_key(|(control, _)| {
        !matches!(control.kind, ControlKind::Boolean | ControlKind::Menu(_))
    });
    (plan, errors)
}

/// Names that Linux 5.15 changed: before, and since.
const RENAMED: [(&str, &str); 6] = [
    ("exposure_auto", "auto_exposure"),
    ("exposure_absolute", "exposure_time_absolute"),
    ("exposure_auto_priority", "exposure_dynamic_framerate"),
    ("focus_auto", "focus_automatic_continuous"),
    ("white_balance_temperature_auto", "white_balance_automatic"),
    ("gain_automatic", "autogain"),
];

fn resolve<'a>(
    controls: &'a [Control],
    name: &str,
    value: &ControlValue,
) -> Result<(&'a Control, i64), ControlError> {
    let by_name = |name: &str| controls.iter().find(|control| control.name == name);
    let control = by_name(name)
        .or_else(|| {
            RENAMED.iter().find_map(|&(old, new)| match name {
                _ if name == old => by_name(new),
                _ if name == new => by_name(old),
                _ => None,
            })
        })
        .ok_or_else(|| ControlError::Unknown {
            name: name.to_owned(),
            offered: list(controls.iter().map(|control| &control.name[..])),
        })?;
    if control.read_only {
        return Err(ControlError::ReadOnly(name.to_owned()));
    }
    let misfit = |allowed: String| ControlError::Value {
        name: name.to_owned(),
        value: value.to_string(),
        allowed,
    };
    let number = match value {
        ControlValue::Integer(number) => Some(*number),
        // An item's number is not meant: `exposure_auto = true` would choose "Manual Mode".
        ControlValue::Boolean(_) => None,
        ControlValue::Text(text) => text.trim().parse().ok(),
    };
    let resolved = match &control.kind {
        ControlKind::Button => (*value != ControlValue::Boolean(false)).then_some(0),
        ControlKind::Boolean => match value {
            ControlValue::Boolean(on) => Some(i64::from(*on)),
            ControlValue::Text(text) if matches!(&text[..], "on" | "true") => Some(1),
            ControlValue::Text(text) if matches!(&text[..], "off" | "false") => Some(0),
            _ => number.filter(|n| (0..=1).contains(n)),
        },
        &ControlKind::Integer {
            minimum,
            maximum,
            step,
        } => number.filter(|&n| {
            (minimum..=maximum).contains(&n) && n.abs_diff(minimum).is_multiple_of(step)
        }),
        ControlKind::Menu(items) => menu_item(items, value, number),
        ControlKind::Other => None,
    };
    resolved.map(|value| (control, value)).ok_or_else(|| {
        misfit(match &control.kind {
            ControlKind::Integer {
                minimum,
                maximum,
                step,
            } => format!("use {minimum} to {maximum} in steps of {step}"),
            ControlKind::Menu(items) => {
                format!(
                    "use one of {}",
                    list(items.iter().map(|(_, label)| &label[..]))
                )
            }
            ControlKind::Boolean => "use true or false".to_owned(),
            ControlKind::Button => "use true, which presses it".to_owned(),
            ControlKind::Other => "it cannot be set".to_owned(),
        })
    })
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() {
        "none".to_owned()
    } else {
        items.join(", ")
    }
}

/// The item that a value means: its label as it stands, its label however it is written, or its number. Of labels that
/// are numbers only the first will do: written otherwise, -1000 is 1000.
fn menu_item(items: &[(i64, String)], value: &ControlValue, number: Option<i64>) -> Option<i64> {
    let find = |is_it: &dyn Fn(i64, &str) -> bool| {
        let item = items.iter().find(|(index, label)| is_it(*index, label));
        item.map(|(index, _)| *index)
    };
    let by_label = |text: &str| {
        find(&|_, label| label.trim().eq_ignore_ascii_case(text.trim())).or_else(|| {
            let name = snake_case(text);
            find(&|_, label| number.is_none() && snake_case(label) == name)
        })
    };
    let labelled = match value {
        ControlValue::Text(text) => by_label(text),
        _ => None,
    };
    labelled.or_else(|| find(&|index, _| number == Some(index)))
}

/// `Exposure, Auto` to `exposure_auto`.
fn snake_case(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for c in text.chars().map(|c| c.to_ascii_lowercase()) {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    name.truncate(name.trim_end_matches('_').len());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(name: &str, kind: ControlKind) -> Control {
        Control {
            id: 1,
            name: snake_case(name),
            kind,
            default: 0,
            value: None,
            read_only: false,
            inactive: false,
            is_64_bit: false,
        }
    }

    fn webcam() -> Vec<Control> {
        let menu = |items: &[(i64, &str)]| {
            ControlKind::Menu(items.iter().map(|(i, l)| (*i, (*l).to_owned())).collect())
        };
        let mut temperature = control("White Balance Temperature", ControlKind::Other);
        temperature.read_only = true;
        vec![
            control(
                "Exposure Time, Absolute",
                ControlKind::Integer {
                    minimum: 3,
                    maximum: 2047,
                    step: 2,
                },
            ),
            control(
                "Power Line Frequency",
                menu(&[(0, "Disabled"), (1, "50 Hz"), (2, "60 Hz")]),
            ),
            // The hole at 0 and 2 is what a C920 has.
            control(
                "Auto Exposure",
                menu(&[(1, "Manual Mode"), (3, "Aperture Priority Mode")]),
            ),
            control("Focus, Automatic Continuous", ControlKind::Boolean),
            temperature,
        ]
    }

    fn check(name: &str, value: ControlValue, expected: Result<i64, &str>) {
        let controls = webcam();
        let result = resolve(&controls, name, &value);
        match (result, expected) {
            (Ok((_, value)), expected) => assert_eq!(Ok(value), expected, "{name}"),
            (Err(error), Err(text)) => {
                let error = error.to_string();
                assert!(error.contains(name) && error.contains(text), "{error}");
            }
            (Err(error), Ok(_)) => panic!("{error}"),
        }
    }

    fn text(text: &str) -> ControlValue {
        ControlValue::Text(text.to_owned())
    }

    #[test]
    fn values_are_read_as_people_write_them() {
        check("power_line_frequency", text("50 Hz"), Ok(1));
        check("power_line_frequency", text("60_hz"), Ok(2));
        check("power_line_frequency", ControlValue::Integer(0), Ok(0));
        check("power_line_frequency", text("1"), Ok(1));
        check(
            "focus_automatic_continuous",
            ControlValue::Boolean(true),
            Ok(1),
        );
        check("focus_automatic_continuous", text("off"), Ok(0));
        check("exposure_time_absolute", ControlValue::Integer(5), Ok(5));
    }

    #[test]
    fn names_of_older_kernels_work_on_newer_ones() {
        check("exposure_auto", text("manual mode"), Ok(1));
        check("focus_auto", ControlValue::Integer(0), Ok(0));
        check("exposure_absolute", ControlValue::Integer(3), Ok(3));
    }

    #[test]
    fn what_does_not_fit_is_said_with_what_would() {
        check(
            "zoom",
            ControlValue::Integer(1),
            Err("it has exposure_time_absolute, "),
        );
        check(
            "exposure_absolute",
            ControlValue::Integer(4),
            Err("use 3 to 2047 in steps of 2"),
        );
        check(
            "exposure_absolute",
            ControlValue::Integer(2049),
            Err("does not fit"),
        );
        check("exposure_absolute", text("bright"), Err("does not fit"));
        check(
            "exposure_absolute",
            ControlValue::Boolean(true),
            Err("true does not fit; use 3 to 2047"),
        );
        check(
            "exposure_auto",
            ControlValue::Boolean(true),
            Err("true does not fit; use one of Manual Mode"),
        );
        check(
            "exposure_auto",
            ControlValue::Integer(2),
            Err("Aperture Priority Mode"),
        );
        check(
            "power_line_frequency",
            text("55 Hz"),
            Err("Disabled, 50 Hz, 60 Hz"),
        );
        check(
            "focus_auto",
            ControlValue::Integer(2),
            Err("use true or false"),
        );
        check(
            "white_balance_temperature",
            ControlValue::Integer(1),
            Err("read-only"),
        );
    }

    #[test]
    fn what_is_said_to_fit_does() {
        for label in ["Disabled", "50 Hz", "60 Hz"] {
            let controls = webcam();
            let fits = resolve(&controls, "power_line_frequency", &text(label));
            assert!(fits.is_ok(), "{label}");
        }
        for on in [true, false] {
            let value = ControlValue::Boolean(on);
            check("focus_auto", value, Ok(i64::from(on)));
        }
    }

    #[test]
    fn numbers_among_labels_keep_their_sign() {
        let items: Vec<(i64, String)> = ["-1000", "0", "1000"]
            .iter()
            .zip(0..)
            .map(|(label, index)| (index, (*label).to_owned()))
            .collect();
        let controls = [
            control("Exposure Bias", ControlKind::Menu(items)),
            control("Reset", ControlKind::Button),
        ];
        for (label, index) in [("-1000", 0), ("0", 1), ("1000", 2), ("2", 2)] {
            let item = resolve(&controls, "exposure_bias", &text(label));
            assert_eq!(item.expect("it fits").1, index, "{label}");
        }
        assert!(resolve(&controls, "exposure_bias", &text("3000")).is_err());
        assert!(resolve(&controls, "reset", &ControlValue::Boolean(true)).is_ok());
        assert!(resolve(&controls, "reset", &ControlValue::Boolean(false)).is_err());
    }

    #[test]
    fn automatics_are_set_before_what_they_govern() {
        let controls = webcam();
        let wishes = [
            ("exposure_absolute".to_owned(), ControlValue::Integer(3)),
            ("exposure_auto".to_owned(), ControlValue::Integer(1)),
            ("zoom".to_owned(), ControlValue::Integer(1)),
        ];
        let (plan, errors) = plan(&controls, &wishes);
        let names: Vec<_> = plan.iter().map(|(control, _)| &control.name[..]).collect();
        assert_eq!(names, ["auto_exposure", "exposure_time_absolute"]);
        assert_eq!(errors.len(), 1);
    }
}
