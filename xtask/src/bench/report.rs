//! Medians, ratios and budgets, as a table for people and as JSON for machines.

use std::fmt::Write;

use serde_json::{Value, json};

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    /// Of memory, shown in MiB.
    Bytes,
    /// Of a file, shown in MB.
    FileBytes,
    PerSecond,
}

/// What was promised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Budget {
    /// Our median is at most this.
    AtMost(f64),
    /// Our median is this many times better than the Python agent's.
    TimesBetter(f64),
}

/// One quantity with all its samples; an agent that does not have it has none.
#[derive(Debug)]
pub(crate) struct Measure {
    name: String,
    unit: Unit,
    ours: Vec<f64>,
    upstream: Vec<f64>,
    budget: Option<Budget>,
}

impl Measure {
    pub(crate) fn new(name: impl Into<String>, unit: Unit, ours: Vec<f64>, upstream: Vec<f64>) -> Self {
        Self { name: name.into(), unit, ours, upstream, budget: None }
    }

    pub(crate) fn budget(self, budget: Budget) -> Self {
        Self { budget: Some(budget), ..self }
    }

    /// How many times better ours is.
    fn ratio(&self) -> Option<f64> {
        let (ours, upstream) = (median(&self.ours)?, median(&self.upstream)?);
        let (better, worse) = if self.unit == Unit::PerSecond { (ours, upstream) } else { (upstream, ours) };
        (worse > 0.0).then(|| better / worse)
    }

    /// Whether the budget is kept; `None` without a budget or a number.
    fn kept(&self) -> Option<bool> {
        match self.budget? {
            Budget::AtMost(most) => median(&self.ours).map(|ours| ours <= most),
            Budget::TimesBetter(times) => self.ratio().map(|ratio| ratio >= times),
        }
    }

    fn cells(&self) -> [String; 6] {
        let show = |samples: &[f64]| median(samples).map_or_else(|| "-".to_owned(), |value| self.unit.show(value));
        [
            self.name.clone(),
            show(&self.ours),
            show(&self.upstream),
            self.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{}x", significant(ratio))),
            self.budget.map_or_else(String::new, |budget| match budget {
                Budget::AtMost(most) => format!("<= {}", self.unit.show(most)),
                Budget::TimesBetter(times) => format!(">= {}x", significant(times)),
            }),
            self.kept().map_or("", |kept| if kept { "kept" } else { "MISSED" }).to_owned(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "unit": self.unit.name(),
            "ours": {"median": median(&self.ours), "samples": self.ours},
            "upstream": {"median": median(&self.upstream), "samples": self.upstream},
            "times_better": self.ratio(),
            "budget": self.budget.map(|budget| match budget {
                Budget::AtMost(most) => json!({"at_most": most}),
                Budget::TimesBetter(times) => json!({"times_better": times}),
            }),
            "kept": self.kept(),
        })
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Bytes | Self::FileBytes => "bytes",
            Self::PerSecond => "1/s",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            // The bounds are where rounding to three digits would print a thousand of the smaller unit.
            Self::Seconds if value >= 0.9995 => format!("{} s", significant(value)),
            Self::Seconds if value >= 0.9995e-3 => format!("{} ms", significant(value * 1e3)),
            Self::Seconds => format!("{} us", significant(value * 1e6)),
            Self::Bytes => format!("{:.1} MiB", value / (1024.0 * 1024.0)),
            Self::FileBytes => format!("{:.1} MB", value / 1e6),
            Self::PerSecond => format!("{}/s", significant(value)),
        }
    }
}

/// The whole measurement.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Measure>);

impl Report {
    pub(crate) fn extend(&mut self, measures: Vec<Measure>) {
        self.0.extend(measures);
    }

    pub(crate) fn table(&self) -> String {
        let head = ["median of each", "ipa-host", "Python", "better", "budget", ""].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(head).chain(self.0.iter().map(Measure::cells)).collect();
        let mut out = String::new();
        for row in &rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
                // Writing to a string cannot fail.
                let _ = if column == 0 { write!(line, "{cell:<width$}") } else { write!(line, "  {cell:>width$}") };
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    pub(crate) fn json(&self) -> String {
        let measures: Vec<Value> = self.0.iter().map(Measure::json).collect();
        format!("{:#}\n", json!({ "measures": measures }))
    }
}

/// The middle sample, or the mean of the two in the middle.
pub(crate) fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// Three significant digits, whole numbers from a hundred on.
fn significant(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn better_means_less_time_and_more_requests() {
        let time = Measure::new("t", Unit::Seconds, vec![0.01], vec![1.0]).budget(Budget::TimesBetter(100.0));
        assert_eq!((time.ratio(), time.kept()), (Some(100.0), Some(true)));
        let rate = Measure::new("r", Unit::PerSecond, vec![200.0], vec![10.0]).budget(Budget::TimesBetter(30.0));
        assert_eq!((rate.ratio(), rate.kept()), (Some(20.0), Some(false)));
        let alone = Measure::new("a", Unit::Bytes, vec![7.0], vec![]).budget(Budget::AtMost(6.0));
        assert_eq!((alone.ratio(), alone.kept()), (None, Some(false)));
        assert_eq!(Measure::new("n", Unit::Bytes, vec![], vec![]).budget(Budget::AtMost(6.0)).kept(), None);
    }

    #[test]
    fn a_value_has_the_unit_that_reads_best() {
        let shown = [0.000_999_9, 0.000_75, 0.0123, 0.999_9, 61.2].map(|value| Unit::Seconds.show(value));
        assert_eq!(shown, ["1.00 ms", "750 us", "12.3 ms", "1.00 s", "61.2 s"]);
        assert_eq!(Unit::Bytes.show(3_145_728.0), "3.0 MiB");
        assert_eq!(Unit::FileBytes.show(26_545_394.0), "26.5 MB");
        assert_eq!(Unit::PerSecond.show(48_211.7), "48212/s");
    }

    #[test]
    fn the_table_lines_up() {
        let mut report = Report::default();
        report.extend(vec![
            Measure::new("start", Unit::Seconds, vec![0.0123], vec![1.047]).budget(Budget::TimesBetter(100.0)),
            Measure::new("memory of all", Unit::Bytes, vec![], vec![63_000_000.0]),
        ]);
        assert_eq!(
            report.table(),
            "median of each  ipa-host    Python  better   budget\n\
             start            12.3 ms    1.05 s   85.1x  >= 100x  MISSED\n\
             memory of all          -  60.1 MiB       -\n"
        );
    }

    #[test]
    fn the_json_has_every_sample() {
        let mut report = Report::default();
        report.extend(vec![Measure::new("x", Unit::Seconds, vec![2.0, 1.0, 3.0], vec![])]);
        let value: Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(value["measures"][0]["ours"], json!({"median": 2.0, "samples": [2.0, 1.0, 3.0]}));
        assert_eq!(value["measures"][0]["kept"], Value::Null);
    }
}
