//! The name of a file in `Content-Disposition`. (RFC 6266, with the encoding of RFC 8187)

use super::refusal::Refusal;

const FIELD: &str = "Content-Disposition";

/// The name that the field gives, the one in `filename*` before the one in `filename`. None if it gives no name.
pub(super) fn file_name(text: &str) -> Result<Option<String>, Refusal> {
    let wrong = |why: &str| Refusal::field(FIELD, why);
    let (mut plain, mut extended) = (None, None);
    let mut rest = text.find(';').map_or("", |at| &text[at + 1..]);
    while !rest.trim_start().is_empty() {
        let (name, after) = rest
            .split_once('=')
            .ok_or_else(|| wrong("a parameter has no value"))?;
        let (value, after) = value(after.trim_start()).ok_or_else(|| wrong("a quote is open"))?;
        match name.trim().to_ascii_lowercase().as_str() {
            "filename" => plain = Some(value),
            "filename*" => {
                let decoded = decode(&value).ok_or_else(|| wrong("filename* is not UTF-8''…"))?;
                extended = Some(decoded);
            }
            _ => {}
        }
        rest = match after.trim_start() {
            "" => "",
            after => after
                .strip_prefix(';')
                .ok_or_else(|| wrong("a parameter does not end"))?,
        };
    }
    Ok(extended.or(plain))
}

/// A parameter's value, a token or a quoted string, and what stands behind it. None if the quote is open.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return Some((text[..end].trim_end().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut symbols = quoted.char_indices();
    while let Some((at, symbol)) = symbols.next() {
        match symbol {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(symbols.next()?.1),
            _ => value.push(symbol),
        }
    }
    None
}

/// `UTF-8'language'percent-encoded` as text.
fn decode(text: &str) -> Option<String> {
    let mut pieces = text.splitn(3, '\'');
    let (charset, _language, encoded) = (pieces.next()?, pieces.next()?, pieces.next()?);
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            rest = after;
            crate::base::bytes_from_hex(std::str::from_utf8(digits).ok()?)?[0]
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok()
}
