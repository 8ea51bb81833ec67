//! Header fields as they came, and the few kinds of values that uploads have in them.

use super::refusal::Refusal;

/// Numbers go into the index, whose integers end there.
const NUMBER_MAX: u64 = i64::MAX as u64;

/// The header fields of a request, in any order. Names are compared without regard to case.
#[derive(Clone, Debug, Default)]
pub struct Fields<'a>(Vec<(&'a str, &'a [u8])>);

impl<'a> FromIterator<(&'a str, &'a [u8])> for Fields<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a [u8])>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl<'a> Fields<'a> {
    /// Whether a field is there at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0
            .iter()
            .any(|(found, _)| found.eq_ignore_ascii_case(name))
    }

    /// The text of a field without white space around it. One that stands twice could mean either.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<&'a str>, Refusal> {
        let mut values = self
            .0
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value);
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(Refusal::field(name, "stands twice"));
        }
        let text = std::str::from_utf8(value)
            .map_err(|_| Refusal::field(name, "is no text"))?
            .trim_matches([' ', '\t']);
        if text.contains(char::is_control) {
            return Err(Refusal::field(name, "has control characters in it"));
        }
        Ok(Some(text))
    }

    /// A whole number that is not negative, in digits alone.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        let text = self.text(name)?;
        text.map(|text| number(name, text)).transpose()
    }

    /// The same as a structured item, whose parameters mean nothing here. (RFC 9651 §3.3.1)
    pub(super) fn item_number(&self, name: &'static str) -> Result<Option<u64>, Refusal> {
        let text = self.text(name)?;
        text.map(|text| number(name, bare_item(text))).transpose()
    }

    /// Yes or no as a structured item. (RFC 9651 §3.3.6)
    pub(super) fn item_boolean(&self, name: &'static str) -> Result<Option<bool>, Refusal> {
        match self.text(name)?.map(bare_item) {
            None => Ok(None),
            Some("?1") => Ok(Some(true)),
            Some("?0") => Ok(Some(false)),
            Some(_) => Err(Refusal::field(name, "is neither ?1 nor ?0")),
        }
    }

    /// The media type of the body in lower case, without parameters.
    pub(super) fn media_type(&self) -> Result<Option<String>, Refusal> {
        let text = self.text("Content-Type")?;
        Ok(text.map(|text| bare_item(text).to_ascii_lowercase()))
    }
}

/// What stands before an item's parameters.
fn bare_item(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim_end()
}

fn number(name: &'static str, text: &str) -> Result<u64, Refusal> {
    let digits = !text.is_empty() && text.bytes().all(|symbol| symbol.is_ascii_digit());
    let value = digits.then(|| text.parse().ok()).flatten();
    value
        .filter(|&value| value <= NUMBER_MAX)
        .ok_or_else(|| Refusal::field(name, format!("is no whole number up to {NUMBER_MAX}")))
}
