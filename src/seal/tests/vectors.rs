//! Published test vectors: what signs here is what the standards call by these names.

use super::*;

fn signing(ed25519: &[u8], ml_dsa_65: &[u8]) -> SigningKeys {
    let seeds = [ed25519, ml_dsa_65].map(|seed| Zeroizing::new(seed.try_into().unwrap()));
    SigningKeys::from_seeds(Origin::of_box("vectors").unwrap(), seeds).unwrap()
}

/// (RFC 8032 §7.1, tests 1 to 3)
#[test]
fn ed25519_signs_as_rfc_8032_says() {
    for (seed, public, message, signature) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
             d25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c\
             387b2eaeb4302aeeb00d291612bb0c00",
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659\
             4a7c15e9716ed28dc027beceea1ec40a",
        ),
    ] {
        let keys = signing(&unhex(seed), &[1; 32]);
        let text = keys.public_keys().to_string();
        let first = text.lines().next().unwrap();
        let blob = [&[1], unhex(public).as_slice()].concat();
        let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, blob);
        assert!(first.ends_with(&encoded), "{first}");

        let (message, mut expected) = (unhex(message), unhex(signature));
        let signed = keys.signature(Algorithm::Ed25519, &message).unwrap();
        assert_eq!(signed, expected);
        let public = keys.public_keys();
        assert!(public.holds(Algorithm::Ed25519, &message, &signed));
        expected[63] ^= 1;
        assert!(!public.holds(Algorithm::Ed25519, &message, &expected));
    }
}

/// (Project Wycheproof; `tests/golden/seal/ml-dsa-65.txt` says which)
#[test]
fn ml_dsa_65_makes_keys_and_checks_signatures_as_wycheproof_expects() {
    let text = std::fs::read_to_string(golden("ml-dsa-65.txt")).unwrap();
    let mut values = std::collections::HashMap::new();
    let mut verdicts = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, value)) = line.split_once(' ') {
            values.insert(name, unhex(value));
            continue;
        }
        let keys = signing(&[1; 32], &values["seed"]);
        let public = keys.public_keys();
        let other = PublicKeys::new(public.origin().clone(), &[0; 32], &values["public"]).unwrap();
        assert_eq!(
            public.key_id(Algorithm::MlDsa65),
            other.key_id(Algorithm::MlDsa65),
            "the seed makes another key"
        );
        let holds = other.holds(Algorithm::MlDsa65, &values["message"], &values["signature"]);
        assert_eq!(holds, line == "valid", "{:?}", verdicts.len());
        verdicts.push(holds);

        let own = keys
            .signature(Algorithm::MlDsa65, &values["message"])
            .unwrap();
        assert!(other.holds(Algorithm::MlDsa65, &values["message"], &own));
        assert!(!other.holds(Algorithm::MlDsa65, b"another message", &own));
    }
    assert_eq!(verdicts, [true, false, false, true]);
}
