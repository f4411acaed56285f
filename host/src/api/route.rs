//! Which path is what, and what becomes of paths that are nearly right.

use warp::http::Method;

use crate::metrics::Request;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint<'a> {
    /// What versions there are.
    Root,
    /// What version 1 has.
    V1,
    /// Whether the agent runs.
    Status,
    /// The collection of commands: list it, or run one.
    Commands,
    /// One command, by its identifier.
    Command(&'a str),
    /// The numbers for Prometheus.
    Metrics,
}

impl Endpoint<'_> {
    /// The methods, as an `Allow` header has them.
    fn allow(self) -> &'static str {
        if self == Endpoint::Commands { "GET, HEAD, POST" } else { "GET, HEAD" }
    }

    /// The request as it is timed.
    pub(super) fn timed(self, method: &Method) -> Option<Request> {
        match self {
            Self::Status => Some(Request::GetStatus),
            Self::Commands if *method == Method::POST => Some(Request::RunCommand),
            Self::Commands => Some(Request::ListCommands),
            Self::Command(_) => Some(Request::GetCommand),
            Self::Root | Self::V1 | Self::Metrics => None,
        }
    }

    fn allows(self, method: &Method) -> bool {
        matches!(*method, Method::GET | Method::HEAD) || (self == Endpoint::Commands && *method == Method::POST)
    }
}

/// What routing comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resolved<'a> {
    /// Serve it.
    Endpoint(Endpoint<'a>),
    /// Ask again at this path.
    Redirect(String),
    /// It is there, but not for this method; these are.
    NotAllowed(&'static str),
    /// There is nothing.
    NotFound,
}

/// Resolves a decoded path.
///
/// Collections end with a slash: without it there is a redirect, for the methods they have. Doubled slashes redirect
/// to single ones, except at the start, where they do not count.
pub(super) fn resolve<'a>(method: &Method, path: &'a str) -> Resolved<'a> {
    let path = path.trim_start_matches('/');
    let mut not_allowed = None;
    match find(path) {
        Some((endpoint, true)) if endpoint.allows(method) => return Resolved::Endpoint(endpoint),
        Some((endpoint, false)) if endpoint.allows(method) => return Resolved::Redirect(format!("/{path}/")),
        Some((endpoint, true)) => not_allowed = Some(endpoint.allow()),
        _ => {}
    }
    if path.contains("//") {
        let merged = path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        let slash = if path.ends_with('/') { "/" } else { "" };
        match find(&format!("{merged}{slash}")) {
            Some((endpoint, true)) if endpoint.allows(method) => {
                return Resolved::Redirect(format!("/{merged}{slash}"));
            }
            Some((endpoint, false)) if endpoint.allows(method) => return Resolved::Redirect(format!("/{merged}/")),
            Some((endpoint, true)) => not_allowed = Some(endpoint.allow()),
            _ => {}
        }
    }
    not_allowed.map_or(Resolved::NotFound, Resolved::NotAllowed)
}

/// Finds a path without its first slash. False says that only the slash at the end is missing.
fn find(path: &str) -> Option<(Endpoint<'_>, bool)> {
    match path {
        "" => return Some((Endpoint::Root, true)),
        "v1/" => return Some((Endpoint::V1, true)),
        "v1" => return Some((Endpoint::V1, false)),
        "metrics" => return Some((Endpoint::Metrics, true)),
        _ => {}
    }
    match path.strip_prefix("v1/").unwrap_or(path) {
        "status" => Some((Endpoint::Status, true)),
        "commands/" => Some((Endpoint::Commands, true)),
        "commands" => Some((Endpoint::Commands, false)),
        other => {
            let id = other.strip_prefix("commands/").filter(|id| !id.contains('/'))?;
            Some((Endpoint::Command(id), true))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_and_its_neighbours() {
        let redirect = |path: &str| Resolved::Redirect(path.to_owned());
        for (path, resolved) in [
            ("/", Resolved::Endpoint(Endpoint::Root)),
            ("/v1/", Resolved::Endpoint(Endpoint::V1)),
            ("/v1", redirect("/v1/")),
            ("/v1/status", Resolved::Endpoint(Endpoint::Status)),
            ("/status", Resolved::Endpoint(Endpoint::Status)),
            ("/v1/status/", Resolved::NotFound),
            ("/metrics", Resolved::Endpoint(Endpoint::Metrics)),
            ("/metrics/", Resolved::NotFound),
            ("/v1/metrics", Resolved::NotFound),
            ("/v1/commands/", Resolved::Endpoint(Endpoint::Commands)),
            ("/commands/", Resolved::Endpoint(Endpoint::Commands)),
            ("/commands", redirect("/commands/")),
            ("/v1/commands/42", Resolved::Endpoint(Endpoint::Command("42"))),
            ("/commands/42", Resolved::Endpoint(Endpoint::Command("42"))),
            ("/v1/commands/42/", Resolved::NotFound),
            ("//v1/status", Resolved::Endpoint(Endpoint::Status)),
            ("/v1//status", redirect("/v1/status")),
            ("/v1//commands", redirect("/v1/commands/")),
            ("/v1///commands//", redirect("/v1/commands/")),
            ("/v1//commands//42", redirect("/v1/commands/42")),
            ("/v1/status//", Resolved::NotFound),
            ("/v1/v1/status", Resolved::NotFound),
            ("/v2/", Resolved::NotFound),
            ("", Resolved::Endpoint(Endpoint::Root)),
            ("*", Resolved::NotFound),
        ] {
            assert_eq!(resolve(&Method::GET, path), resolved, "{path}");
        }
    }

    #[test]
    fn methods() {
        assert_eq!(resolve(&Method::POST, "/v1/commands/"), Resolved::Endpoint(Endpoint::Commands));
        assert_eq!(resolve(&Method::POST, "/v1/commands"), Resolved::Redirect("/v1/commands/".into()));
        assert_eq!(resolve(&Method::PUT, "/v1/commands/"), Resolved::NotAllowed("GET, HEAD, POST"));
        assert_eq!(resolve(&Method::PUT, "/v1/commands"), Resolved::NotFound);
        assert_eq!(resolve(&Method::POST, "/v1//status"), Resolved::NotAllowed("GET, HEAD"));
        assert_eq!(resolve(&Method::OPTIONS, "/nope"), Resolved::NotFound);
    }
}
