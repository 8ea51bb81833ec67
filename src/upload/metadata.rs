//! What a client says of the file that it uploads.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::dialect::DRAFT_DATA;
use super::disposition::file_name;
use super::fields::Fields;
use super::refusal::Refusal;
use crate::base::{CameraId, Wall};

const FIELD: &str = "Upload-Metadata";
/// It is kept beside the upload and told again with each answer.
const TEXT_BYTES_MAX: usize = 8 << 10;
/// The longest name of a file, in bytes; Linux allows no longer one either.
const NAME_BYTES_MAX: usize = 255;

/// Clients disagree about padding, and nothing hangs on it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What is known of a file before its bytes are: the client's own list of keys and values, of which a name and a type
/// are understood here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    text: String,
    name: Option<String>,
    media_type: Option<String>,
    camera: Option<CameraId>,
    at: Option<Wall>,
}

impl Metadata {
    /// Reads `key base64,key base64,…`; keys are ASCII without spaces and commas, each once, and may have no value.
    /// The name of the file stands in `filename` or `name`, its media type in `filetype` or `type`; `camera` and `at`,
    /// a moment in RFC 3339, tell where on whose timeline it belongs. (tus 1.0, extension creation; the first keys are
    /// those of tus-js-client and Uppy)
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let wrong = |why: String| Refusal::field(FIELD, why);
        if text.len() > TEXT_BYTES_MAX {
            return Err(wrong(format!("is longer than {TEXT_BYTES_MAX} bytes")));
        }
        if !text.is_ascii() {
            return Err(wrong("is not ASCII".to_owned()));
        }
        let mut pairs: Vec<(&str, Vec<u8>)> = Vec::new();
        let listed = text.split(',').map(|pair| pair.trim_matches(' '));
        for pair in listed.filter(|_| !text.is_empty()) {
            let (key, encoded) = pair.split_once(' ').unwrap_or((pair, ""));
            if key.is_empty() {
                return Err(wrong("a key is empty".to_owned()));
            }
            if pairs.iter().any(|(known, _)| *known == key) {
                return Err(wrong(format!("`{key}` stands twice")));
            }
            let value = BASE64
                .decode(encoded)
                .map_err(|_| wrong(format!("the value of `{key}` is not Base64")))?;
            pairs.push((key, value));
        }
        let value = |keys: [&str; 2]| {
            let of = |key: &str| pairs.iter().find(|(known, _)| *known == key);
            let (key, value) = keys.into_iter().find_map(of)?;
            let text = std::str::from_utf8(value);
            Some(text.map_err(|_| wrong(format!("the value of `{key}` is not UTF-8"))))
        };
        let name = value(["filename", "name"]).transpose()?;
        let camera = value(["camera"; 2]).transpose()?;
        let at = value(["at"; 2]).transpose()?;
        Ok(Self {
            text: text.to_owned(),
            name: check_name(FIELD, name)?,
            media_type: value(["filetype", "type"])
                .and_then(Result::ok)
                .and_then(check_media_type),
            camera: camera
                .map(|name| {
                    name.parse()
                        .map_err(|error| wrong(format!("camera: {error}")))
                })
                .transpose()?,
            at: at
                .map(|text| {
                    let moment = Wall::parse_rfc3339(text);
                    moment
                        .ok_or_else(|| wrong(format!("at: `{}` is no moment", text.escape_debug())))
                })
                .transpose()?,
        })
    }

    /// Reads what a draft's client says: in the fields that any upload has, or in the one of tus.
    pub(super) fn of_draft(fields: &Fields<'_>) -> Result<Self, Refusal> {
        if let Some(text) = fields.text(FIELD)? {
            return Self::parse(text);
        }
        let disposition = fields.text("Content-Disposition")?;
        let name = disposition.map(file_name).transpose()?.flatten();
        let name = check_name("Content-Disposition", name.as_deref())?;
        let media_type = fields
            .media_type()?
            .filter(|media_type| media_type != DRAFT_DATA)
            .and_then(|media_type| check_media_type(&media_type));
        let pairs = [("filename", &name), ("filetype", &media_type)];
        let pairs = pairs
            .iter()
            .filter_map(|(key, value)| Some(format!("{key} {}", BASE64.encode(value.as_deref()?))));
        Ok(Self {
            text: pairs.collect::<Vec<_>>().join(","),
            name,
            media_type,
            ..Self::default()
        })
    }

    /// What a client says of a file of its own: its name, where it belongs, and a mark by which the client finds the
    /// upload again. Fails if the name is none.
    pub fn of_file(
        name: &str,
        camera: Option<&CameraId>,
        at: Option<Wall>,
        mark: &str,
    ) -> Result<Self, Refusal> {
        let pairs = [
            ("filename", Some(name.to_owned())),
            ("camera", camera.map(ToString::to_string)),
            ("at", at.map(|at| at.to_string())),
            ("mark", Some(mark.to_owned())),
        ];
        let pairs = pairs
            .iter()
            .filter_map(|(key, value)| Some(format!("{key} {}", BASE64.encode(value.as_ref()?))));
        Self::parse(&pairs.collect::<Vec<_>>().join(","))
    }

    /// All of it as `Upload-Metadata` has it; reads back by [`Self::parse`].
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name of the file: without `/`, `\` and control characters, and not `.` or `..`.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The camera on whose timeline it is to lie.
    pub fn camera(&self) -> Option<&CameraId> {
        self.camera.as_ref()
    }

    /// Civil time of its first picture.
    pub fn at(&self) -> Option<Wall> {
        self.at
    }

    /// The media type that the client believes it has, such as `video/mp4`.
    pub fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref()
    }
}

/// A name that is one in any folder. An empty one is none.
fn check_name(field: &'static str, name: Option<&str>) -> Result<Option<String>, Refusal> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let why = if name.len() > NAME_BYTES_MAX {
        format!("the file's name is longer than {NAME_BYTES_MAX} bytes")
    } else if name == "." || name == ".." || name.contains(['/', '\\']) {
        format!(
            "`{}` is a path; send the file's name alone",
            name.escape_debug()
        )
    } else if name.contains(char::is_control) {
        let shown = name.escape_debug();
        format!("the file's name `{shown}` has control characters in it")
    } else {
        return Ok(Some(name.to_owned()));
    };
    Err(Refusal::field(field, why))
}

/// A type is a hint: one that is none says nothing.
fn check_media_type(text: &str) -> Option<String> {
    let (kind, subtype) = text.split_once('/')?;
    let is_token = |part: &str| {
        let fits = |symbol: u8| symbol.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&symbol);
        (1..=127).contains(&part.len()) && part.bytes().all(fits)
    };
    (is_token(kind) && is_token(subtype)).then(|| text.to_ascii_lowercase())
}
