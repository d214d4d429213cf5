//! The first queries over the lake, with DuckDB from PyPI where that can be had; else rows are counted here.
//!
//! What runs is shown as it runs, ready to be copied: the same SQL answers on Athena but for the view.

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
connection.execute(work["view"])
answers = []
for sql in work["queries"]:
    result = connection.execute(sql)
    answers.append({"columns": [column[0] for column in result.description],
                    "rows": [["" if value is None else str(value) for value in row] for row in result.fetchall()]})
json.dump(answers, sys.stdout)
"#;

/// What is asked, and the question in words.
const QUERIES: [(&str, &str); 5] = [
    (
        "What happened, and how often?",
        "SELECT event_type, count(DISTINCT event_id) AS events
FROM raw_events GROUP BY event_type ORDER BY events DESC",
    ),
    (
        "Which versions of the game log in?",
        "SELECT app_version, count(DISTINCT event_id) AS logins
FROM raw_events WHERE event_type = 'login' GROUP BY app_version ORDER BY logins DESC",
    ),
    (
        "What do players spend, by currency?",
        "SELECT json_extract_string(event_data, '$.currency_type') AS currency,
       count(DISTINCT event_id) AS purchases,
       sum(CAST(json_extract_string(event_data, '$.currency_amount') AS DECIMAL(18, 2))) AS amount
FROM raw_events WHERE event_type = 'iap_transaction' GROUP BY 1 ORDER BY purchases DESC",
    ),
    (
        "Which spells knock most players out?",
        "SELECT json_extract_string(event_data, '$.spell_id') AS spell, count(DISTINCT event_id) AS knockouts
FROM raw_events WHERE event_type = 'user_knockout' GROUP BY 1 ORDER BY knockouts DESC LIMIT 5",
    ),
    (
        "When was the busiest minute?",
        "SELECT date_trunc('minute', make_timestamp(event_time_ms * 1000)) AS minute_utc,
       count(DISTINCT event_id) AS events,
       count(DISTINCT json_extract_string(event_data, '$.player_id')) AS players
FROM raw_events GROUP BY 1 ORDER BY events DESC LIMIT 1",
    ),
];

/// A Python that has DuckDB.
pub(super) struct DuckDb {
    python: PathBuf,
}

#[derive(Serialize)]
struct Work<'a> {
    view: &'a str,
    queries: Vec<&'a str>,
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
    let view = format!(
        "CREATE VIEW raw_events AS\nSELECT * FROM read_parquet('{}/raw_events/**/*.parquet', hive_partitioning = true)",
        lake.display().to_string().replace('\'', "''")
    );
    let python = duckdb.as_ref().map(|duckdb| duckdb.python.display().to_string());
    let answers = match &duckdb {
        Ok(duckdb) => duckdb.ask(&view).await,
        Err(why) => Err(why.clone()),
    };
    match answers {
        Ok(answers) => {
            let how = python.map(|python| format!("DuckDB, from {python}")).unwrap_or_default();
            screen.line(&Line::strong("\nFirst queries ").then_plain(format!("({how})")));
            screen.line(&Line::dim(indented(&format!("{view};"))));
            for ((question, sql), answer) in QUERIES.iter().zip(answers) {
                screen.line(&Line::strong(format!("\n{question}")));
                screen.line(&Line::dim(indented(&format!("{sql};"))));
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
            screen.line(&Line::dim(indented(&format!("{view};\n{};", QUERIES[0].1))));
        }
    }
    Ok(())
}

impl DuckDb {
    async fn ask(&self, view: &str) -> Result<Vec<Answer>, String> {
        let work = Work { view, queries: QUERIES.iter().map(|(_, sql)| *sql).collect() };
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
        for (question, sql) in QUERIES {
            assert!(question.ends_with('?') && !sql.contains(';'), "{question}");
        }
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
