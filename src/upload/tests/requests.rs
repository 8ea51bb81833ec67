//! Reading requests.

use proptest::prelude::*;

use super::{ID, request};
use crate::base::Wall;
use crate::upload::{
    Creation, CreationKind, Dialect, Fields, Metadata, Refusal, Request, UploadId, upload_address,
};

const TUS: (&str, &str) = ("Tus-Resumable", "1.0.0");

fn creation(fields: &[(&str, &str)]) -> Result<Creation, Refusal> {
    request(fields)?.creation()
}

fn tus_creation(fields: &[(&str, &str)]) -> Result<Creation, Refusal> {
    creation(&[&[TUS], fields].concat())
}

/// What a refusal says.
fn said<T: std::fmt::Debug>(outcome: Result<T, Refusal>) -> String {
    outcome.unwrap_err().to_string()
}

#[test]
fn a_client_of_tus_begins_an_upload() {
    let made = tus_creation(&[
        ("upload-length", "5000000000"),
        (
            "Upload-Metadata",
            "filename d29ybGQubXA0,filetype dmlkZW8vbXA0,is_private",
        ),
    ])
    .unwrap();
    assert_eq!(made.kind, CreationKind::Single);
    assert_eq!(made.length, Some(5_000_000_000));
    assert_eq!(made.metadata.name(), Some("world.mp4"));
    assert_eq!(made.metadata.media_type(), Some("video/mp4"));
    assert_eq!(made.delivery, None);
    let deferred = tus_creation(&[("Upload-Defer-Length", "1"), ("Upload-Metadata", "")]).unwrap();
    assert_eq!(
        (deferred.length, deferred.metadata),
        (None, Metadata::default())
    );
    let with_data = tus_creation(&[
        ("Upload-Length", "3"),
        ("Content-Type", "application/offset+octet-stream"),
        ("Content-Length", "3"),
    ]);
    assert!(with_data.unwrap().delivery.is_some());
}

#[test]
fn a_creation_that_makes_no_sense_says_which_field() {
    for (fields, expected) in [
        (&[][..], "Upload-Length: is missing"),
        (
            &[("Upload-Length", "-1")],
            "Upload-Length: is no whole number",
        ),
        (&[("Upload-Length", "+1")], "Upload-Length"),
        (&[("Upload-Length", "")], "Upload-Length"),
        (
            &[("Upload-Length", "99999999999999999999")],
            "Upload-Length",
        ),
        (&[("Upload-Length", "9999999999999999")], "at most"),
        (
            &[("Upload-Defer-Length", "2")],
            "Upload-Defer-Length: is not 1",
        ),
        (
            &[("Upload-Defer-Length", "1"), ("Upload-Length", "1")],
            "Upload-Defer-Length",
        ),
        (
            &[("Upload-Length", "1"), ("Upload-Length", "2")],
            "stands twice",
        ),
        (
            &[("Upload-Length", "1"), ("Content-Length", "1")],
            "Content-Type: send application/offset+octet-stream",
        ),
        (
            &[("Upload-Length", "1"), ("Upload-Checksum", "md5 AA==")],
            "neither sha1 nor sha256",
        ),
        (
            &[("Upload-Length", "1"), ("Upload-Checksum", "sha1 AA==")],
            "length",
        ),
        (
            &[("Upload-Length", "1"), ("Upload-Checksum", "sha1 %")],
            "Base64",
        ),
        (&[("Upload-Concat", "last")], "neither `partial` nor"),
        (&[("Upload-Concat", "final;")], "names 0 parts"),
    ] {
        let said = said(tus_creation(fields));
        assert!(said.contains(expected), "{fields:?}: {said}");
    }
}

#[test]
fn metadata_is_refused_with_its_reason() {
    // In order: the name, what is wrong.
    for (text, expected) in [
        ("filename Li4=", "is a path"),
        ("filename Lg==", "is a path"),
        ("filename Li4vYQ==", "is a path"),
        ("filename YS9i", "is a path"),
        ("filename YVxi", "is a path"),
        ("name YQBi", "control"),
        ("filename YQpi", "control"),
        ("filename /w==", "not UTF-8"),
        ("camera Li4=", "`..` is no camera name"),
        ("at bm9vbg==", "`noon` is no moment"),
        ("filename a", "not Base64"),
        ("filename YQ== YQ==", "not Base64"),
        ("a YQ==,a YQ==", "stands twice"),
        (",", "a key is empty"),
        ("a,,b", "a key is empty"),
        ("ä YQ==", "not ASCII"),
    ] {
        let said = said(Metadata::parse(text));
        assert!(said.contains(expected), "{text}: {said}");
    }
    let long = format!("filename {}", "YWFh".repeat(100));
    assert!(said(Metadata::parse(&long)).contains("longer than 255"));
    assert!(said(Metadata::parse(&"a".repeat(9000))).contains("longer than 8192"));
    // Neither is a reason to refuse a file.
    let odd = Metadata::parse("filename ,filetype eA==,relativePath bnVsbA==,size").unwrap();
    assert_eq!((odd.name(), odd.media_type()), (None, None));
}

#[test]
fn a_file_is_joined_from_uploads_of_ours_alone() {
    let other = UploadId([0xab; 16]);
    let list = format!(
        "final;{} http://box.local:8080{}",
        upload_address(ID),
        upload_address(other)
    );
    let made = tus_creation(&[("Upload-Concat", &list)]).unwrap();
    assert_eq!(made.kind, CreationKind::Final(vec![ID, other]));
    let partial = tus_creation(&[("Upload-Concat", "partial"), ("Upload-Length", "1")]).unwrap();
    assert_eq!(partial.kind, CreationKind::Partial);
    let upper = "AB".repeat(16);
    for address in [
        "/files/07070707070707070707070707070707",
        "/api/v1/uploads/0707",
        "/api/v1/uploads/../07070707070707070707070707070707",
        "/api/v1/uploads07070707070707070707070707070707",
        "http://box.local",
        "ftp://box.local/api/v1/uploads/07070707070707070707070707070707",
        &format!("/api/v1/uploads/{upper}"),
    ] {
        let refused = tus_creation(&[("Upload-Concat", &format!("final;{address}"))]);
        assert_eq!(refused, Err(Refusal::ForeignPart(address.to_owned())));
    }
    let twice = format!("final;{0} {0}", upload_address(ID));
    assert!(said(tus_creation(&[("Upload-Concat", &twice)])).contains("twice"));
    for more in [("Upload-Length", "5"), ("Content-Length", "5")] {
        assert!(tus_creation(&[("Upload-Concat", &list), more]).is_err());
    }
}

#[test]
fn each_protocol_is_recognised_and_others_are_refused() {
    let number = |fields: &[(&str, &str)]| match request(fields).unwrap().dialect {
        Dialect::Tus => 0,
        Dialect::Draft(interop) => interop.number(),
    };
    assert_eq!(number(&[TUS]), 0);
    assert_eq!(number(&[("Upload-Draft-Interop-Version", "6")]), 6);
    assert_eq!(number(&[("Upload-Complete", "?1")]), 8);
    assert_eq!(number(&[("Upload-Incomplete", "?1")]), 3);
    assert_eq!(number(&[]), 8);
    for fields in [
        &[("Tus-Resumable", "0.2.2")],
        &[("Upload-Draft-Interop-Version", "2")],
        &[("Upload-Draft-Interop-Version", "9")],
        &[("Content-Type", "application/offset+octet-stream")],
        &[("Upload-Concat", "partial")],
    ] {
        let refused = request(fields).map(|request| request.dialect);
        assert!(matches!(refused, Err(Refusal::Version(_))), "{fields:?}");
    }
}

#[test]
fn a_client_of_a_draft_begins_an_upload() {
    let made = creation(&[
        ("Upload-Complete", "?1;later=\"x\""),
        ("Content-Length", "100"),
        (
            "Content-Disposition",
            "inline; filename=\"a b.mp4\"; filename*=UTF-8''%e2%82%ac.mp4",
        ),
        ("Content-Type", "Video/MP4; codecs=avc1"),
    ])
    .unwrap();
    assert_eq!(made.length, Some(100));
    assert_eq!(made.metadata.name(), Some("€.mp4"));
    assert_eq!(made.metadata.media_type(), Some("video/mp4"));
    assert_eq!(Metadata::parse(made.metadata.as_str()), Ok(made.metadata));

    // tus-js-client 4 in its mode for draft -05.
    let early = creation(&[
        ("Upload-Draft-Interop-Version", "6"),
        ("Upload-Complete", "?0"),
        ("Upload-Length", "11"),
        ("Upload-Metadata", "filename YQ=="),
        ("Content-Type", "application/partial-upload"),
        ("Content-Length", "0"),
    ])
    .unwrap();
    assert_eq!((early.length, early.metadata.name()), (Some(11), Some("a")));
    assert_eq!(early.metadata.media_type(), None);

    // URLSession of iOS 17.
    let oldest = [
        ("Upload-Draft-Interop-Version", "3"),
        ("Upload-Incomplete", "?0"),
        ("Content-Length", "7"),
    ];
    assert_eq!(creation(&oldest).unwrap().length, Some(7));
    for (fields, expected) in [
        (&[][..], "Upload-Complete: is missing"),
        (&[("Upload-Complete", "1")], "neither ?1 nor ?0"),
        (&[("Upload-Complete", "?2")], "neither ?1 nor ?0"),
        (
            &[
                ("Upload-Complete", "?1"),
                ("Content-Length", "5"),
                ("Upload-Length", "6"),
            ],
            "was to have 5 bytes",
        ),
        (
            &[
                ("Upload-Draft-Interop-Version", "3"),
                ("Upload-Complete", "?1"),
            ],
            "Upload-Incomplete",
        ),
        (
            &[
                ("Upload-Complete", "?1"),
                ("Content-Disposition", "inline; filename=\"../a\""),
            ],
            "Content-Disposition: `../a` is a path",
        ),
        (
            &[
                ("Upload-Complete", "?1"),
                ("Content-Disposition", "inline; filename*=UTF-8''a%00b"),
            ],
            "control",
        ),
        (
            &[
                ("Upload-Complete", "?1"),
                ("Content-Disposition", "inline; filename=\"a"),
            ],
            "a quote is open",
        ),
        (
            &[
                ("Upload-Complete", "?1"),
                ("Content-Disposition", "inline; filename*=latin1''a"),
            ],
            "UTF-8",
        ),
    ] {
        let said = said(creation(fields));
        assert!(said.contains(expected), "{fields:?}: {said}");
    }
}

#[test]
fn data_comes_with_its_place_and_in_its_media_type() {
    let of = |fields: &[(&str, &str)]| request(fields)?.delivery();
    let data = ("Content-Type", "application/offset+octet-stream");
    assert!(of(&[TUS, data, ("Upload-Offset", "70")]).is_ok());
    let offset = ("Upload-Offset", "70");
    assert_eq!(of(&[TUS, data]), Err(Refusal::Missing("Upload-Offset")));
    assert!(matches!(of(&[TUS, offset]), Err(Refusal::MediaType(_))));
    let (typed, complete) = (
        ("Content-Type", "application/partial-upload"),
        ("Upload-Complete", "?1"),
    );
    assert!(of(&[typed, complete, offset]).is_ok());
    assert!(matches!(
        of(&[complete, offset]),
        Err(Refusal::MediaType(_))
    ));
    assert_eq!(
        of(&[typed, offset]),
        Err(Refusal::Missing("Upload-Complete"))
    );
    // Before draft -04 data had no type.
    assert!(of(&[("Upload-Draft-Interop-Version", "5"), complete, offset]).is_ok());
}

proptest! {
    #[test]
    fn whatever_is_sent_is_read_or_refused(
        fields in proptest::collection::vec(
            (
                proptest::sample::select(vec![
                    "Tus-Resumable", "Upload-Length", "Upload-Offset", "Upload-Metadata", "Upload-Concat",
                    "Upload-Defer-Length", "Upload-Checksum", "Upload-Complete", "Upload-Incomplete",
                    "Upload-Draft-Interop-Version", "Content-Type", "Content-Length", "Content-Disposition",
                ]),
                proptest::collection::vec(any::<u8>(), 0..60),
            ),
            0..8,
        )
    ) {
        let fields: Fields<'_> = fields.iter().map(|(name, value)| (*name, &value[..])).collect();
        if let Ok(request) = Request::read(fields) {
            let _ = request.creation();
            let _ = request.delivery();
        }
    }

    #[test]
    fn metadata_that_is_taken_reads_back(text in "[a-z]{0,3} ?[A-Za-z0-9+/=]{0,12}(,[a-z]{1,3} [A-Za-z0-9+/]{4}){0,3}") {
        if let Ok(metadata) = Metadata::parse(&text) {
            prop_assert_eq!(metadata.as_str(), &text);
        }
    }

    #[test]
    fn what_a_client_says_of_a_file_reads_back(
        name in "\\PC{1,20}",
        camera in proptest::option::of("[a-z0-9]{1,8}"),
        at in proptest::option::of(0..4_000_000_000_000i64),
        mark in "[0-9a-f]{64}",
    ) {
        let camera = camera.map(|name| name.parse().unwrap());
        let said = Metadata::of_file(&name, camera.as_ref(), at.map(Wall), &mark);
        prop_assume!(said.is_ok());
        let read = Metadata::parse(said.unwrap().as_str()).unwrap();
        prop_assert_eq!(read.name(), Some(&name[..]));
        prop_assert_eq!(read.camera(), camera.as_ref());
        prop_assert_eq!(read.at(), at.map(Wall));
        prop_assert!(read.as_str().contains(",mark "));
    }

    #[test]
    fn a_name_that_is_taken_is_one_in_any_folder(name in "\\PC{0,20}|[./\\\\\u{0}a]{0,4}") {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        let field = format!("inline; filename=\"{quoted}\"");
        let read = creation(&[("Upload-Complete", "?1"), ("Content-Disposition", &field)]);
        if let Ok(Some(taken)) = read.as_ref().map(|made| made.metadata.name()) {
            prop_assert_eq!(taken, name);
            prop_assert!(taken != "." && taken != ".." && !taken.contains(['/', '\\', '\0']));
        }
    }
}
