//! The pieces that pages are made of.

use maud::{Markup, PreEscaped, html};
use uuid::Uuid;

use super::words;
use crate::live::view::Verdicts;
use crate::registry::{Environment, Route};

/// A figure with its name.
pub(super) fn tile(name: &str, value: &str, note: &str, class: &str) -> Markup {
    html! { li .(class) { span .name { (name) } span .value { (value) } span .unit { (note) } } }
}

/// The figures of the last hour.
pub(super) fn verdict_tiles(rate: f64, hour: Verdicts) -> Markup {
    let repeated = format!("{} seen before", words::count(hour.duplicates));
    let accepted_note = if hour.duplicates > 0 { repeated.as_str() } else { "last hour" };
    let alarming = |count: u64, class: &'static str| if count > 0 { class } else { "" };
    html! {
        ul .tiles {
            (tile("Events a second", &words::rate(rate), "last ten seconds", ""))
            (tile("Accepted", &words::count(hour.accepted), accepted_note, ""))
            (tile("Rejected", &words::count(hour.rejected), "break a rule; last hour", alarming(hour.rejected, "bad")))
            (tile("To be sent again", &words::count(hour.retry + hour.unknown), "last hour",
                alarming(hour.retry + hour.unknown, "warn")))
            @if hour.warned > 0 {
                (tile("Do not fit", &words::count(hour.warned), "their schema, accepted; last hour", "warn"))
            }
            @if hour.suppressed > 0 {
                (tile("Not kept", &words::count(hour.suppressed), "of suppressed players; last hour", ""))
            }
        }
    }
}

/// A short word with a colour; the word says it alone.
pub(super) fn badge(class: &str, word: &str) -> Markup {
    html! { span .badge .(class) { (word) } }
}

/// Which environment an application is.
pub(super) fn environment(environment: Environment) -> Markup {
    let class = match environment {
        Environment::Dev => "none",
        Environment::Stage => "warn",
        Environment::Prod => "good",
    };
    badge(class, environment.as_str())
}

/// A table that scrolls by itself where it is too wide; `caption` names it for those who can't see it.
pub(super) fn table(caption: &str, columns: &[&str], rows: &Markup) -> Markup {
    html! {
        div .scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption .unseen { (caption) }
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody { (labelled(columns, rows)) }
            }
        }
    }
}

/// Rows whose cells carry the names of their columns, for a phone, where a row is a card. Whatever people wrote in them
/// is escaped, so what looks like a cell is one.
fn labelled(columns: &[&str], rows: &Markup) -> Markup {
    let mut markup = String::with_capacity(rows.0.len() * 2);
    let (mut rest, mut column) = (rows.0.as_str(), 0);
    while let Some(at) = rest.find("<t") {
        let tag = rest[at..].split([' ', '>']).next().unwrap_or_default();
        let (before, after) = rest.split_at(at + tag.len());
        markup.push_str(before);
        match tag {
            "<tr" => column = 0,
            "<td" | "<th" => {
                if let Some(name) = columns.get(column) {
                    markup.push_str(" data-label=\"");
                    markup.push_str(&html! { (name) }.into_string());
                    markup.push('"');
                }
                column += 1;
            }
            _ => {}
        }
        rest = after;
    }
    markup.push_str(rest);
    PreEscaped(markup)
}

/// A line to type in.
pub(super) struct Input<'a> {
    pub(super) name: &'a str,
    pub(super) label: &'a str,
    pub(super) value: &'a str,
    /// What it is for or how it is written; may be empty.
    pub(super) hint: &'a str,
    pub(super) required: bool,
}

impl Input<'_> {
    pub(super) fn show(&self) -> Markup {
        self.marked(!self.required)
    }

    /// Without a word on whether it may be left empty: where a person may try what happens.
    pub(super) fn show_bare(&self) -> Markup {
        self.marked(false)
    }

    fn marked(&self, optional: bool) -> Markup {
        let hint = (!self.hint.is_empty()).then(|| format!("{}-hint", self.name));
        html! {
            div .field {
                label for=(self.name) { (self.label) @if optional { span .optional { " optional" } } }
                input type="text" id=(self.name) name=(self.name) value=(self.value) required[self.required]
                    autocomplete="off" aria-describedby=[hint.as_deref()];
                @if let Some(hint) = &hint { p .hint id=(hint) { (self.hint) } }
            }
        }
    }
}

/// One of a few.
pub(super) fn select(name: &str, label: &str, hint: &str, options: &[(&str, &str)], chosen: &str) -> Markup {
    html! {
        div .field {
            label for=(name) { (label) }
            select id=(name) name=(name) aria-describedby=[(!hint.is_empty()).then(|| format!("{name}-hint"))] {
                @for (value, text) in options { option value=(value) selected[*value == chosen] { (text) } }
            }
            @if !hint.is_empty() { p .hint id={ (name) "-hint" } { (hint) } }
        }
    }
}

/// A box to tick.
pub(super) fn tick(name: &str, label: &str, ticked: bool) -> Markup {
    html! { div .tick { input type="checkbox" id=(name) name=(name) value="on" checked[ticked]; label for=(name) { (label) } } }
}

/// The environments to choose from.
pub(super) fn environments(chosen: Environment) -> Markup {
    let options = [
        ("dev", "dev: for those who make the game"),
        ("stage", "stage: for those who test it"),
        ("prod", "prod: for those who play it"),
    ];
    select("environment", "Environment", "", &options, chosen.as_str())
}

/// The routes to choose from.
pub(super) fn routes(chosen: Option<Route>) -> Markup {
    let mut options = vec![("", "the gateway's own (delivery.destination)")];
    options.extend(Route::ALL.iter().map(|route| (route.as_str(), route.as_str())));
    let hint = "One that this gateway has no settings for goes to the gateway's own.";
    select("route", "Where its events go", hint, &options, chosen.map_or("", |route| route.as_str()))
}

/// A text to be copied: with the script, by a button.
pub(super) fn copyable(id: &str, what: &str, text: &str) -> Markup {
    html! {
        div .copyable {
            pre tabindex="0" { code id=(id) { (text) } }
            button .copy type="button" data-copy=(id) hidden { "Copy" span .unseen { " " (what) } }
        }
    }
}

/// Says what went wrong with a form.
pub(super) fn form_problem(problem: Option<&str>) -> Markup {
    html! { @if let Some(problem) = problem { p .problem role="alert" { (problem) } } }
}

/// A part that the script replaces by a newer one.
pub(super) fn live(id: &str, content: &Markup) -> Markup {
    html! { div id=(id) data-part { (content) } }
}

/// Where an application's pages are.
pub(super) fn application_address(id: Uuid) -> String {
    format!("/console/applications/{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_that_look_like_markup_stay_text() {
        let evil = "\"><script>alert(1)</script>";
        let shown = [
            tile(evil, evil, evil, "").into_string(),
            table(evil, &[evil], &html! { tr { td { (evil) } } }).into_string(),
            Input { name: "name", label: evil, value: evil, hint: evil, required: true }.show().into_string(),
            select("name", evil, evil, &[(evil, evil)], evil).into_string(),
            copyable("id", evil, evil).into_string(),
            form_problem(Some(evil)).into_string(),
        ];
        for markup in shown {
            assert!(!markup.contains("<script") && markup.contains("&lt;script&gt;"), "{markup}");
        }
    }

    #[test]
    fn every_cell_knows_its_column() {
        let rows = html! {
            @for name in ["<td>", "b"] { tr { th scope="row" { (name) } td .n { time { "1" } } td { textarea {} } } }
        };
        let table = table("Things", &["Name", "How \"many\"", "Note"], &rows).into_string();
        assert_eq!(table.matches("<th data-label=\"Name\" scope=\"row\">").count(), 2, "{table}");
        assert_eq!(table.matches("<td data-label=\"How &quot;many&quot;\" class=\"n\"><time>1</time>").count(), 2);
        assert_eq!(table.matches("<td data-label=\"Note\"><textarea>").count(), 2);
        assert!(table.contains("&lt;td&gt;"));
    }

    #[test]
    fn every_field_has_a_label_and_its_hint_is_told() {
        let field = Input { name: "name", label: "Name", value: "", hint: "Why", required: false }.show().into_string();
        for part in ["for=\"name\"", "id=\"name\"", "aria-describedby=\"name-hint\"", "id=\"name-hint\""] {
            assert!(field.contains(part), "{part} in {field}");
        }
    }
}
