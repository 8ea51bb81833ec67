//! How commands find the appliance that holds a data directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::durable::open;
use crate::store::Reach;

#[test]
fn the_holder_is_found_while_it_holds_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    assert_eq!(Reach::of_holder(dir.path()).unwrap(), None);
    let address = "[fe80::1%2]:8080".parse().unwrap();
    let announced = store.announce(address).unwrap();
    let pid = std::process::id();
    let found = Reach::of_holder(dir.path()).unwrap();
    assert_eq!(found, Some(Reach { address, pid }));
    let file = fs::metadata(dir.path().join("appliance.json")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    // A second word replaces the first.
    let second = store.announce("0.0.0.0:1".parse().unwrap()).unwrap();
    let found = Reach::of_holder(dir.path()).unwrap().unwrap();
    assert_eq!(found.address.to_string(), "127.0.0.1:1");
    drop((announced, second));
    assert_eq!(Reach::of_holder(dir.path()).unwrap(), None);
    store.close();
}

#[test]
fn what_a_killed_holder_left_goes_with_the_next_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    std::mem::forget(store.announce("127.0.0.1:1".parse().unwrap()).unwrap());
    store.close();
    drop(store);
    fs::write(dir.path().join("appliance.json.new"), "{").unwrap();
    assert!(Reach::of_holder(dir.path()).unwrap().is_some());
    let store = open(dir.path());
    assert_eq!(Reach::of_holder(dir.path()).unwrap(), None);
    assert!(!dir.path().join("appliance.json.new").exists());
    store.close();
}
