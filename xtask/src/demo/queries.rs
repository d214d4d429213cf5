//! The first queries over the lake, with DuckDB from PyPI where that can be had; else rows are counted here.
//!
//! They are those of `deploy/queries`, and are shown as they run, ready to be copied: the same text answers on Athena.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use headgate_loadtest::terminal::{Line, Screen};
use headgate_loadtest::verify::lake::Contents;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::group::Group;
use super::{Folders, Stop, words};

const LOOK_WITHIN: Duration = Duration::from_secs(20);
const VENV_WITHIN: Duration = Duration::from_secs(60);
const INSTALL_WITHIN: Duration = Duration::from_secs(120);
const QUERY_WITHIN: Duration = Duration::from_secs(120);

/// Runs the statements that come as JSON on standard input, and answers in JSON.
const RUNNER: &str = r#"
import duckdb, json, sys
work = json.load(sys.stdin)
connection = duckdb.connect()
connection.execute(work["setup"])
answers = []
for sql in work["queries"]:
    result = connection.execute(sql)
    answers.append({"columns": [column[0] for column in result.description],
                    "rows": [["" if value is None else str(value) for value in row] for row in result.fetchall()]})
json.dump(answers, sys.stdout)
"#;

/// What lets DuckDB understand them; it looks for the lake where `serve` puts it by default.
const SETUP: &str = include_str!("../../../deploy/queries/duckdb/setup.sql");
const DEFAULT_LAKE: &str = "headgate-data/lake";

/// What is asked: queries for Athena, which DuckDB answers as they stand.
const QUERIES: [Query; 5] = [
    Query(include_str!("../../../deploy/queries/events_by_type.sql")),
    Query(include_str!("../../../deploy/queries/logins_by_app_version.sql")),
    Query(include_str!("../../../deploy/queries/revenue_by_currency_per_day.sql")),
    Query(include_str!("../../../deploy/queries/knockouts_by_spell.sql")),
    Query(include_str!("../../../deploy/queries/busiest_minutes.sql")),
];

/// A query's file: comments that say what it is for, and the statement.
struct Query(&'static str);

impl Query {
    /// The question in words.
    fn question(&self) -> &'static str {
        self.0.lines().find_map(|line| line.strip_prefix("-- answers: ")).unwrap_or_default()
    }

    fn statement(&self) -> String {
        without_comments(self.0)
    }
}

/// The statements of a file, without lines that only say something about them.
fn without_comments(sql: &str) -> String {
    let lines = sql.lines().filter(|line| !line.is_empty() && !line.trim_start().starts_with("--"));
    lines.collect::<Vec<_>>().join("\n")
}

/// A Python that has DuckDB.
pub(super) struct DuckDb {
    python: PathBuf,
}

#[derive(Serialize)]
struct Work<'a> {
    setup: &'a str,
    queries: Vec<String>,
}

#[derive(Deserialize)]
struct Answer {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// Finds DuckDB in a virtual environment below the target folder, made at the first demo.
///
/// # Errors
/// Why it can't be had, in words; the demo goes on without.
pub(super) async fn find_duckdb(folders: &Folders) -> Result<DuckDb, String> {
    let python = folders.python.join("bin/python");
    let log = File::create(&folders.python_log).map_err(|error| error.to_string())?;
    let has_duckdb = async || quiet(Command::new(&python).args(["-c", "import duckdb"]), &log, LOOK_WITHIN).await;
    if has_duckdb().await.is_err() {
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(&folders.python);
        quiet(&mut venv, &log, VENV_WITHIN).await?;
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "duckdb"]);
        quiet(&mut install, &log, INSTALL_WITHIN).await?;
        has_duckdb().await?;
    }
    Ok(DuckDb { python })
}

/// Runs a command that says what it has to say to a log.
async fn quiet(command: &mut Command, log: &File, within: Duration) -> Result<(), String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let to_log = || log.try_clone().map(Stdio::from).map_err(|error| error.to_string());
    command.stdout(to_log()?).stderr(to_log()?);
    let running = async { Group::start(command)?.finish().await };
    match timeout(within, running).await {
        Ok(Ok((status, _))) if status.success() => Ok(()),
        Ok(Ok((status, _))) => Err(format!("{name}: {status}")),
        Ok(Err(error)) => Err(format!("{name}: {error}")),
        Err(_) => Err(format!("{name} took longer than {}", words::duration(within))),
    }
}

/// Asks the lake, and shows what was asked and answered.
pub(super) async fn show(
    screen: &Screen,
    lake: &Path,
    contents: &Contents,
    duckdb: Result<DuckDb, String>,
) -> Result<(), Stop> {
    let setup = without_comments(SETUP).replace(DEFAULT_LAKE, &lake.display().to_string().replace('\'', "''"));
    let python = duckdb.as_ref().map(|duckdb| duckdb.python.display().to_string());
    let answers = match &duckdb {
        Ok(duckdb) => duckdb.ask(&setup).await,
        Err(why) => Err(why.clone()),
    };
    match answers {
        Ok(answers) => {
            let how = python.map(|python| format!("DuckDB, from {python}")).unwrap_or_default();
            screen.line(&Line::strong("\nFirst queries ").then_plain(format!("({how})")));
            screen.line(&Line::dim(indented(&setup)));
            for (query, answer) in QUERIES.iter().zip(answers) {
                screen.line(&Line::strong(format!("\n{}", query.question())));
                screen.line(&Line::dim(indented(&format!("{};", query.statement()))));
                table(screen, &answer);
            }
        }
        Err(why) => {
            screen.line(&Line::strong("\nRows by event type ").then_plain(format!("(without DuckDB: {why})")));
            let rows =
                contents.rows_by_type.iter().map(|(event_type, rows)| vec![event_type.clone(), rows.to_string()]);
            let columns = ["event_type", "rows"].map(str::to_owned).to_vec();
            table(screen, &Answer { columns, rows: rows.collect() });
            screen.line(&Line::dim("  With DuckDB of your own:"));
            screen.line(&Line::dim(indented(&format!("{setup}\n{};", QUERIES[0].statement()))));
        }
    }
    Ok(())
}

impl DuckDb {
    async fn ask(&self, setup: &str) -> Result<Vec<Answer>, String> {
        let work = Work { setup, queries: QUERIES.iter().map(Query::statement).collect() };
        let work = serde_json::to_vec(&work).map_err(|error| error.to_string())?;
        let asking = async {
            let mut process = Command::new(&self.python)
                .args(["-c", RUNNER])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()?;
            if let Some(mut input) = process.stdin.take() {
                input.write_all(&work).await?;
            }
            process.wait_with_output().await
        };
        let output = timeout(QUERY_WITHIN, asking)
            .await
            .map_err(|_| format!("the queries took longer than {}", words::duration(QUERY_WITHIN)))?
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(errors.lines().last().unwrap_or("the queries failed").to_owned());
        }
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// Prints columns side by side, the first to the left and figures to the right.
fn table(screen: &Screen, answer: &Answer) {
    let cell = |text: &str| match text.parse::<u64>() {
        Ok(number) => words::count(number),
        Err(_) => text.to_owned(),
    };
    let rows: Vec<Vec<String>> = answer.rows.iter().map(|row| row.iter().map(|text| cell(text)).collect()).collect();
    let width = |place: usize| {
        let cells = rows.iter().filter_map(|row| row.get(place));
        cells.chain(answer.columns.get(place)).map(|text| text.chars().count()).max().unwrap_or(0)
    };
    let line = |cells: &[String]| {
        let padded = cells.iter().enumerate().map(|(place, text)| match place {
            0 => format!("{text:<width$}", width = width(place)),
            _ => format!("{text:>width$}", width = width(place)),
        });
        format!("  {}", padded.collect::<Vec<_>>().join("   "))
    };
    screen.line(&Line::strong(line(&answer.columns)));
    for row in &rows {
        screen.line(&Line::plain(line(row)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_copied_line_by_line() {
        assert_eq!(indented("SELECT 1\nFROM x;"), "  SELECT 1\n  FROM x;");
        for query in QUERIES {
            let (question, statement) = (query.question(), query.statement());
            assert!(question.ends_with('?') && !statement.contains(';') && !statement.contains("--"), "{question}");
        }
        assert!(without_comments(SETUP).contains(DEFAULT_LAKE) && without_comments(SETUP).ends_with(';'));
    }

    #[tokio::test]
    async fn a_python_that_is_not_there_is_told_and_nothing_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = File::create(folder.path().join("log")).expect("a file");
        let error = quiet(&mut Command::new("no-such-python"), &log, LOOK_WITHIN).await.expect_err("there is none");
        assert!(error.contains("no-such-python"), "{error}");
        assert_eq!(std::fs::read_to_string(folder.path().join("log")).expect("a log"), "");
    }
}
