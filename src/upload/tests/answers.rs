//! What clients are told.

use super::{ID, request};
use crate::base::Wall;
use crate::upload::{
    Lifetime, Line, Told, UploadId, UploadKind, UploadState, abilities, appended, created,
    inspected,
};

const NOON: Wall = Wall(1_795_255_200_000);

fn told(kind: UploadKind, parts: &[UploadId]) -> Told<'_> {
    Told {
        id: ID,
        state: UploadState {
            kind,
            length: Some(9),
            offset: 5,
            is_complete: false,
        },
        metadata: "filename YQ==",
        parts,
        lifetime: Lifetime {
            now: NOON,
            until: NOON.plus_ms(60_000),
        },
    }
}

fn value<'a>(lines: &'a [Line], name: &str) -> Option<&'a str> {
    let found = lines.iter().find(|(found, _)| *found == name);
    found.map(|(_, value)| value.as_str())
}

#[test]
fn tus_is_told_what_its_specification_wants() {
    let tus = request(&[("Tus-Resumable", "1.0.0")]).unwrap().dialect;
    let lines = created(tus, &told(UploadKind::Single, &[]));
    let address = "/api/v1/uploads/07070707070707070707070707070707";
    assert_eq!(value(&lines, "Location"), Some(address));
    assert_eq!(value(&lines, "Tus-Resumable"), Some("1.0.0"));
    assert_eq!(
        value(&lines, "Upload-Expires"),
        Some("Sat, 21 Nov 2026 10:01:00 GMT")
    );
    let parts = [ID, UploadId([1; 16])];
    let lines = inspected(tus, &told(UploadKind::Final, &parts));
    assert_eq!(value(&lines, "Upload-Offset"), Some("5"));
    assert_eq!(value(&lines, "Upload-Length"), Some("9"));
    assert_eq!(value(&lines, "Upload-Metadata"), Some("filename YQ=="));
    let list = format!("final;{address} /api/v1/uploads/{}", "01".repeat(16));
    assert_eq!(value(&lines, "Upload-Concat"), Some(&list[..]));
    let mut open = told(UploadKind::Partial, &[]);
    open.state.length = None;
    let lines = inspected(tus, &open);
    assert_eq!(value(&lines, "Upload-Defer-Length"), Some("1"));
    assert_eq!(value(&lines, "Upload-Concat"), Some("partial"));
    let lines = abilities();
    assert_eq!(value(&lines, "Tus-Max-Size"), Some("1099511627776"));
    assert_eq!(value(&lines, "Tus-Checksum-Algorithm"), Some("sha1,sha256"));
}

#[test]
fn each_draft_is_told_in_its_own_words() {
    let lines = |version: &str| {
        let dialect = request(&[("Upload-Draft-Interop-Version", version)])
            .unwrap()
            .dialect;
        appended(dialect, &told(UploadKind::Single, &[]))
    };
    let three = lines("3");
    assert_eq!(value(&three, "Upload-Incomplete"), Some("?1"));
    assert_eq!(value(&three, "Upload-Limit"), None);
    let five = lines("5");
    assert_eq!(value(&five, "Upload-Complete"), Some("?0"));
    assert_eq!(value(&five, "Upload-Limit"), None);
    let limit = "max-size=1099511627776, expires=60";
    assert_eq!(value(&lines("6"), "Upload-Limit"), Some(limit));
    let eight = lines("8");
    assert_eq!(
        value(&eight, "Upload-Limit"),
        Some("max-size=1099511627776, max-age=60")
    );
    assert_eq!(value(&eight, "Upload-Draft-Interop-Version"), Some("8"));
}
