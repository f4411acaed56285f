//! The text form of Prometheus.

use std::fmt::{Display, Write};

/// A text under way. Writing to it cannot fail.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
}

/// A metric whose samples follow.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Exposition {
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    pub(super) fn summary(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "summary", help)
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Family { text: &mut self.text, name }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// A sample, with labels and their values.
    pub(super) fn sample(self, labels: &[(&str, &str)], value: impl Display) -> Self {
        self.part("", labels, value)
    }

    /// A sample whose name is that of the metric with something behind it.
    pub(super) fn part(self, suffix: &str, labels: &[(&str, &str)], value: impl Display) -> Self {
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{label}=\"", if index == 0 { '{' } else { ',' });
            for character in text.chars() {
                let _ = match character {
                    '\\' => self.text.write_str("\\\\"),
                    '"' => self.text.write_str("\\\""),
                    '\n' => self.text.write_str("\\n"),
                    _ => self.text.write_char(character),
                };
            }
            self.text.push('"');
        }
        let _ = writeln!(self.text, "{} {value}", if labels.is_empty() { "" } else { "}" });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut out = Exposition::default();
        out.gauge("a", "Help.").sample(&[], 1).sample(&[("x", "1"), ("y", "\"\\\n}")], 2.5);
        out.summary("s", "S.").part("_count", &[("x", "1")], 3);
        assert_eq!(
            out.finish(),
            "# HELP a Help.\n# TYPE a gauge\na 1\na{x=\"1\",y=\"\\\"\\\\\\n}\"} 2.5\n\
             # HELP s S.\n# TYPE s summary\ns_count{x=\"1\"} 3\n"
        );
    }
}
