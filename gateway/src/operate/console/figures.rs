//! What `/metrics` shows, for pages that show some of it.

use crate::metrics::Metrics;

/// Every metric with its labels, as exposed.
pub(super) struct Figures(Vec<Figure>);

/// One line of the exposition.
pub(super) struct Figure {
    name: String,
    labels: Vec<(String, String)>,
    /// Its value.
    pub(super) value: f64,
}

impl Figures {
    /// As they stand now.
    pub(super) fn of(metrics: &Metrics) -> Self {
        Self(metrics.encode().unwrap_or_default().lines().filter_map(Figure::parse).collect())
    }

    /// Those of one name.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Figure> {
        self.0.iter().filter(move |figure| figure.name == name)
    }

    /// The one of this name and these labels, in any order.
    pub(super) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let fits = |figure: &&Figure| labels.iter().all(|(label, value)| figure.label(label) == *value);
        self.named(name).find(fits).map(|figure| figure.value)
    }

    /// All of this name and these labels together.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |figure: &&Figure| labels.iter().all(|(label, value)| figure.label(label) == *value);
        self.named(name).filter(fits).map(|figure| figure.value).sum()
    }
}

impl Figure {
    /// A label's value; empty where it has no such label.
    pub(super) fn label(&self, label: &str) -> &str {
        self.labels.iter().find(|(known, _)| known == label).map_or("", |(_, value)| value)
    }

    fn parse(line: &str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let (series, value) = line.rsplit_once(' ')?;
        let value = value.parse().ok()?;
        let (name, labels) = match series.split_once('{') {
            None => (series, ""),
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
        };
        Some(Self { name: name.to_owned(), labels: parse_labels(labels), value })
    }
}

/// `name="value",…`, with `\"`, `\\` and `\n` escaped in values.
fn parse_labels(text: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut characters = after.char_indices();
        let mut end = after.len();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, escaped)) => value.push(escaped),
                    None => break,
                },
                other => value.push(other),
            }
        }
        labels.push((name.trim_start_matches(',').to_owned(), value));
        rest = after.get(end..).unwrap_or_default();
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Counter, Ratio};

    #[test]
    fn what_is_counted_is_found_by_name_and_labels() {
        let metrics = Metrics::new();
        metrics.counter(Counter::EventsSettled, &["a \"quoted\", name\\", "accepted"]).inc_by(7);
        metrics.counter(Counter::EventsSettled, &["b", "accepted"]).inc_by(3);
        metrics.ratio(Ratio::DeliveryEfficiency, &["kinesis", "total"]).set(0.75);
        let figures = Figures::of(&metrics);
        let name = "headgate_events_settled_total";
        assert_eq!(figures.value(name, &[("application", "a \"quoted\", name\\")]), Some(7.0));
        assert_eq!(figures.sum(name, &[("verdict", "accepted")]), 10.0);
        assert_eq!(figures.value("headgate_delivery_efficiency_ratio", &[("part", "total")]), Some(0.75));
        assert_eq!(figures.value(name, &[("application", "c")]), None);
        assert_eq!(figures.value("headgate_accounting_violations_total", &[]), Some(0.0));
    }
}
