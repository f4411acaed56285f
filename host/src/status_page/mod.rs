//! The agent in a browser: who it is, what it does, and what it has done, on one page that changes nothing.
//!
//! It stands where the API's root document is, for clients that ask for HTML. Whoever reaches the API reaches the page,
//! so no secret is on it, no debug line of the log, and no address with the key that may hang on it. All text comes
//! from elsewhere (tools, plugins, the network) and is escaped; the page has no script, and loads nothing.

mod facts;
mod html;
mod page;

use warp::http::header::{ACCEPT, HeaderMap};

use self::facts::Facts;
use crate::agent::Agent;

/// What the page may load and do: nothing.
pub const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// True for a client that prefers HTML, as browsers do. Others, `*/*` among them, get JSON.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let accepted: Vec<&str> = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect();
    let quality = |wanted: &str| -> f32 {
        let ranges = accepted.iter().flat_map(|value| value.split(','));
        let qualities = ranges.filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts.next()?.eq_ignore_ascii_case(wanted);
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse().ok());
            named.then(|| quality.unwrap_or(0.0))
        });
        qualities.fold(0.0, f32::max)
    };
    let html = quality("text/html");
    html > 0.0 && html >= quality("application/json")
}

/// The page as it is now.
pub fn render(agent: &Agent, scheme: &str) -> String {
    page::render(&Facts::gather(agent, scheme))
}

#[cfg(test)]
mod tests;
