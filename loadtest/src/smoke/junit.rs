//! The report as JUnit's XML, as AWS CodeBuild and other CI systems read it.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use quick_xml::Writer;
use quick_xml::events::BytesText;

use super::report::{Case, Outcome, Report};

const SUITE: &str = "headgate-smoke";

/// Writes a report.
///
/// # Errors
/// It can't be written.
pub fn write(report: &Report, out: impl Write) -> io::Result<()> {
    let [_, failed, skipped] = report.counts();
    let took: Duration = report.cases.iter().map(|case| case.took).sum();
    let began = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs_f64(report.began)).to_string();
    let (tests, failures, skips) = (report.cases.len().to_string(), failed.to_string(), skipped.to_string());
    let time = seconds(took);
    let counts =
        [("tests", tests.as_str()), ("failures", &failures), ("errors", "0"), ("skipped", &skips), ("time", &time)];

    let mut out = out;
    out.write_all(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")?;
    let mut xml = Writer::new_with_indent(out, b' ', 2);
    let suites = xml.create_element("testsuites").with_attribute(("name", SUITE)).with_attributes(counts);
    suites.write_inner_content(|xml| {
        let suite = xml.create_element("testsuite").with_attribute(("name", SUITE)).with_attributes(counts);
        let suite = suite.with_attributes([("hostname", clean(&report.target).as_str()), ("timestamp", &began)]);
        suite.write_inner_content(|xml| report.cases.iter().try_for_each(|case| write_case(case, xml)))?;
        Ok(())
    })?;
    let mut out = xml.into_inner();
    out.write_all(b"\n")?;
    out.flush()
}

fn write_case<W: Write>(case: &Case, xml: &mut Writer<W>) -> io::Result<()> {
    let time = seconds(case.took);
    let element = xml.create_element("testcase").with_attributes([
        ("classname", SUITE),
        ("name", case.step.name()),
        ("time", &time),
    ]);
    element.write_inner_content(|xml| {
        match &case.outcome {
            Outcome::Passed => {}
            Outcome::Failed(problem) => {
                let text = clean(&problem.to_string());
                let failure = xml
                    .create_element("failure")
                    .with_attributes([("message", text.as_str()), ("type", problem.kind())]);
                failure.write_text_content(BytesText::new(&text))?;
            }
            Outcome::Skipped(why) => {
                xml.create_element("skipped").with_attribute(("message", clean(why).as_str())).write_empty()?;
            }
        }
        if !case.figures.is_empty() {
            let text = clean(&case.figures.join("\n"));
            xml.create_element("system-out").write_text_content(BytesText::new(&text))?;
        }
        Ok(())
    })?;
    Ok(())
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

/// Without the characters that XML 1.0 can't hold, not even escaped (2.2, "Characters"): those are shown as Rust escapes
/// them.
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => clean.push(character),
            // Writing to a string can't fail.
            other => drop(write!(clean, "\\u{{{:x}}}", u32::from(other))),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smoke::{Problem, Step};

    fn report() -> Report {
        let case = |step, outcome, millis, figures: &[&str]| Case {
            step,
            outcome,
            took: Duration::from_millis(millis),
            figures: figures.iter().map(|figure| (*figure).to_owned()).collect(),
        };
        let odd = Problem::Metrics("<&\"'> \u{1}\u{fffe} é\u{1f600}".to_owned());
        Report {
            target: "https://play.example.com:443".to_owned(),
            began: 1_790_000_000.5,
            cases: vec![
                case(Step::Version, Outcome::Passed, 1_234, &["0.1.0 in 20 answers", "<two>"]),
                case(Step::Metrics, Outcome::Failed(odd), 10, &[]),
                case(Step::CleanUp, Outcome::Skipped("nothing was \"made\"".to_owned()), 0, &[]),
            ],
            interrupted: false,
        }
    }

    #[test]
    fn a_report_is_xml_whatever_a_gateway_has_said() {
        let mut out = Vec::new();
        write(&report(), &mut out).expect("memory takes it");
        let text = String::from_utf8(out).expect("UTF-8");
        let counts = r#"tests="3" failures="1" errors="0" skipped="1" time="1.244""#;
        let failure = "the metrics can't be read: &lt;&amp;&quot;&apos;&gt; \\u{1}\\u{fffe} é\u{1f600}";
        let expected = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="headgate-smoke" {counts}>
  <testsuite name="headgate-smoke" {counts} hostname="https://play.example.com:443" timestamp="2026-09-21T14:13:20Z">
    <testcase classname="headgate-smoke" name="version" time="1.234">
      <system-out>0.1.0 in 20 answers
&lt;two&gt;</system-out>
    </testcase>
    <testcase classname="headgate-smoke" name="metrics" time="0.010">
      <failure message="{failure}" type="metrics">{failure}</failure>
    </testcase>
    <testcase classname="headgate-smoke" name="clean-up" time="0.000">
      <skipped message="nothing was &quot;made&quot;"/>
    </testcase>
  </testsuite>
</testsuites>
"#
        )
        .replace("can't", "can&apos;t");
        assert_eq!(text, expected);
        assert_eq!((report().exit_code(), report().counts()), (3, [1, 1, 1]));
    }
}
