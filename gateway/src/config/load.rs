//! Puts the layers together, checks the result as a whole and remembers where each value came from.

use std::fmt;
use std::path::{Path, PathBuf};

use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::{Dict, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::Settings;
use super::check;
use super::sources::{self, Source};

/// Environment variables that speak to the command line and are no settings.
const NOT_SETTINGS: [&str; 5] = ["config", "output", "admin_token", "api_key", "artifact_bucket"];

/// The source of a default that is another one on Fargate.
const FARGATE: &str = "default on Fargate";

/// Checked settings and their sources.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Each setting's name, its value and where it came from, in the order of their names.
    pub sources: Vec<Source>,
}

impl From<Settings> for Loaded {
    /// Settings that a program made: whatever is no default is its own doing.
    fn from(settings: Settings) -> Self {
        let defaults = sources::of(&Settings::default(), |_, _| String::new());
        let is_default =
            |setting: &str, value: &str| defaults.iter().any(|known| known.setting == setting && known.value == value);
        let sources = sources::of(&settings, |setting, value| {
            if is_default(setting, value) { sources::DEFAULT.to_owned() } else { "program".to_owned() }
        });
        Self { settings, sources }
    }
}

/// Settings that can't be used. Shows every problem, not only the first.
#[derive(Clone, Debug)]
pub struct ConfigError {
    problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings can't be used:")?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Loads defaults, the file, the environment and `flags` (settings by name), later ones winning.
///
/// # Errors
/// [`ConfigError`] for a file that can't be read, an unknown setting, a value of the wrong kind or out of its range.
pub fn load(file: Option<&Path>, flags: &[(String, String)]) -> Result<Loaded, ConfigError> {
    load_on(Platform::of(|name| std::env::var(name).ok()), file, flags)
}

fn load_on(platform: Option<Platform>, file: Option<&Path>, flags: &[(String, String)]) -> Result<Loaded, ConfigError> {
    let mut figment = Figment::from(Serialized::defaults(Settings::default()));
    if let Some(platform) = platform {
        figment = figment.merge(platform);
    }
    if let Some(path) = file {
        if !path.is_file() {
            return Err(ConfigError { problems: vec![format!("{}: there is no such file", path.display())] });
        }
        figment = figment.merge(Toml::file_exact(path));
    }
    figment = figment.merge(Env::prefixed("HEADGATE_").ignore(&NOT_SETTINGS).split("__"));
    for (setting, value) in flags {
        figment = figment.merge(Flag { setting, value });
    }
    let settings: Settings = figment.extract().map_err(unreadable)?;
    let sources = sources::of(&settings, |setting, _| layer(&figment, setting));
    let problems: Vec<_> = check::problems(&settings)
        .into_iter()
        .map(|(setting, problem)| match sources.iter().find(|known| known.setting == setting) {
            Some(known) => format!("{setting} = {} ({}): {problem}", known.value, known.source),
            None => format!("{setting}: {problem}"),
        })
        .collect();
    if problems.is_empty() { Ok(Loaded { settings, sources }) } else { Err(ConfigError { problems }) }
}

/// A platform with defaults of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Platform {
    /// A task's disk dies with the task.
    Fargate,
}

impl Platform {
    /// `variable` reads the environment.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        // Set by Fargate for every container; the second one by ECS on other machines, too, where a container's disk is
        // as short-lived.
        let fargate = variable("AWS_EXECUTION_ENV").is_some_and(|value| value == "AWS_ECS_FARGATE")
            || variable("ECS_CONTAINER_METADATA_URI_V4").is_some();
        fargate.then_some(Self::Fargate)
    }
}

impl Provider for Platform {
    fn metadata(&self) -> Metadata {
        match self {
            Self::Fargate => Metadata::named(FARGATE),
        }
    }

    fn data(&self) -> Result<figment::value::Map<Profile, Dict>, figment::Error> {
        let delivery = match self {
            Self::Fargate => Dict::from([("spill".to_owned(), Value::from(0_u64))]),
        };
        let settings = Dict::from([("delivery".to_owned(), Value::from(delivery))]);
        Ok(figment::value::Map::from([(Profile::Default, settings)]))
    }
}

/// One flag of the command line, as a layer of its own so that its name is remembered.
struct Flag<'a> {
    setting: &'a str,
    value: &'a str,
}

impl Provider for Flag<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("flag for {}", self.setting))
    }

    fn data(&self) -> Result<figment::value::Map<Profile, Dict>, figment::Error> {
        // As in the environment: a number is a number, the rest is text.
        let mut value: Value = self.value.parse().unwrap_or_else(|never| match never {});
        for part in self.setting.rsplit('.') {
            value = Value::from(Dict::from([(part.to_owned(), value)]));
        }
        let dict = value.into_dict().unwrap_or_default();
        Ok(figment::value::Map::from([(Profile::Default, dict)]))
    }
}

/// What a file, a variable or a flag that can't be read has wrong.
pub(super) fn unreadable(error: figment::Error) -> ConfigError {
    ConfigError { problems: error.into_iter().map(|error| describe(&error)).collect() }
}

fn describe(error: &figment::Error) -> String {
    let setting = error.path.join(".");
    let source = error.metadata.as_ref().map_or_else(|| "default".to_owned(), source_name);
    let kind = unquoted(&error.kind.to_string());
    if setting.is_empty() { format!("{kind} ({source})") } else { format!("{setting} ({source}): {kind}") }
}

/// The reader of TOML quotes the line at fault, in which a secret may stand. Where it is and what is wrong is enough.
fn unquoted(problem: &str) -> String {
    if !problem.starts_with("TOML parse error") {
        return problem.to_owned();
    }
    let is_quote = |line: &&str| {
        line.trim_start_matches(|character: char| character == ' ' || character.is_ascii_digit()).starts_with('|')
    };
    problem.lines().filter(|line| !is_quote(line)).collect::<Vec<_>>().join(": ")
}

fn source_name(metadata: &Metadata) -> String {
    match metadata.source.as_ref().and_then(figment::Source::file_path) {
        Some(path) => format!("file {}", PathBuf::from(path).display()),
        None if metadata.name.contains("environment") => "environment".to_owned(),
        None if metadata.name.starts_with("flag") => "flag".to_owned(),
        None if metadata.name == FARGATE => FARGATE.to_owned(),
        None => "default".to_owned(),
    }
}

/// The layer that a setting's value came from.
fn layer(figment: &Figment, setting: &str) -> String {
    match figment.find_metadata(setting) {
        Some(metadata) if metadata.name.contains("environment") => {
            format!("environment HEADGATE_{}", setting.to_uppercase().replace('.', "__"))
        }
        Some(metadata) => source_name(metadata),
        None => sources::DEFAULT.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("writes");
        file
    }

    #[test]
    fn no_settings_at_all_are_good_settings() {
        let loaded = load(None, &[]).expect("the defaults are good");
        assert_eq!(loaded.settings.grpc.listen.port(), 50051);
        let listen = loaded.sources.iter().find(|source| source.setting == "grpc.listen").expect("is listed");
        assert_eq!((listen.value.as_str(), listen.source.as_str()), ("\"127.0.0.1:50051\"", "default"));
    }

    #[test]
    fn later_layers_win_and_each_value_knows_its_layer() {
        let file = file("[grpc]\nlisten = \"127.0.0.1:1\"\nmax_message = \"2MiB\"\n[lake]\nsegment_age = \"5s\"\n");
        let loaded = load(Some(file.path()), &[("grpc.listen".to_owned(), "127.0.0.1:2".to_owned())]).expect("good");
        assert_eq!(loaded.settings.grpc.listen.port(), 2);
        assert_eq!(loaded.settings.grpc.max_message.0, 2 << 20);
        assert_eq!(loaded.settings.lake.segment_age.as_secs(), 5);
        let source = |setting: &str| {
            loaded.sources.iter().find(|source| source.setting == setting).expect("is listed").source.clone()
        };
        assert_eq!(source("grpc.listen"), "flag");
        assert!(source("grpc.max_message").starts_with("file "));
        assert_eq!(source("grpc.max_frame"), "default");
    }

    #[test]
    fn what_a_program_sets_is_told_from_the_defaults() {
        let mut settings = Settings::default();
        settings.grpc.listen.set_port(1);
        let loaded = Loaded::from(settings);
        let of_program: Vec<_> = loaded.sources.iter().filter(|known| known.source != sources::DEFAULT).collect();
        assert_eq!(of_program.len(), 1, "{of_program:?}");
        assert_eq!((of_program[0].setting.as_str(), of_program[0].source.as_str()), ("grpc.listen", "program"));
    }

    #[test]
    fn on_fargate_there_is_no_spill_unless_it_is_set() {
        let fargate = |name: &str| (name == "AWS_EXECUTION_ENV").then(|| "AWS_ECS_FARGATE".to_owned());
        let ecs = |name: &str| (name == "ECS_CONTAINER_METADATA_URI_V4").then(|| "http://169.254.170.2/v4".to_owned());
        assert_eq!(Platform::of(fargate), Some(Platform::Fargate));
        assert_eq!(Platform::of(ecs), Some(Platform::Fargate));
        let lambda = |name: &str| (name == "AWS_EXECUTION_ENV").then(|| "AWS_Lambda_python3.13".to_owned());
        assert_eq!(Platform::of(lambda), None);
        assert_eq!(Platform::of(|_| None), None);

        let spill = |loaded: &Loaded| {
            let known = loaded.sources.iter().find(|source| source.setting == "delivery.spill").expect("is listed");
            (loaded.settings.delivery.spill.0, known.source.clone())
        };
        let elsewhere = load_on(None, None, &[]).expect("good");
        assert_eq!(spill(&elsewhere), (256 << 20, "default".to_owned()));
        let there = load_on(Some(Platform::Fargate), None, &[]).expect("good");
        assert_eq!(spill(&there), (0, FARGATE.to_owned()));
        let set = [("delivery.spill".to_owned(), "1MiB".to_owned())];
        let there = load_on(Some(Platform::Fargate), None, &set).expect("good");
        assert_eq!(spill(&there), (1 << 20, "flag".to_owned()));
    }

    #[test]
    fn bad_rows_to_firehose_need_a_delivery_stream_of_their_own() {
        let file = |text: &str| load(Some(file(text).path()), &[]);
        let error = file("[delivery]\nbad_rows = \"firehose\"\n").expect_err("no stream").to_string();
        assert!(error.contains("firehose.bad_rows_stream"), "{error}");
        let same =
            "[delivery]\nbad_rows = \"firehose\"\n[firehose]\ndelivery_stream = \"a\"\nbad_rows_stream = \"a\"\n";
        let error = file(same).expect_err("the events' own stream").to_string();
        assert!(error.contains("another delivery stream"), "{error}");
    }

    #[test]
    fn a_secret_is_shown_neither_as_a_setting_nor_in_an_error() {
        let token = |value: &str| load(None, &[("admin.token".to_owned(), value.to_owned())]);
        let loaded = token("open-sesame-open-sesame").expect("good");
        let known = loaded.sources.iter().find(|source| source.setting == "admin.token").expect("is listed");
        assert_eq!((known.value.as_str(), known.source.as_str()), ("\"(hidden)\"", "flag"));
        assert!(!format!("{loaded:?}").contains("sesame"));
        for wrong in ["sesame", "12345678901234567", "open sesame open sesame"] {
            let error = token(wrong).expect_err("no token").to_string();
            assert!(error.contains("admin.token") && !error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_secret_in_a_line_that_is_no_toml_is_not_shown() {
        for (line, at) in [("token = \"open-sesame", "line 2, column"), ("token = open-sesame", "line 2, column")] {
            let file = file(&format!("[admin]\n{line}\n"));
            let error = load(Some(file.path()), &[]).expect_err("no TOML").to_string();
            assert!(error.contains(at) && !error.contains("sesame"), "{error}");
        }
    }

    #[test]
    fn every_bad_setting_is_named_with_its_source() {
        let file = file("[ingest]\nmax_batch = 0\n[admission]\napp_share = 7.0\n");
        let error = load(Some(file.path()), &[]).expect_err("out of range").to_string();
        assert!(error.contains("ingest.max_batch = 0 (file "), "{error}");
        assert!(error.contains("admission.app_share = 7"), "{error}");
    }

    #[test]
    fn an_unknown_setting_is_an_error() {
        let file = file("[grpc]\nlissten = \"127.0.0.1:1\"\n");
        let error = load(Some(file.path()), &[]).expect_err("a typing error").to_string();
        assert!(error.contains("lissten"), "{error}");
        let error = load(Some(Path::new("no-such-file.toml")), &[]).expect_err("missing").to_string();
        assert!(error.contains("no-such-file.toml"), "{error}");
    }
}
