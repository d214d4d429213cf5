//! A gateway's metrics as a scraper sees them.

use std::collections::BTreeMap;

/// Every series of one scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Reads the OpenMetrics text format.
    ///
    /// # Panics
    /// If a line is none of it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let series = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let read = |line: &str| {
            // Label values hold spaces now and then, the number does not.
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        Self(series.map(|line| read(line).unwrap_or_else(|| panic!("no line of metrics: {line:?}"))).collect())
    }

    /// The sum over a name's series whose labels hold all of `labels`, such as `verdict="accepted"`; 0 without any.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let of_name = self.0.iter().filter(|(series, _)| series.split('{').next() == Some(name));
        of_name.filter(|(series, _)| labels.iter().all(|label| series.contains(label))).map(|(_, value)| value).sum()
    }

    /// Whether there is any series of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.keys().any(|series| series.split('{').next() == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_name_and_label() {
        let text = "# HELP a_total x\na_total{k=\"one two\",v=\"x\"} 3\na_total{k=\"b\",v=\"y\"} 4\na_total_more 9\nb 0.5\n# EOF\n";
        let scrape = Scrape::parse(text);
        assert_eq!(scrape.sum("a_total", &[]), 7.0);
        assert_eq!(scrape.sum("a_total", &["v=\"x\""]), 3.0);
        assert_eq!((scrape.sum("b", &[]), scrape.sum("c", &[])), (0.5, 0.0));
        assert!(scrape.has("b") && !scrape.has("a"));
    }
}
