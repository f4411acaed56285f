//! Requests a second, by the load generator `wrk`.

use std::process::Command;
use std::time::Duration;

use ipa_imagebuild::failure::{Failure, Outcome};
use ipa_imagebuild::process;

/// Requests a second on `/v1/status` over this many connections, by one thread of the generator.
pub(crate) fn requests(url: &str, connections: u32, seconds: u32) -> Outcome<f64> {
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--connections", &connections.to_string()]);
    command.args(["--duration", &format!("{seconds}s"), &format!("{url}/v1/status")]);
    let text = process::output(&mut command, Duration::from_secs(u64::from(seconds) + 30))?;
    parse(&text).map_err(Failure::new)
}

/// Answers with an error status or none at all would make the number worthless.
fn parse(text: &str) -> Result<f64, String> {
    let value = |name: &str| text.lines().find_map(|line| line.trim_start().strip_prefix(name)).map(str::trim);
    for trouble in ["Non-2xx or 3xx responses:", "Socket errors:"] {
        if let Some(counts) = value(trouble) {
            return Err(format!("wrk saw failures: {trouble} {counts}"));
        }
    }
    value("Requests/sec:")
        .and_then(|rate| rate.parse().ok())
        .ok_or_else(|| format!("wrk printed no Requests/sec line: {}", text.replace('\n', " | ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from wrk 4.1.0 of Debian 12 against Python's http.server.
    const OUTPUT: &str = "\
Running 1s test @ http://127.0.0.1:18099/
  1 threads and 1 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.50ms    1.32ms   8.23ms   83.50%
    Req/Sec   704.73    296.43     1.23k    63.64%
  771 requests in 1.10s, 686.67KB read
Requests/sec:    700.46
Transfer/sec:    623.85KB
";

    #[test]
    fn the_rate_is_read_unless_requests_failed() {
        assert_eq!(parse(OUTPUT), Ok(700.46));
        let failed = OUTPUT.replace("Requests/sec:", "  Non-2xx or 3xx responses: 975\nRequests/sec:");
        assert!(parse(&failed).unwrap_err().contains("975"));
        let broken =
            OUTPUT.replace("Requests/sec:", "  Socket errors: connect 0, read 3, write 0, timeout 0\nRequests/sec:");
        assert!(parse(&broken).unwrap_err().contains("read 3"));
        assert!(parse("").is_err());
    }
}
