//! Keys as text: what was copied comes back, what was damaged is refused.

use super::*;

#[test]
fn generated_keys_differ_and_come_back_from_their_text() {
    let origin = Origin::of_box("porch").unwrap();
    let one = SigningKeys::generate(origin.clone()).unwrap();
    let other = SigningKeys::generate(origin).unwrap();
    assert_ne!(one.public_keys(), other.public_keys());

    let text = one.to_text();
    assert!(
        text.capacity() < 1024 && text.len() < 512,
        "never copied to grow"
    );
    let again = SigningKeys::from_text(&text).unwrap();
    assert_eq!(again.public_keys(), one.public_keys());
    assert_eq!(*again.to_text(), *text);
    let signed = again.sign(7, numbered_leaf(7), NOON).unwrap();
    assert!(signed.verify(one.public_keys()).is_ok());
    assert!(signed.verify(other.public_keys()).is_err());
}

#[test]
fn keys_show_no_secret_where_they_are_logged() {
    assert_eq!(
        format!("{:?}", keys("porch", 1)),
        "SigningKeys(perch/porch)"
    );
}

#[test]
fn signing_keys_have_the_text_of_version_1() {
    let text = keys("porch", 1).to_text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "-----BEGIN PERCH SIGNING KEYS-----");
    assert_eq!(lines[1], "version 1");
    assert_eq!(lines[2], "origin perch/porch");
    let ed25519 = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    assert!(lines[3].starts_with("ed25519 ") && lines[3].ends_with(ed25519));
    let ml_dsa = "/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v7+/v4=";
    assert!(lines[4].starts_with("ml-dsa-65 ") && lines[4].ends_with(ml_dsa));
    assert_eq!(lines[5], "-----END PERCH SIGNING KEYS-----");
    assert_eq!(lines.len(), 6);
}

#[test]
fn damaged_signing_keys_are_never_another_boxs() {
    let keys = keys("porch", 1);
    let text = keys.to_text();
    for at in 0..text.len() {
        for bit in 0..7 {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let Ok(damaged) = std::str::from_utf8(&bytes) else {
                continue;
            };
            // Only space around the lines may be another.
            if let Ok(read) = SigningKeys::from_text(damaged) {
                assert_eq!(read.public_keys(), keys.public_keys(), "{damaged}");
            }
        }
        assert!(SigningKeys::from_text(&text[..at]).is_err() || at == text.len() - 1);
    }
}

#[test]
fn signing_keys_say_what_is_wrong_with_them() {
    let text = keys("porch", 1).to_text();
    let check = |from: &str, to: &str, expected: KeysError| {
        let altered = text.replace(from, to);
        assert_ne!(altered, *text);
        assert_eq!(SigningKeys::from_text(&altered).unwrap_err(), expected);
    };
    check("SIGNING", "PUBLIC", KeysError::NotKeys);
    check(
        "version 1",
        "version 2",
        KeysError::Version("version 2".into()),
    );
    check("version 1", "", KeysError::DamagedLine(2));
    check("perch/porch", "perch/Porch", KeysError::DamagedLine(3));
    check("perch/porch", "perch/garage", KeysError::DamagedLine(4));
    check("AQEBAQEB", "AQEBAQEC", KeysError::DamagedLine(4));
    check("/v7+/v7+", "/v7+/v7/", KeysError::DamagedLine(5));
    check("=\n-", "=\n\n-", KeysError::DamagedLine(6));
    check(
        "KEYS-----\n",
        "KEYS-----\nmore\n",
        KeysError::DamagedLine(2),
    );
    let longer = format!("{}more\n", *text);
    let refused = SigningKeys::from_text(&longer).unwrap_err();
    assert_eq!(refused, KeysError::DamagedLine(6));
}

#[test]
fn public_keys_come_back_however_they_were_copied() {
    let keys = keys("porch", 1);
    let text = keys.public_keys().to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    // As Go's `golang.org/x/mod/sumdb/note` v0.42.0 writes the key of that seed.
    assert_eq!(
        lines[0],
        "perch/porch+5c53f80f+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
    );
    let copied = format!("\r\n  {}\t\r\n\n{}", lines[1], lines[0]);
    assert_eq!(copied.parse().as_ref(), Ok(keys.public_keys()));
    assert_eq!(text.parse().as_ref(), Ok(keys.public_keys()));
}

#[test]
fn public_keys_that_are_no_pair_are_refused() {
    let (porch, garage) = (keys("porch", 1), keys("garage", 1));
    let (porch, garage) = (
        porch.public_keys().to_string(),
        garage.public_keys().to_string(),
    );
    let (ed25519, ml_dsa) = porch.split_once('\n').unwrap();
    let (_, other) = garage.split_once('\n').unwrap();
    let check = |text: String, expected: KeysError| {
        assert_eq!(text.parse::<PublicKeys>(), Err(expected));
    };
    check(String::new(), KeysError::Incomplete);
    check(ed25519.to_owned(), KeysError::Incomplete);
    check(ml_dsa.to_owned(), KeysError::Incomplete);
    check(format!("{porch}{porch}"), KeysError::DamagedLine(3));
    check(format!("{ed25519}\nmore"), KeysError::DamagedLine(2));
    let origin = |name| Origin::of_box(name).unwrap();
    check(
        format!("{ed25519}\n{other}"),
        KeysError::TwoBoxes(origin("porch"), origin("garage")),
    );
    for at in 0..ed25519.len() {
        let mut bytes = porch.clone().into_bytes();
        bytes[at] ^= 1;
        let damaged = String::from_utf8(bytes).unwrap();
        assert!(damaged.parse::<PublicKeys>().is_err(), "{damaged}");
    }
}

#[test]
fn names_that_could_break_a_line_or_a_path_are_no_origins() {
    for name in ["", "a b", "a+b", "a/b", "A", "é", "a\n", &"a".repeat(65)] {
        assert!(Origin::of_box(name).is_err(), "{name}");
    }
    assert!("porch".parse::<Origin>().is_err());
    assert_eq!(Origin::of_box("porch-2").unwrap().as_str(), "perch/porch-2");
}
