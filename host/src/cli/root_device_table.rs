//! The choice of the root device as a person reads it on a terminal.

use std::fmt::Write;

use serde_json::Value;

use super::inventory_table::{printable, size};

/// What the generic manager explains, disk by disk and hint by hint.
pub fn render(explanation: &Value) -> String {
    let mut out = String::new();
    let text = |value: &Value| printable(value.as_str().unwrap_or("-"));
    let hints = &explanation["hints"];
    let told =
        if hints.is_null() { "none: the smallest disk that is large enough".to_owned() } else { hints.to_string() };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "Hints        {}", printable(&told));
    let chosen = &explanation["root_device"];
    let _ = writeln!(out, "Root device  {}", chosen.as_str().map_or_else(|| "none".to_owned(), printable));
    if let Some(problem) = explanation["problem"].as_str() {
        let _ = writeln!(out, "Because      {}", printable(problem));
    }
    let before: Vec<String> = explanation["asked_before"].as_array().into_iter().flatten().map(text).collect();
    if !before.is_empty() {
        let _ = writeln!(out, "Asked first  {}, which may choose another disk", before.join(", "));
    }
    let disks = explanation["disks"].as_array().map(Vec::as_slice).unwrap_or_default();
    for disk in disks {
        let bytes = disk["size"].as_u64().map_or_else(|| "-".to_owned(), size);
        let _ = writeln!(out, "\n{}  {bytes}  {}", text(&disk["name"]), text(&disk["verdict"]));
        for hint in disk["hints"].as_array().into_iter().flatten() {
            let mark = match hint["matches"].as_bool() {
                Some(true) => "matches",
                Some(false) => "does not match",
                None => "cannot be compared with",
            };
            let has: Vec<String> = hint["has"].as_array().into_iter().flatten().map(text).collect();
            let has = if has.is_empty() { "nothing".to_owned() } else { has.join(" or ") };
            let why = hint["problem"].as_str().map(|why| format!(": {}", printable(why))).unwrap_or_default();
            let _ = writeln!(out, "  {} {:?} {mark} {has}{why}", text(&hint["hint"]), text(&hint["wanted"]));
        }
    }
    if disks.is_empty() {
        out.push_str("\nThere is no disk.\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_disk_with_each_hint() {
        let hint =
            |matches: Value, has: Value| json!({"hint": "size", "wanted": "> 8", "has": has, "matches": matches});
        let page = render(&json!({
            "hints": {"size": "> 8"}, "root_device": "/dev/sdb", "problem": null, "asked_before": ["acme"],
            "disks": [
                {"name": "/dev/sda", "size": 8_u64 << 30, "verdict": "too\u{1b}[2J small", "hints": [hint(json!(false), json!(["8 GiB"]))]},
                {"name": "/dev/sdb", "size": 9_u64 << 30, "verdict": "the root device", "hints": [hint(json!(true), json!(["9 GiB"]))]},
                {"name": "/dev/sdc", "size": 1024, "verdict": "-", "hints": [json!({"hint": "size", "wanted": "> 8", "has": [], "problem": "why"})]},
            ],
        }));
        for line in [
            "Hints        {\"size\":\"> 8\"}",
            "Root device  /dev/sdb",
            "Asked first  acme, which may choose another disk",
            "/dev/sda  8.0 GiB  too?[2J small",
            "  size \"> 8\" does not match 8 GiB",
            "  size \"> 8\" matches 9 GiB",
            "  size \"> 8\" cannot be compared with nothing: why",
        ] {
            assert!(page.lines().any(|found| found == line), "no {line} in\n{page}");
        }
        let page = render(&json!({"problem": "No suitable device was found"}));
        assert!(page.contains("Because      No suitable") && page.contains("There is no disk."), "{page}");
    }
}
