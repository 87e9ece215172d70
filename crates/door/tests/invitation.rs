//! Links: whole, cut, changed.
#![allow(
    clippy::unwrap_used,
    reason = "tests say what they expect by panicking"
)]

use door::{DoorError, HOST_RANDOM_BYTES, HostKeys, Invitation};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn keys() -> HostKeys {
    HostKeys::new(&core::array::from_fn::<u8, HOST_RANDOM_BYTES, _>(|i| {
        i as u8 + 1
    }))
}

fn link() -> String {
    format!(
        "https://192.0.2.7:8443/#{}",
        Invitation::new("abcdefghij", &keys())
    )
}

#[test]
fn a_link_is_read_as_it_was_written() {
    let invitation = Invitation::new("abcdefghij", &keys());
    assert_eq!(Invitation::parse(&link()).unwrap(), invitation);
    let fragment = invitation.to_string();
    assert_eq!(Invitation::parse(&fragment).unwrap(), invitation);
    assert_eq!(
        Invitation::parse(&format!(" {}\n", link())).unwrap(),
        invitation
    );
    assert_eq!(fragment.len(), "room=".len() + 10 + 2 * 27);
}

#[test]
fn base_32_is_that_of_rfc_4648() {
    // Python: base64.b32encode(bytes(range(1, 17))).
    let text = Invitation::new("r", &keys()).to_string();
    assert!(
        text.starts_with("room=r.aebagbafaydqqcikbmga2dqpca."),
        "{text}"
    );
}

#[test]
fn a_link_that_was_cut_is_incomplete() {
    let whole = link();
    let fragment = whole.find("abcdefghij").unwrap();
    for end in fragment + "abcdefghij".len()..whole.len() {
        assert_eq!(
            Invitation::parse(&whole[..end]),
            Err(DoorError::Incomplete),
            "{}",
            &whole[..end]
        );
    }
    for nothing in [
        "",
        "https://192.0.2.7:8443/",
        "https://192.0.2.7:8443/#",
        "nowhere",
    ] {
        assert_eq!(Invitation::parse(nothing), Err(DoorError::Incomplete));
    }
}

#[test]
fn a_link_with_other_letters_is_malformed() {
    let whole = link();
    for changed in [
        whole.replace("aebagbaf", "aebagb1f"),
        whole.replace("aebagbaf", "aebagb%f"),
        format!("{whole}a"),
        format!("{whole}.more"),
        whole.replace("abcdefghij", "abc/defghij"),
        whole.replace("abcdefghij", ""),
    ] {
        assert_eq!(
            Invitation::parse(&changed),
            Err(DoorError::Malformed),
            "{changed}"
        );
    }
}

#[test]
fn secrets_are_not_printed() {
    let invitation = Invitation::new("abcdefghij", &keys());
    let printed = format!("{invitation:?} {:?} {:?}", keys(), invitation.credentials());
    assert!(printed.contains("Secret(..)") && printed.contains("HostKeys(..)"));
    for number in ["1, 2, 3", "aebagbaf"] {
        assert!(!printed.contains(number), "{printed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(5), ..ProptestConfig::with_cases(500) })]

    #[test]
    fn whatever_is_pasted_is_read_or_refused(text in ".{0,120}") {
        if let Ok(invitation) = Invitation::parse(&text) {
            prop_assert_eq!(Invitation::parse(&invitation.to_string()), Ok(invitation));
        }
    }
}
