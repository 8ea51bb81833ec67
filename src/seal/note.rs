//! Signed notes as in C2SP signed-note: a text, an empty line, and a line for each signature.
//! Knows their form, not what the text says nor whose keys count.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// What a line with a signature opens with.
const DASH: &str = "\u{2014} ";
/// The standard asks to accept at least these; ours bear two, and witnesses may add theirs.
const SIGNATURES_MAX: usize = 16;
/// Room for as many signatures of 5 kB each.
pub(super) const NOTE_BYTES_MAX: usize = 128 << 10;

/// First bytes of a hash over name and key: tells keys apart, proves nothing.
pub(super) type KeyId = [u8; 4];

/// The id of a key: its type's identifier, then its encoding. (C2SP signed-note, Signatures)
pub(super) fn key_id(name: &str, kind: &[u8], key: &[u8]) -> KeyId {
    let mut hasher = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for piece in [name.as_bytes(), b"\n", kind, key] {
        hasher.update(piece);
    }
    let hash = hasher.finish();
    *hash
        .as_ref()
        .first_chunk()
        .expect("a SHA-256 hash has 32 bytes")
}

/// A line with a signature.
pub(super) struct NoteSignature<'a> {
    pub(super) name: &'a str,
    pub(super) key_id: KeyId,
    pub(super) bytes: Vec<u8>,
}

impl NoteSignature<'_> {
    /// The line, its end included.
    pub(super) fn line(&self) -> String {
        let mut blob = self.key_id.to_vec();
        blob.extend(&self.bytes);
        format!("{DASH}{} {}\n", self.name, BASE64_STANDARD.encode(blob))
    }

    fn parse(line: &str) -> Option<NoteSignature<'_>> {
        let (name, blob) = line.strip_prefix(DASH)?.split_once(' ')?;
        if name.is_empty() || name.contains('+') || name.contains(char::is_whitespace) {
            return None;
        }
        let blob = BASE64_STANDARD.decode(blob).ok()?;
        let (key_id, bytes) = blob.split_first_chunk()?;
        (!bytes.is_empty()).then(|| NoteSignature {
            name,
            key_id: *key_id,
            bytes: bytes.to_vec(),
        })
    }
}

/// A note taken apart.
pub(super) struct Note<'a> {
    /// What is signed, its last line's end included.
    pub(super) text: &'a str,
    /// At least one; no two of one key.
    pub(super) signatures: Vec<NoteSignature<'a>>,
}

impl<'a> Note<'a> {
    /// `None` if it is no note, or one too long.
    pub(super) fn parse(note: &'a str) -> Option<Self> {
        let control = |c: char| c < ' ' && c != '\n';
        if note.len() > NOTE_BYTES_MAX || note.contains(control) {
            return None;
        }
        let (text, lines) = note.split_at(note.rfind("\n\n")? + 1);
        let lines = lines.strip_prefix('\n')?.strip_suffix('\n')?;
        let mut signatures: Vec<NoteSignature<'_>> = Vec::new();
        for line in lines.split('\n') {
            let signature = NoteSignature::parse(line)?;
            let again = |other: &NoteSignature<'_>| {
                (other.name, other.key_id) == (signature.name, signature.key_id)
            };
            if signatures.len() == SIGNATURES_MAX || signatures.iter().any(again) {
                return None;
            }
            signatures.push(signature);
        }
        Some(Self { text, signatures })
    }

    /// What the key has signed the note with.
    pub(super) fn signature_of(&self, name: &str, key_id: KeyId) -> Option<&[u8]> {
        self.signatures
            .iter()
            .find(|signature| (signature.name, signature.key_id) == (name, key_id))
            .map(|signature| signature.bytes.as_slice())
    }
}
