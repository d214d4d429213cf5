//! The list in `docs/events.md`, which is made from the protos.

use std::fmt::Write;
use std::fs;

use crate::library::{Value, event_types};
use crate::{WRITE, is_to_be_written, workspace};

const BEGIN: &str = "<!-- Made from the protos: -->\n";
const END: &str = "<!-- The list ends. -->\n";

fn list() -> String {
    let mut list = String::new();
    for of_type in event_types() {
        let _ = writeln!(list, "\n### {}\n\n{}\n\n| member | type | |\n|---|---|---|", of_type.name, of_type.about);
        for field in &of_type.fields {
            let kind = match &field.value {
                Value::Text(_) => "text",
                Value::Truth => "true or false",
                Value::Integer { .. } => "whole number",
                Value::Number { .. } => "number",
            };
            let _ = writeln!(list, "| `{}` | {kind} | {} |", field.name, field.about);
        }
    }
    list.push('\n');
    list
}

#[test]
fn the_page_lists_what_the_protos_say() {
    let path = workspace().join("docs/events.md");
    let page = fs::read_to_string(&path).expect("the page is there");
    let (before, rest) = page.split_once(BEGIN).expect("the list begins");
    let (kept, after) = rest.split_once(END).expect("the list ends");
    let made = list();
    if is_to_be_written() {
        fs::write(&path, [before, BEGIN, &made, END, after].concat()).expect("the page can be written");
    } else {
        assert!(kept == made, "docs/events.md does not list what the protos say: run this test with {WRITE}=1");
    }
}
