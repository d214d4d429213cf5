//! The API keys of a run: from a file, from the environment (a command line is seen by everybody), or the key that a gateway on this
//! machine made at its first start. No error and no `Debug` output shows one.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Where the gateway's embedded defaults leave the key of their demo application.
pub const DEMO_KEY_FILE: &str = "./headgate-data/demo-api-key";
/// The variable that [`KeySource::given`] comes from.
pub const KEY_VARIABLE: &str = "HEADGATE_API_KEY";
/// As the gateway has it.
const LONGEST: usize = 256;

/// An application's API key. A secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// What the application is called in results, if the file says so.
    pub name: Option<String>,
    key: String,
}

impl ApiKey {
    /// The key itself, to be sent.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.key
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The keys of a run, one for each application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    keys: Vec<ApiKey>,
    /// What a reader of the result ought to know of where they came from.
    pub findings: Vec<String>,
}

/// Where keys may come from, the first that is there in this order.
#[derive(Clone, Copy)]
pub struct KeySource<'a> {
    /// `--api-key-file`.
    pub file: Option<&'a Path>,
    /// The variable [`KEY_VARIABLE`]: a key, or the lines of a file with keys.
    pub given: Option<&'a str>,
    /// The key of a gateway's demo application, usually [`DEMO_KEY_FILE`]; none if the target is another machine.
    pub demo: Option<&'a Path>,
}

/// Why there are no keys.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file can't be read.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A line of the file holds no key.
    #[error("{}, line {line}: {why}; give KEY, NAME KEY or NAME=KEY on each line", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        why: &'static str,
    },
    /// A line repeats a key.
    #[error("{}, line {line}: the key of line {first} again; give each application a key of its own", .path.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Where it stood first.
        first: usize,
    },
    /// The file holds fewer keys than there are applications.
    #[error("{} holds {keys} keys, and --apps {apps} needs {apps}: add keys or use fewer applications", .path.display())]
    TooFew {
        /// The file.
        path: PathBuf,
        /// Its keys.
        keys: usize,
        /// Applications.
        apps: u32,
    },
    /// The key that was given can't be one.
    #[error("{KEY_VARIABLE}: {0}")]
    Given(&'static str),
    /// There is one key for several applications.
    #[error(
        "--apps {0} needs {0} keys: give --api-key-file FILE, or the variable {KEY_VARIABLE}, with one key on each line"
    )]
    OneForMany(u32),
    /// There is no key at all.
    #[error("no API key: set the variable {KEY_VARIABLE}, or give --api-key-file FILE")]
    None,
}

impl Keys {
    /// Finds the keys for so many applications, at least one.
    ///
    /// # Errors
    /// There are none, too few, or ones that can't be keys; no error shows a key.
    pub fn find(source: &KeySource<'_>, apps: u32) -> Result<Self, KeyError> {
        let apps = apps.max(1);
        if let Some(file) = source.file {
            return Self::of_file(file, apps);
        }
        if let Some(given) = source.given {
            let key = given.trim();
            // A secret of a container comes as a variable, and may hold what a file would.
            if key.contains('\n') {
                return Self::of_text(key, Path::new(KEY_VARIABLE), apps);
            }
            check(key).map_err(KeyError::Given)?;
            let one = || Self { keys: vec![ApiKey { name: None, key: key.to_owned() }], findings: Vec::new() };
            return if apps == 1 { Ok(one()) } else { Err(KeyError::OneForMany(apps)) };
        }
        match source.demo {
            Some(_) if apps > 1 => Err(KeyError::OneForMany(apps)),
            Some(demo) if demo.is_file() => Self::of_file(demo, 1),
            _ => Err(KeyError::None),
        }
    }

    fn of_file(path: &Path, apps: u32) -> Result<Self, KeyError> {
        let failed = |error| KeyError::File { path: path.to_path_buf(), error };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let keys = Self::of_text(&text, path, apps)?;
        Ok(Self { findings: open_to_others(path).into_iter().collect(), ..keys })
    }

    /// Of lines; `path` is where they are, for errors.
    fn of_text(text: &str, path: &Path, apps: u32) -> Result<Self, KeyError> {
        let mut keys: Vec<ApiKey> = Vec::new();
        let mut lines = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let key = parse(text).map_err(|why| KeyError::Line { path: path.to_path_buf(), line, why })?;
            if let Some(first) = keys.iter().position(|other| other.key == key.key) {
                return Err(KeyError::Twice { path: path.to_path_buf(), line, first: lines[first] });
            }
            keys.push(key);
            lines.push(line);
        }
        if keys.len() < apps as usize {
            return Err(KeyError::TooFew { path: path.to_path_buf(), keys: keys.len(), apps });
        }
        keys.truncate(apps as usize);
        Ok(Self { keys, findings: Vec::new() })
    }

    /// The keys, one for each application, in the file's order.
    #[must_use]
    pub fn as_slice(&self) -> &[ApiKey] {
        &self.keys
    }
}

/// Reads `KEY`, `NAME KEY` or `NAME=KEY`. A key itself may hold `=`, at its end too: only what can be a name stands
/// before one.
fn parse(line: &str) -> Result<ApiKey, &'static str> {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with("hg_")
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
    };
    let (name, key) = match line.split_once(char::is_whitespace) {
        Some((name, key)) => (Some(name), key.trim_start()),
        None => match line.split_once('=') {
            Some((name, key)) if is_name(name) && !key.bytes().all(|byte| byte == b'=') => (Some(name), key),
            _ => (None, line),
        },
    };
    if name.is_some_and(|name| !is_name(name)) {
        return Err("the name holds something else than letters, digits, `_`, `.` and `-`, or is itself a key");
    }
    check(key)?;
    Ok(ApiKey { name: name.map(str::to_owned), key: key.to_owned() })
}

/// What the gateway takes as a key: 1 to 256 visible ASCII characters.
fn check(key: &str) -> Result<(), &'static str> {
    match key {
        "" => Err("the key is empty"),
        key if key.len() > LONGEST => Err("the key is longer than 256 characters"),
        key if !key.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err("the key holds something else than visible ASCII characters")
        }
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn open_to_others(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    let shown = path.display();
    (mode & 0o077 != 0).then(|| format!("the API keys in {shown} can be read by others: run `chmod 600 {shown}`"))
}

#[cfg(not(unix))]
fn open_to_others(_path: &Path) -> Option<String> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        std::fs::set_permissions(file.path(), PermissionsExt::from_mode(mode)).expect("a mode");
        file
    }

    fn find(text: &str, apps: u32) -> Result<Keys, KeyError> {
        let file = file(text, 0o600);
        Keys::find(&KeySource { file: Some(file.path()), given: Some("hg_other"), demo: None }, apps)
    }

    fn shown(keys: &Keys) -> Vec<(Option<&str>, &str)> {
        keys.as_slice().iter().map(|key| (key.name.as_deref(), key.expose())).collect()
    }

    #[test]
    fn a_file_gives_keys_with_and_without_names() {
        let text = "# applications\n\nhg_one\n  arena hg_two  \nshooter=hg_three\nc2VjcmV0==\nold=c2VjcmV0=\n";
        let keys = find(text, 5).expect("five keys");
        let expected = [
            (None, "hg_one"),
            (Some("arena"), "hg_two"),
            (Some("shooter"), "hg_three"),
            (None, "c2VjcmV0=="),
            (Some("old"), "c2VjcmV0="),
        ];
        assert_eq!(shown(&keys), expected);
        assert!(keys.findings.is_empty());
        assert_eq!(shown(&find(text, 2).expect("more than enough")), expected[..2]);
    }

    #[test]
    fn errors_and_debug_output_name_the_place_and_never_the_key() {
        let long = format!("app {}", "SECRET".repeat(50));
        let bad = [
            ("hg_fine\n\napp SECRET KEY", 1, "line 3: the key holds"),
            ("SECR\u{c9}T", 1, "line 1: the key holds"),
            ("#\napp=x\nSECRET!! SECRET", 1, "line 3: the name holds"),
            ("hg_SECRET hg_SECRET2", 1, "line 1: the name holds"),
            (&long, 1, "line 1: the key is longer"),
            ("SECRET\n# again\napp SECRET", 1, "line 3: the key of line 1 again"),
            ("SECRET\n", 2, "holds 1 keys, and --apps 2 needs 2"),
            ("# none\n", 0, "holds 0 keys"),
        ];
        for (text, apps, says) in bad {
            let error = find(text, apps).expect_err("refused");
            for shown in [error.to_string(), format!("{error:?}")] {
                assert!(!shown.contains("SECR"), "{shown}");
            }
            assert!(error.to_string().contains(says), "{error}");
        }
        let keys = find("app SECRET", 1).expect("a key");
        let debug = format!("{keys:?}");
        assert!(debug.contains("app") && !debug.contains("SECRET"), "{debug}");
    }

    #[test]
    fn errors_name_what_there_is_to_give() {
        let all = [KeyError::None, KeyError::Given("the key is empty"), KeyError::OneForMany(2)];
        for error in all.map(|error| error.to_string()) {
            assert!(error.contains(KEY_VARIABLE) || error.contains("--api-key-file"), "{error}");
            assert!(!error.replace("--api-key-file", "").contains("--api-key"), "{error}");
        }
    }

    #[test]
    fn the_file_goes_before_the_variable_and_the_variable_before_the_demo() {
        let (own, demo) = (file("hg_file", 0o600), file("hg_demo\n", 0o600));
        let none = KeySource { file: None, given: None, demo: None };
        let all = KeySource { file: Some(own.path()), given: Some(" hg_variable\n"), demo: Some(demo.path()) };
        let key = |source: &KeySource<'_>| Keys::find(source, 1).map(|keys| keys.as_slice()[0].expose().to_owned());
        assert_eq!(key(&all).expect("a key"), "hg_file");
        assert_eq!(key(&KeySource { file: None, ..all }).expect("a key"), "hg_variable");
        assert_eq!(key(&KeySource { demo: Some(demo.path()), ..none }).expect("a key"), "hg_demo");
        assert!(matches!(key(&none), Err(KeyError::None)));
        let gone = demo.path().with_extension("gone");
        assert!(matches!(key(&KeySource { demo: Some(&gone), ..none }), Err(KeyError::None)));
        assert!(matches!(key(&KeySource { file: Some(&gone), ..all }), Err(KeyError::File { .. })));
        assert!(matches!(key(&KeySource { file: None, given: Some("a b"), ..all }), Err(KeyError::Given(_))));
        let lines = KeySource { given: Some("arena hg_one\nhg_two\n"), ..none };
        assert_eq!(shown(&Keys::find(&lines, 2).expect("two keys")), [(Some("arena"), "hg_one"), (None, "hg_two")]);
        let few = Keys::find(&lines, 3).expect_err("refused").to_string();
        assert!(few.starts_with("HEADGATE_API_KEY holds 2 keys"), "{few}");
        for source in [KeySource { file: None, ..all }, KeySource { demo: Some(demo.path()), ..none }] {
            assert!(matches!(Keys::find(&source, 3), Err(KeyError::OneForMany(3))));
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_pointed_out() {
        for mode in [0o644, 0o640, 0o604] {
            let file = file("hg_one", mode);
            let keys = Keys::find(&KeySource { file: Some(file.path()), given: None, demo: None }, 1).expect("a key");
            assert!(keys.findings[0].contains("chmod 600"), "{mode:o}: {:?}", keys.findings);
        }
    }
}
