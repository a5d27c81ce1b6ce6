use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use keystead_crypto::keyring::{Keyring, Purpose, RootKey};
use keystead_crypto::seal::{FileSeal, MemorySeal, Seal, SealError, SealedRoot};
use keystead_types::ClusterId;
use tempfile::TempDir;

use crate::damaged;

fn cluster(byte: u8) -> ClusterId {
    ClusterId::new([byte; 16])
}

fn seal_file(folder: &TempDir, len: usize, mode: u32) -> PathBuf {
    let path = folder.path().join(format!("seal-{len}-{mode:o}"));
    fs::write(&path, vec![0x42; len]).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    path
}

fn refusal(path: &Path) -> String {
    match FileSeal::open(path) {
        Err(error @ SealError::Refused { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

/// Whether two root keys are the same, as seen by what they derive.
fn same(one: &RootKey, two: &RootKey) -> bool {
    let [one, two] = [one, two].map(|root| Keyring::new(root).unwrap());
    let sealed = one.seal_value(Purpose::StateValue, b"", b"").unwrap();
    two.open_value(Purpose::StateValue, b"", &sealed).is_ok()
}

#[test]
fn a_created_seal_opens_and_unwraps() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("seal.key");
    let created = FileSeal::create(&path).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o7777), (32, 0o400));

    let root = RootKey::generate().unwrap();
    let sealed = created.wrap(&root, cluster(1)).unwrap();
    let opened = FileSeal::open(&path).unwrap();
    assert_eq!((opened.id(), opened.kind()), (created.id(), "file"));
    assert!(same(&opened.unwrap(&sealed, cluster(1)).unwrap(), &root));
    assert!(!same(&RootKey::generate().unwrap(), &root));
}

#[test]
fn an_existing_file_is_never_overwritten() {
    let folder = TempDir::new().unwrap();
    let path = seal_file(&folder, 32, 0o400);
    assert!(matches!(FileSeal::create(&path), Err(SealError::File { .. })));
    assert_eq!(fs::read(&path).unwrap(), [0x42; 32]);
    let dangling = folder.path().join("link");
    symlink(folder.path().join("nowhere"), &dangling).unwrap();
    assert!(matches!(FileSeal::create(&dangling), Err(SealError::File { .. })));
}

#[test]
fn only_mode_0400_will_do() {
    let folder = TempDir::new().unwrap();
    assert!(FileSeal::open(&seal_file(&folder, 32, 0o400)).is_ok());
    for mode in [0o600, 0o440, 0o404, 0o500, 0o644, 0o4400, 0o000] {
        // Only root gets to see what is wrong with a file that it may not read.
        match FileSeal::open(&seal_file(&folder, 32, mode)) {
            Err(SealError::Refused { problem, .. }) => {
                assert!(problem.contains(&format!("{mode:04o}")), "{problem}");
                assert!(problem.contains("chmod 0400"), "{problem}");
            }
            Err(SealError::File { .. }) if mode & 0o400 == 0 => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn only_32_bytes_in_a_regular_file_will_do() {
    let folder = TempDir::new().unwrap();
    for len in [0, 31, 33, 64] {
        assert!(refusal(&seal_file(&folder, len, 0o400)).contains(&format!("has {len} bytes")));
    }
    assert!(refusal(folder.path()).contains("not a regular file"));
    let missing = FileSeal::open(&folder.path().join("missing"));
    assert!(matches!(missing, Err(SealError::File { .. })));
}

#[test]
fn a_link_is_judged_by_what_it_leads_to() {
    let folder = TempDir::new().unwrap();
    for (mode, good) in [(0o400, true), (0o600, false)] {
        let link = folder.path().join(format!("link-{mode:o}"));
        symlink(seal_file(&folder, 32, mode), &link).unwrap();
        assert_eq!(FileSeal::open(&link).is_ok(), good);
    }
}

#[test]
fn a_wrong_seal_is_named_as_such() {
    let [right, wrong] = [(); 2].map(|()| MemorySeal::generate().unwrap());
    let sealed = right.wrap(&RootKey::generate().unwrap(), cluster(1)).unwrap();
    let error = wrong.unwrap(&sealed, cluster(1)).unwrap_err();
    assert!(matches!(error, SealError::WrongSeal { .. }));
    let text = error.to_string();
    assert!(text.contains(right.id()) && text.contains(wrong.id()), "{text}");
}

#[test]
fn a_damaged_or_foreign_root_is_refused() {
    let seal = MemorySeal::generate().unwrap();
    let sealed = seal.wrap(&RootKey::generate().unwrap(), cluster(1)).unwrap();
    let refused = |sealed: &SealedRoot, cluster| {
        matches!(seal.unwrap(sealed, cluster).unwrap_err(), SealError::Damaged(_))
    };
    assert!(refused(&sealed, cluster(2)));
    for blob in damaged(&sealed.blob) {
        let mut changed = sealed.clone();
        changed.blob = blob;
        assert!(refused(&changed, cluster(1)));
    }
    let mut renamed = sealed.clone();
    renamed.seal_id.push('0');
    assert!(refused(&renamed, cluster(1)));
}

#[test]
fn debug_shows_no_secret() {
    let folder = TempDir::new().unwrap();
    let shown = format!("{:?}", FileSeal::open(&seal_file(&folder, 32, 0o400)).unwrap());
    assert!(shown.contains("key: Key32(..)") && !shown.contains("66, 66"), "{shown}");
}
