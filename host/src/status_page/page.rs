//! The page itself.

use std::fmt::{self, Display, Write};
use std::time::{Duration, SystemTime};

use super::facts::{Facts, Past, Running, State};
use super::html::Text;
use crate::commands::Status;
use crate::plugins;

const STYLE: &str = include_str!("style.css");
/// Seconds after which a browser asks again, while a command runs and otherwise.
const REFRESH: (u32, u32) = (5, 30);

/// Writes the page. Writing to a String cannot fail.
pub(super) fn render(facts: &Facts) -> String {
    let mut page = String::with_capacity(16 * 1024);
    let _ = write(&mut page, facts);
    page
}

fn write(page: &mut String, facts: &Facts) -> fmt::Result {
    let refresh = if matches!(facts.state, State::Running(_)) { REFRESH.0 } else { REFRESH.1 };
    let name = Text(&facts.host_name);
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"refresh\" content=\"{refresh}\">\n\
         <title>{name}: bare-metal agent</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>{name}</h1>\n<p class=\"dim\">Bare-metal agent for OpenStack Ironic, version {}</p>\n</header>\n<main>\n",
        Text(&facts.version)
    )?;
    identity(page, facts)?;
    running(page, facts)?;
    managers(page, facts.plugins.as_ref())?;
    history(page, facts)?;
    log(page, &facts.log)?;
    writeln!(page, "</main>\n<footer><p class=\"dim\">As of {}</p></footer>\n</body>\n</html>", When(facts.now))
}

fn identity(page: &mut String, facts: &Facts) -> fmt::Result {
    page.push_str("<dl>\n");
    let (class, state) = match &facts.state {
        State::Starting => ("warn", "starting"),
        State::Idle => ("ok", "idle, waiting for commands"),
        State::Running(_) => ("ok", "running a command"),
        State::Stopping => ("warn", "stopping"),
        State::LockedDown => ("warn", "locking down"),
    };
    entry(page, "State", format_args!("<strong class=\"{class}\">{state}</strong>"))?;
    match &facts.node_uuid {
        Some(uuid) => entry(page, "Node", Text(uuid))?,
        None => entry(page, "Node", "<span class=\"dim\">not known yet</span>")?,
    }
    let ironic = if facts.standalone { "none: the agent runs standalone" } else { "drives this agent" };
    entry(page, "Ironic", ironic)?;
    if let Some(heartbeat) = &facts.heartbeat {
        entry(
            page,
            "Last heartbeat",
            format_args!("{}: {}", Since(facts.now, heartbeat.time), Text(&heartbeat.answer)),
        )?;
    }
    if let Some(started_at) = facts.started_at {
        entry(page, "Started", Since(facts.now, started_at))?;
    }
    let read_only = if facts.read_only { ", read-only: commands that change the machine are refused" } else { "" };
    entry(page, "API", format_args!("{}{read_only}", Text(&facts.scheme)))?;
    page.push_str("</dl>\n");
    Ok(())
}

/// One line of the list at the top; the value is HTML.
fn entry(page: &mut String, name: &str, value: impl Display) -> fmt::Result {
    writeln!(page, "<dt>{name}</dt><dd>{value}</dd>")
}

fn running(page: &mut String, facts: &Facts) -> fmt::Result {
    let State::Running(Running { name, elapsed, progress }) = &facts.state else { return Ok(()) };
    writeln!(page, "<h2>Running</h2>\n<p><strong>{}</strong> for {}</p>", Text(name), Took(*elapsed))?;
    if let Some(progress) = progress {
        let (percent, message) = (progress.percent, Text(&progress.message));
        writeln!(
            page,
            "<progress max=\"100\" value=\"{percent}\">{percent} %</progress>\n<p>{percent} %: {message}</p>"
        )?;
    }
    Ok(())
}

fn managers(page: &mut String, plugins: Option<&plugins::Status>) -> fmt::Result {
    page.push_str("<h2>Hardware managers</h2>\n");
    let Some(plugins) = plugins else { return page.write_str("<p class=\"warn\">They cannot be described.</p>\n") };
    if plugins.managers.is_empty() {
        writeln!(
            page,
            "<p class=\"bad\">No manager in {} supports this machine.</p>",
            Text(plugins.places.join(", "))
        )?;
    } else {
        head(page, &["Rank", "Manager", "Version", "Support", "Memory", "Health"])?;
        for row in &plugins.managers {
            let class = match row.state.as_ref() {
                "healthy" => "ok",
                "restarted" => "warn",
                _ => "bad",
            };
            page.push_str("<tr>");
            cell(page, "Rank", row.rank)?;
            cell(page, "Manager", format_args!("{} ({})", row.name, row.file))?;
            cell(page, "Version", &row.version)?;
            cell(page, "Support", row.support)?;
            cell(page, "Memory", Memory(row.pss_kib))?;
            let reason = row.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            writeln!(
                page,
                "<td data-name=\"Health\" class=\"wide\"><span class=\"{class}\">{}</span>{}</td></tr>",
                Text(&row.state),
                Text(reason)
            )?;
        }
        page.push_str("</tbody></table></div>\n");
    }
    for left in &plugins.left_out {
        let (class, cause, cure) =
            (if left.unsupported { "dim" } else { "bad" }, &left.refusal.cause, &left.refusal.cure);
        writeln!(page, "<p class=\"{class}\">{} is not used: {}; {}</p>", Text(&left.file), Text(cause), Text(cure))?;
    }
    Ok(())
}

fn history(page: &mut String, facts: &Facts) -> fmt::Result {
    page.push_str("<h2>Commands</h2>\n");
    if facts.commands.is_empty() {
        return page.write_str("<p class=\"dim\">None since the start.</p>\n");
    }
    head(page, &["Command", "Status", "Begun", "Took", "Error"])?;
    for Past { name, status, started_at, elapsed, error } in &facts.commands {
        let (class, word) = match status {
            Status::Running => ("ok", "running"),
            Status::Succeeded => ("ok", "succeeded"),
            Status::Failed => ("bad", "failed"),
            Status::VersionMismatch => ("bad", "version mismatch"),
        };
        page.push_str("<tr>");
        cell(page, "Command", name)?;
        write!(page, "<td data-name=\"Status\" class=\"{class}\">{word}</td>")?;
        cell(page, "Begun", When(*started_at))?;
        cell(page, "Took", Took(*elapsed))?;
        match error {
            Some(error) => writeln!(page, "<td data-name=\"Error\" class=\"wide\">{}</td></tr>", Text(error))?,
            None => page.push_str("<td></td></tr>\n"),
        }
    }
    page.push_str("</tbody></table></div>\n");
    if facts.older > 0 {
        writeln!(page, "<p class=\"dim\">and {} older ones</p>", facts.older)?;
    }
    Ok(())
}

fn log(page: &mut String, lines: &[String]) -> fmt::Result {
    page.push_str("<h2>Log</h2>\n<div class=\"scroll\"><pre>\n");
    for line in lines {
        writeln!(page, "{}", Text(line))?;
    }
    page.push_str("</pre></div>\n");
    Ok(())
}

fn head(page: &mut String, names: &[&str]) -> fmt::Result {
    page.push_str("<div class=\"scroll\"><table class=\"rows\"><thead><tr>");
    for name in names {
        write!(page, "<th>{name}</th>")?;
    }
    page.push_str("</tr></thead><tbody>\n");
    Ok(())
}

fn cell(page: &mut String, name: &str, value: impl Display) -> fmt::Result {
    write!(page, "<td data-name=\"{name}\">{}</td>", Text(value))
}

/// A time, in UTC.
struct When(SystemTime);

impl Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = humantime::format_rfc3339_seconds(self.0).to_string();
        f.write_str(&time.replace('T', " ").replace('Z', " UTC"))
    }
}

/// A time as seen from another one.
struct Since(SystemTime, SystemTime);

impl Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(now, time) = *self;
        match now.duration_since(time) {
            Ok(age) => write!(f, "{} ago, {}", Took(age), When(time)),
            // The clock was set back.
            Err(_) => When(time).fmt(f),
        }
    }
}

/// A duration in two units at most.
struct Took(Duration);

impl Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        match seconds {
            0 => write!(f, "{millis} ms"),
            1..60 => write!(f, "{seconds} s"),
            60..3600 => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            3600..86_400 => write!(f, "{} h {} min", seconds / 3600, seconds % 3600 / 60),
            _ => write!(f, "{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
        }
    }
}

/// Memory, if it is known, in KiB.
struct Memory(Option<u64>);

impl Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(kib @ ..1024) => write!(f, "{kib} KiB"),
            Some(kib) => write!(f, "{}.{} MiB", kib / 1024, kib % 1024 * 10 / 1024),
            None => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units() {
        for (seconds, text) in
            [(0.25, "250 ms"), (59.9, "59 s"), (61.0, "1 min 1 s"), (7384.0, "2 h 3 min"), (90_000.0, "1 d 1 h")]
        {
            assert_eq!(Took(Duration::from_secs_f64(seconds)).to_string(), text);
        }
    }

    #[test]
    fn memory_has_a_unit_that_suits_it() {
        for (kib, text) in [(None, "-"), (Some(1023), "1023 KiB"), (Some(1024), "1.0 MiB"), (Some(7267), "7.0 MiB")] {
            assert_eq!(Memory(kib).to_string(), text);
        }
    }

    #[test]
    fn times_are_in_utc_and_never_negative() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_000_000);
        assert_eq!(Since(time + Duration::from_secs(5), time).to_string(), "5 s ago, 2025-11-24 16:00:00 UTC");
        assert_eq!(Since(time, time + Duration::from_secs(5)).to_string(), "2025-11-24 16:00:05 UTC");
    }
}
