//! Who is let in, and that no credential shows anywhere.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::config::RegistryKind;

const TOKEN: &str = "a-token-of-thirty-two-characters";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn settings(folder: &TempDir) -> Settings {
    Settings { data_dir: folder.path().to_owned(), ..Settings::default() }
}

fn file(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).expect("writes");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("restricts");
    path
}

fn access_keys(content: &str) -> Result<Authority, AuthorityError> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(&folder);
    settings.admin.access_keys_file = Some(file(&folder, "keys", content));
    Authority::open(&settings)
}

#[test]
fn the_token_lets_in_and_nothing_else_does() {
    let authority = Authority::new(Some(&Secret::from(TOKEN)), BTreeMap::new());
    let actor = authority.bearer(TOKEN, Via::Console).expect("the token is right");
    assert_eq!(actor, Actor { name: "admin-token".to_owned(), via: Via::Console });
    let longer = format!("{TOKEN} ");
    for wrong in ["", &TOKEN[1..], &TOKEN[..TOKEN.len() - 1], &longer, &TOKEN.to_uppercase(), ADMIN_TOKEN] {
        assert_eq!(authority.bearer(wrong, Via::Grpc), None, "{wrong:?}");
    }
}

#[test]
fn without_credentials_nobody_may_administer() {
    let nobody = Authority::new(None, BTreeMap::new());
    assert!(!nobody.is_open());
    assert_eq!(nobody.bearer("", Via::Grpc), None);
    assert_eq!(nobody.secret_of(""), None);

    let folder = tempfile::tempdir().expect("a folder");
    let mut shared = settings(&folder);
    shared.registry.kind = RegistryKind::Dynamodb;
    assert!(!Authority::open(&shared).expect("nothing to read").is_open());
    assert!(!folder.path().join(FILE).exists());
}

#[test]
fn a_first_start_on_one_machine_makes_a_token_and_later_ones_keep_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Authority::open(&settings(&folder)).expect("makes a token");
    let made = first.made_token().expect("made").clone();
    assert!(made.is_new());
    assert_eq!(fs::metadata(made.path()).expect("is there").permissions().mode() & 0o777, 0o600);
    let content = fs::read_to_string(made.path()).expect("reads");
    let token = content.trim();
    assert!(token.len() >= 40 && token.starts_with("hga_"), "{token}");

    let second = Authority::open(&settings(&folder)).expect("reads the token");
    assert!(!second.made_token().expect("kept").is_new());
    for authority in [&first, &second] {
        assert!(authority.is_open() && authority.bearer(token, Via::Grpc).is_some());
    }
    let elsewhere = tempfile::tempdir().expect("a folder");
    let other = Authority::open(&settings(&elsewhere)).expect("makes a token");
    assert_eq!(other.bearer(token, Via::Grpc), None, "no two are alike");
}

#[test]
fn a_token_comes_from_the_settings_or_from_a_file_without_its_line_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut in_settings = settings(&folder);
    in_settings.admin.token = Some(Secret::from(TOKEN));
    let mut in_file = settings(&folder);
    in_file.admin.token_file = Some(file(&folder, "token", &format!("{TOKEN}\r\n")));
    for settings in [in_settings, in_file] {
        let authority = Authority::open(&settings).expect("a token");
        assert!(authority.bearer(TOKEN, Via::Rest).is_some());
        assert_eq!(authority.made_token(), None);
    }
    assert!(!folder.path().join(FILE).exists(), "none is made beside it");
}

#[test]
fn a_token_file_that_can_not_be_used_is_named_and_its_content_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(&folder);
    for content in ["", "short", "two words that are long enough"] {
        let path = file(&folder, "token", content);
        settings.admin.token_file = Some(path.clone());
        let error = Authority::open(&settings).map(|_| ()).expect_err("no token").to_string();
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(content.is_empty() || !error.contains(content), "{error}");
    }
    settings.admin.token_file = Some(folder.path().join("missing"));
    assert!(matches!(Authority::open(&settings), Err(AuthorityError::File { .. })));
}

#[test]
fn access_keys_are_found_by_their_ids() {
    let content = format!("# admins\n\nAKIAIOSFODNN7EXAMPLE {SECRET}\n  second\t{TOKEN}  \n");
    let authority = access_keys(&content).expect("two access keys");
    assert!(authority.is_open());
    assert_eq!(authority.secret_of("AKIAIOSFODNN7EXAMPLE").map(Secret::expose), Some(SECRET));
    assert_eq!(authority.secret_of("second").map(Secret::expose), Some(TOKEN));
    for unknown in ["", "third", "akiaiosfodnn7example", "#"] {
        assert_eq!(authority.secret_of(unknown), None, "{unknown}");
    }
    assert_eq!(authority.bearer(SECRET, Via::Rest), None, "a secret signs, it is no token");
}

#[test]
fn a_line_that_is_no_access_key_is_named_by_its_number_and_not_repeated() {
    let line = format!("good {SECRET}\n");
    let wrong = [
        "alone".to_owned(),
        format!("three {SECRET} words"),
        "short secret".to_owned(),
        format!("a/slash {SECRET}"),
        format!("{ADMIN_TOKEN} {SECRET}"),
        format!("{} {SECRET}", "x".repeat(129)),
        format!("good {TOKEN}"),
    ];
    for wrong in wrong {
        let error = access_keys(&format!("{line}{wrong}\n")).map(|_| ()).expect_err("refused").to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(!error.contains(SECRET) && !error.contains(TOKEN), "{error}");
    }
    assert!(matches!(access_keys("# none\n"), Err(AuthorityError::NoAccessKeys { .. })));
}

#[test]
fn nothing_of_a_credential_shows_in_debug_output() {
    let keys = BTreeMap::from([("AKIAIOSFODNN7EXAMPLE".to_owned(), Secret::from(SECRET))]);
    let authority = Authority::new(Some(&Secret::from(TOKEN)), keys);
    let shown = format!("{authority:?} {authority:#?}");
    assert!(shown.contains("AKIAIOSFODNN7EXAMPLE"), "{shown}");
    for hidden in [TOKEN, SECRET, &KeyHash::of(TOKEN).to_string()] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[test]
fn a_file_that_others_may_read_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(&folder, "token", TOKEN);
    assert!(!files::is_readable_by_others(&path).expect("looks"));
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("loosens");
        assert!(files::is_readable_by_others(&path).expect("looks"), "{mode:o}");
    }
}
