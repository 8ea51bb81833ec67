//! Deciding what may be added.

use proptest::prelude::*;

use super::{ID, request};
use crate::upload::{
    Concluded, Delivery, Refusal, SIZE_BYTES_MAX, UploadId, UploadKind, UploadState, join,
};

const EMPTY: UploadState = UploadState {
    kind: UploadKind::Single,
    length: Some(100),
    offset: 0,
    is_complete: false,
};

fn at(offset: u64) -> UploadState {
    UploadState { offset, ..EMPTY }
}

fn delivery(fields: &[(&str, &str)]) -> Delivery {
    request(fields).unwrap().delivery().unwrap()
}

fn tus(offset: &str, bytes_count: &str) -> Delivery {
    delivery(&[
        ("Tus-Resumable", "1.0.0"),
        ("Content-Type", "application/offset+octet-stream"),
        ("Upload-Offset", offset),
        ("Content-Length", bytes_count),
    ])
}

fn draft(offset: &str, complete: &str, more: &[(&str, &str)]) -> Delivery {
    let fields = [
        ("Content-Type", "application/partial-upload"),
        ("Upload-Offset", offset),
        ("Upload-Complete", complete),
    ];
    delivery(&[&fields, more].concat())
}

#[test]
fn tus_goes_on_where_the_upload_ends_and_completes_it_at_its_length() {
    let admitted = tus("40", "60").admit(&at(40)).unwrap();
    assert_eq!(admitted.offset, 40);
    assert_eq!(admitted.allows(100), Ok(()));
    assert_eq!(
        admitted.allows(101),
        Err(Refusal::BeyondLength { length: 100 })
    );
    let concluded = |end, whole| admitted.conclude(end, whole).unwrap();
    assert!(!concluded(99, true).is_complete);
    assert!(concluded(100, true).is_complete);
    assert!(concluded(100, false).is_complete, "it is all there");
    let repeated = UploadState {
        is_complete: true,
        ..at(100)
    };
    assert!(tus("100", "0").admit(&repeated).is_ok());
}

#[test]
fn what_does_not_fit_is_refused_before_a_byte_is_read() {
    let conflict = Refusal::OffsetConflict {
        expected: 40,
        provided: 41,
    };
    assert_eq!(tus("41", "1").admit(&at(40)), Err(conflict.clone()));
    assert_eq!(draft("41", "?0", &[]).admit(&at(40)), Err(conflict));
    assert_eq!(
        tus("40", "61").admit(&at(40)),
        Err(Refusal::BeyondLength { length: 100 })
    );
    let complete = UploadState {
        is_complete: true,
        ..at(100)
    };
    assert_eq!(
        tus("100", "1").admit(&complete),
        Err(Refusal::BeyondLength { length: 100 })
    );
    assert_eq!(
        draft("100", "?1", &[]).admit(&complete),
        Err(Refusal::Complete)
    );
    let joined = UploadState {
        kind: UploadKind::Final,
        ..complete
    };
    assert_eq!(tus("100", "0").admit(&joined), Err(Refusal::Joined));
    let changed = Refusal::LengthChanged {
        known: 100,
        said: 90,
    };
    let said = [("Upload-Length", "90")];
    assert_eq!(
        draft("40", "?0", &said).admit(&at(40)),
        Err(changed.clone())
    );
    // The last request's own length says how long the upload is, too.
    let last = [("Content-Length", "50")];
    assert_eq!(draft("40", "?1", &last).admit(&at(40)), Err(changed));
    let open = UploadState {
        length: None,
        ..at(95)
    };
    assert_eq!(
        draft("95", "?0", &said).admit(&open),
        Err(Refusal::BeyondLength { length: 90 })
    );
    let vast = SIZE_BYTES_MAX.to_string();
    assert_eq!(tus("95", &vast).admit(&open), Err(Refusal::TooLarge));
}

#[test]
fn a_draft_is_complete_when_its_client_says_so() {
    let not_yet = draft("40", "?0", &[]).admit(&at(40)).unwrap();
    assert!(!not_yet.conclude(100, true).unwrap().is_complete);
    let last = draft("40", "?1", &[]).admit(&at(40)).unwrap();
    assert!(last.conclude(100, true).unwrap().is_complete);
    assert!(
        !last.conclude(100, false).unwrap().is_complete,
        "the connection was cut"
    );
    let early = Refusal::EndsEarly {
        length: 100,
        offset: 99,
    };
    assert_eq!(last.conclude(99, true), Err(early));
    let open = UploadState {
        length: None,
        ..at(40)
    };
    let last = draft("40", "?1", &[]).admit(&open).unwrap();
    let concluded = Concluded {
        length: Some(77),
        is_complete: true,
    };
    assert_eq!(last.conclude(77, true), Ok(concluded));
    assert_eq!(last.allows(SIZE_BYTES_MAX + 1), Err(Refusal::TooLarge));
}

#[test]
fn tus_js_client_does_not_say_that_a_file_from_a_disk_ends() {
    let repeated = UploadState {
        is_complete: true,
        ..at(100)
    };
    for (version, ends_at_length) in [("5", true), ("6", true), ("7", false), ("8", false)] {
        let sends = |offset: &str, complete: &str, bytes_count: &str| {
            let more = [
                ("Upload-Draft-Interop-Version", version),
                ("Content-Length", bytes_count),
            ];
            draft(offset, complete, &more)
        };
        let concluded = |bytes_count: &str, end, whole| {
            let admitted = sends("40", "?0", bytes_count).admit(&at(40)).unwrap();
            admitted.conclude(end, whole).unwrap()
        };
        assert!(!concluded("59", 99, true).is_complete);
        assert_eq!(concluded("60", 100, true).is_complete, ends_at_length);
        assert_eq!(concluded("60", 100, false).is_complete, ends_at_length);
        let open = UploadState {
            length: None,
            ..at(40)
        };
        let of_no_length = sends("40", "?0", "60").admit(&open).unwrap();
        assert!(!of_no_length.conclude(100, true).unwrap().is_complete);
        // Whoever keeps to the drafts may end it only now, without more data.
        let end = sends("100", "?1", "0").admit(&repeated);
        assert_eq!(end.is_ok(), ends_at_length, "{end:?}");
        for (complete, bytes_count) in [("?0", "0"), ("?1", "1")] {
            let more = sends("100", complete, bytes_count).admit(&repeated);
            assert_eq!(more, Err(Refusal::Complete));
        }
    }
}

#[test]
fn a_checksum_tells_whether_the_data_is_what_was_sent() {
    let sent = |text: &str| {
        let fields = [
            ("Tus-Resumable", "1.0.0"),
            ("Content-Type", "application/offset+octet-stream"),
            ("Upload-Offset", "0"),
            ("Upload-Checksum", text),
        ];
        let admitted = delivery(&fields).admit(&EMPTY).unwrap();
        let mut hasher = admitted.checksum.unwrap().hasher();
        hasher.update(b"hello ");
        hasher.update(b"world");
        hasher.finish()
    };
    assert_eq!(sent("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="), Ok(()));
    assert_eq!(
        sent("sha256 uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="),
        Ok(())
    );
    assert_eq!(
        sent("sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu4="),
        Err(Refusal::ChecksumMismatch)
    );
}

#[test]
fn parts_are_joined_when_all_are_complete() {
    let part = UploadState {
        kind: UploadKind::Partial,
        is_complete: true,
        ..at(60)
    };
    assert_eq!(join([(ID, Some(part)), (ID, Some(part))]), Ok(120));
    assert_eq!(
        join([(ID, Some(part)), (ID, None)]),
        Err(Refusal::UnknownPart(ID))
    );
    let unfinished = UploadState {
        is_complete: false,
        ..part
    };
    assert_eq!(
        join([(ID, Some(unfinished))]),
        Err(Refusal::UnfinishedPart(ID))
    );
    let single = UploadState {
        kind: UploadKind::Single,
        ..part
    };
    assert_eq!(join([(ID, Some(single))]), Err(Refusal::NoPart(ID)));
    let vast = UploadState {
        offset: SIZE_BYTES_MAX,
        ..part
    };
    assert_eq!(
        join([(ID, Some(vast)), (ID, Some(part))]),
        Err(Refusal::TooLarge)
    );
    assert_eq!("07".repeat(16).parse(), Ok(ID));
    assert!("07".repeat(15).parse::<UploadId>().is_err());
}

proptest! {
    #[test]
    fn an_upload_never_grows_beyond_its_length_and_never_shrinks(
        length in proptest::option::of(0u64..200),
        steps in proptest::collection::vec((0u64..60, any::<bool>(), any::<bool>(), any::<bool>()), 1..20),
    ) {
        let mut state = UploadState { length, ..EMPTY };
        for (bytes_count, is_tus, completes, whole) in steps {
            let (offset, count) = (state.offset.to_string(), bytes_count.to_string());
            let delivery = if is_tus {
                tus(&offset, &count)
            } else {
                draft(&offset, if completes { "?1" } else { "?0" }, &[])
            };
            let Ok(admitted) = delivery.admit(&state) else { continue };
            let end = state.offset + bytes_count;
            if admitted.allows(end).is_err() {
                continue;
            }
            if let Ok(concluded) = admitted.conclude(end, whole) {
                prop_assert!(!state.is_complete || bytes_count == 0);
                state = UploadState { offset: end, length: concluded.length, is_complete: concluded.is_complete, ..state };
            }
            prop_assert!(state.length.is_none_or(|length| state.offset <= length));
            prop_assert!(!state.is_complete || state.length == Some(state.offset));
        }
    }
}
