//! Keeps `tests/parity.toml` honest: complete, readable, backed by tests that exist, and told truly in README.md.
//!
//! `cargo xtask parity` runs this file with `IPA_PARITY_WRITE=1`, which rewrites the totals in README.md.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

/// Every group of features and how many it has.
const GROUPS: [(&str, usize); 37] = [
    ("START", 26),
    ("OPT", 83),
    ("LKP", 22),
    ("HB", 15),
    ("API", 20),
    ("TOK", 6),
    ("TLS", 12),
    ("VER", 8),
    ("MDN", 7),
    ("VM", 9),
    ("CMD", 20),
    ("EXT", 22),
    ("ERR", 35),
    ("DSP", 37),
    ("STP", 16),
    ("INV", 49),
    ("DSK", 23),
    ("HNT", 14),
    ("ERS", 27),
    ("RAID", 18),
    ("BRN", 7),
    ("IMG", 32),
    ("PRT", 12),
    ("CFD", 9),
    ("BLD", 15),
    ("BTC", 7),
    ("RSC", 5),
    ("INS", 22),
    ("NET", 6),
    ("LOG", 7),
    ("PWR", 6),
    ("MET", 4),
    ("CTN", 9),
    ("HWM", 6),
    ("INJ", 5),
    ("DLT", 5),
    ("LEG", 9),
];
const TITLE_LIMIT: usize = 100;
const BEGIN: &str = "<!-- parity:begin -->";
const END: &str = "<!-- parity:end -->";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    title: String,
    #[serde(default)]
    test: Tests,
    differs: Option<String>,
    state: Option<State>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Planned,
}

/// No test, one, or a list.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
enum Tests {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl Tests {
    fn names(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Tested,
    Differs,
    Planned,
}

impl Feature {
    fn standing(&self) -> Result<Standing, &'static str> {
        match (self.test.names(), &self.differs, &self.state) {
            (_, Some(why), None) if !why.trim().is_empty() => Ok(Standing::Differs),
            (_, Some(_), None) => Err("does not say why it differs"),
            ([_, ..], None, None) => Ok(Standing::Tested),
            ([], None, Some(State::Planned)) => Ok(Standing::Planned),
            ([], None, None) => Err("has none of test, differs and state"),
            (_, _, Some(_)) => Err("is planned and yet tested or different"),
        }
    }
}

#[derive(Debug, Default)]
struct Totals {
    tested: usize,
    differs: usize,
    planned: usize,
}

impl Totals {
    fn of(table: &BTreeMap<String, Feature>) -> Self {
        let mut totals = Self::default();
        for feature in table.values() {
            match feature.standing() {
                Ok(Standing::Tested) => totals.tested += 1,
                Ok(Standing::Differs) => totals.differs += 1,
                Ok(Standing::Planned) | Err(_) => totals.planned += 1,
            }
        }
        totals
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tested, differs, planned } = self;
        let all = tested + differs + planned;
        write!(
            f,
            "Of {all} features, {tested} are proven by a test, {differs} differ on purpose, {planned} are planned."
        )
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

fn table() -> BTreeMap<String, Feature> {
    let path = root().join("tests/parity.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()));
    // A repeated id is an error of the TOML reader.
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn assert_none(problems: &[String]) {
    assert!(problems.is_empty(), "tests/parity.toml:\n  {}", problems.join("\n  "));
}

/// Looks for the test function itself, so that a helper of the same name does not count.
fn missing(test: &str) -> Option<String> {
    let Some((file, name)) = test.split_once("::") else {
        return Some(format!("`{test}` has not the form path/of/file.rs::name"));
    };
    let path = Path::new(file);
    if !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return Some(format!("`{file}` must be a path below the repository"));
    }
    let source = match std::fs::read_to_string(root().join(path)) {
        Ok(source) => source,
        Err(error) => return Some(format!("`{file}` cannot be read: {error}")),
    };
    (!declares_test(&source, name)).then(|| format!("`{file}` has no test `{name}`"))
}

fn declares_test(source: &str, name: &str) -> bool {
    let declaration = format!("fn {name}(");
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        if line.contains(&declaration) {
            if is_test {
                return true;
            }
        } else if line.starts_with("#[") {
            let attribute = line.trim_start_matches("#[").split(['(', ']']).next().unwrap_or_default();
            is_test |= attribute == "test" || attribute.ends_with("::test");
            continue;
        } else if line.starts_with("//") {
            continue;
        }
        is_test = false;
    }
    false
}

/// The text with the lines between the markers replaced by the totals; `None` without both markers.
fn with_totals(readme: &str, totals: &Totals) -> Option<String> {
    let start = readme.find(BEGIN)? + BEGIN.len();
    let end = start + readme[start..].find(END)?;
    Some(format!("{}\n{totals}\n{}", &readme[..start], &readme[end..]))
}

#[test]
fn the_table_is_complete() {
    let table = table();
    let mut problems = Vec::new();
    let mut expected: Vec<String> =
        GROUPS.iter().flat_map(|(group, count)| (1..=*count).map(move |n| format!("{group}-{n:02}"))).collect();
    assert_eq!(expected.len(), 635, "the groups of this test add up to another number of features");
    problems.extend(expected.iter().filter(|id| !table.contains_key(*id)).map(|id| format!("{id} is missing")));
    expected.sort();
    problems.extend(
        table.keys().filter(|id| expected.binary_search(id).is_err()).map(|id| format!("{id} is in no known group")),
    );
    assert_none(&problems);
}

#[test]
fn every_title_is_readable_and_every_standing_clear() {
    let mut problems = Vec::new();
    for (id, feature) in table() {
        let title = feature.title.trim();
        if title.is_empty() || title.chars().count() > TITLE_LIMIT {
            problems.push(format!("{id}: a title has 1 to {TITLE_LIMIT} characters"));
        }
        if let Err(why) = feature.standing() {
            problems.push(format!("{id} {why}"));
        }
    }
    assert_none(&problems);
}

#[test]
fn every_named_test_exists() {
    let mut problems = Vec::new();
    for (id, feature) in table() {
        problems.extend(feature.test.names().iter().filter_map(|test| missing(test)).map(|why| format!("{id}: {why}")));
    }
    assert_none(&problems);
}

#[test]
fn a_test_is_told_from_a_function_that_only_looks_like_one() {
    let source = "\
        #[tokio::test(flavor = \"multi_thread\")]\n\
        // why\n\
        #[ignore]\n\
        async fn real() {}\n\
        #[cfg(test)]\n\
        fn helper() {}\n\
        #[test]\n\
        fn other() {}\n";
    assert!(declares_test(source, "real"));
    assert!(declares_test(source, "other"));
    assert!(!declares_test(source, "helper"));
    assert!(!declares_test(source, "absent"));
    assert!(missing("../etc/passwd::x").is_some_and(|why| why.contains("below the repository")));
    assert_eq!(missing(&format!("tests/tests/parity.rs::{}", "every_named_test_exists")), None);
}

#[test]
fn the_readme_tells_the_totals() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()));
    let expected = with_totals(&readme, &Totals::of(&table()))
        .unwrap_or_else(|| panic!("README.md lacks the lines {BEGIN} and {END}"));
    if std::env::var_os("IPA_PARITY_WRITE").is_some() {
        std::fs::write(&path, expected).unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
    } else {
        assert!(readme == expected, "the totals in README.md are out of date: run `cargo xtask parity`");
    }
}

#[test]
fn only_the_lines_between_the_markers_are_replaced() {
    let totals = Totals { tested: 1, differs: 2, planned: 3 };
    let text = with_totals(&format!("before\n{BEGIN}\nold\nlines\n{END}\nafter\n"), &totals).unwrap();
    assert_eq!(text, format!("before\n{BEGIN}\n{totals}\n{END}\nafter\n"));
    assert_eq!(with_totals(&text, &totals), Some(text.clone()));
    assert_eq!(with_totals("no markers", &totals), None);
    assert_eq!(with_totals(&format!("{END}{BEGIN}"), &totals), None);
}
