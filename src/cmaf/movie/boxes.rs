//! Boxes as bytes: sizes filled in behind what they hold (ISO/IEC 14496-12 §4.2).

/// Appends a box around what `body` appends. A box stays below 4 GiB.
pub(super) fn plain_box(out: &mut Vec<u8>, kind: &[u8; 4], body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(kind);
    body(out);
    let size = u32::try_from(out.len() - start).expect("the tables of a day take some 40 MB");
    out[start..start + 4].copy_from_slice(&size.to_be_bytes());
}

/// The same with a version and flags before the body.
pub(super) fn full_box(
    out: &mut Vec<u8>,
    kind: &[u8; 4],
    version: u8,
    flags: u32,
    body: impl FnOnce(&mut Vec<u8>),
) {
    plain_box(out, kind, |out| {
        u32(out, u32::from(version) << 24 | flags);
        body(out);
    });
}

/// A box of a type of its own (§4.2.2) around `body`.
pub fn uuid_box(uuid: &[u8; 16], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(24 + body.len());
    plain_box(&mut out, b"uuid", |out| {
        out.extend_from_slice(uuid);
        out.extend_from_slice(body);
    });
    out
}

pub(super) fn u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// A count of entries before them.
pub(super) fn count(out: &mut Vec<u8>, entries: usize) {
    u32(
        out,
        u32::try_from(entries).expect("a movie has fewer than 2^32 samples"),
    );
}

/// A field that version 1 of a box gives 64 bits.
pub(super) fn sized(out: &mut Vec<u8>, version: u8, value: u64) {
    if version == 1 {
        u64(out, value);
    } else {
        u32(
            out,
            u32::try_from(value).expect("version 1 is chosen for larger ones"),
        );
    }
}

/// The version of a box whose largest field is `value`.
pub(super) fn version_for(value: u64) -> u8 {
    u8::from(value > u64::from(u32::MAX))
}
