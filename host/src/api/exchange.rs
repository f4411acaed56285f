//! One request and its answer.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Buf;
use futures_util::Stream;
use slog::{debug, info};
use warp::filters::path::FullPath;
use warp::http::header::{HOST, HeaderMap};
use warp::http::{Method, StatusCode};
use warp::reply::Response;
use warp::{Filter, Rejection};

use super::connections::Slot;
use super::fault::Fault;
use super::route::{Endpoint, Resolved, resolve};
use super::server::Limits;
use super::{body, document, reply, uri};
use crate::agent::Agent;
use crate::commands::Engine;
use crate::errors;
use crate::log::mask_secrets;
use crate::{metrics, status_page};

/// What all requests of a connection have in common.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) agent: Arc<Agent>,
    pub(super) limits: Limits,
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) slot: Arc<Slot>,
}

/// The filter that answers every request of a connection; it rejects none.
pub(super) fn routes(peer: Arc<Peer>) -> impl Filter<Extract = (Response,), Error = Rejection> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |method: Method, path: FullPath, query: String, headers: HeaderMap, body| {
            let peer = peer.clone();
            async move {
                let _serving = peer.slot.serve();
                let started = Instant::now();
                let response = peer.answer(&method, path.as_str(), &query, &headers, body).await;
                peer.note(&method, path.as_str(), &query, &headers, response.status(), started);
                response
            }
        })
}

impl Peer {
    async fn answer<S, B>(&self, method: &Method, path: &str, query: &str, headers: &HeaderMap, body: S) -> Response
    where
        S: Stream<Item = Result<B, warp::Error>> + Send,
        B: Buf,
    {
        if path.len() + query.len() > self.limits.target {
            return reply::fault(&Fault::http(StatusCode::URI_TOO_LONG, "the request target is too long"));
        }
        let path = uri::decode_path(path);
        if self.agent.settings().no_metrics && path.trim_start_matches('/') == "metrics" {
            return reply::fault(&Fault::not_found());
        }
        match resolve(method, &path) {
            Resolved::NotFound => reply::fault(&Fault::not_found()),
            Resolved::NotAllowed(allow) => reply::not_allowed(allow),
            Resolved::Redirect(path) => {
                let separator = if query.is_empty() { "" } else { "?" };
                let target = format!("{path}{separator}{query}");
                reply::redirect(&format!("{}{}", self.base(headers), uri::encode(&target)))
            }
            Resolved::Endpoint(endpoint) => {
                let started = Instant::now();
                let response = self.serve(endpoint, method, query, headers, body).await;
                if let Some(request) = endpoint.timed(method) {
                    let refused = response.status().is_client_error() || response.status().is_server_error();
                    self.agent.requests().note(request, started.elapsed(), refused);
                }
                response
            }
        }
    }

    async fn serve<S, B>(
        &self,
        endpoint: Endpoint<'_>,
        method: &Method,
        query: &str,
        headers: &HeaderMap,
        body: S,
    ) -> Response
    where
        S: Stream<Item = Result<B, warp::Error>> + Send,
        B: Buf,
    {
        match endpoint {
            Endpoint::Root if !self.agent.settings().no_status_page && status_page::is_wanted(headers) => {
                let scheme = self.scheme;
                self.written(move |agent| status_page::render(agent, scheme)).await.map(reply::page)
            }
            Endpoint::Metrics => self.written(metrics::render).await.map(reply::metrics),
            Endpoint::Root => Ok(reply::value(&document::root(&self.base(headers)))),
            Endpoint::V1 => Ok(reply::value(&document::v1(&self.base(headers)))),
            Endpoint::Status => Ok(reply::json(self.agent.status_json())),
            Endpoint::Commands | Endpoint::Command(_) => self.commands(endpoint, method, query, body).await,
        }
        .unwrap_or_else(|fault| reply::fault(&fault))
    }

    /// Text that takes files of /proc and some time to write.
    async fn written(&self, write: impl FnOnce(&Agent) -> String + Send + 'static) -> Result<String, Fault> {
        let agent = self.agent.clone();
        let text = tokio::task::spawn_blocking(move || write(&agent)).await;
        text.map_err(|_| Fault::http(StatusCode::INTERNAL_SERVER_ERROR, "the text could not be written"))
    }

    /// The endpoints that need the token.
    async fn commands<S, B>(
        &self,
        endpoint: Endpoint<'_>,
        method: &Method,
        query: &str,
        body: S,
    ) -> Result<Response, Fault>
    where
        S: Stream<Item = Result<B, warp::Error>> + Send,
        B: Buf,
    {
        if !self.agent.accepts_token(&uri::parameter(query, "agent_token").unwrap_or_default()) {
            return Err(Fault::unauthorized());
        }
        self.slot.trust();
        let history = self.agent.engine().history();
        let command = match endpoint {
            Endpoint::Command(id) => history.get(id).ok_or_else(|| errors::object_not_found("Command Result", id))?,
            _ if *method == Method::POST => {
                let bytes = body::read(body, self.limits.body, self.limits.body_time).await?;
                let request = body::parse(&bytes)?;
                drop(bytes);
                Engine::execute(&self.agent, request.name, request.params).await?
            }
            _ => return Ok(reply::json(history.to_json())),
        };
        if uri::parameter(query, "wait").is_some_and(|wait| wait.eq_ignore_ascii_case("true")) {
            command.wait().await;
        }
        Ok(reply::json(command.to_json()))
    }

    /// Scheme and host, as the client sees them.
    fn base(&self, headers: &HeaderMap) -> String {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| uri::is_harmless_host(host));
        match host {
            Some(host) => format!("{}://{host}", self.scheme),
            None => format!("{}://{}", self.scheme, self.local),
        }
    }

    fn note(
        &self,
        method: &Method,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        status: StatusCode,
        started: Instant,
    ) {
        let separator = if query.is_empty() { "" } else { "?" };
        macro_rules! note {
            ($level:ident) => {
                $level!(self.agent.log(), "api request";
                    "client" => %Client { headers, remote: self.remote },
                    "method" => %method,
                    "path" => %format_args!("{path}{separator}{}", mask_token(query)),
                    "status" => status.as_u16(),
                    "ms" => started.elapsed().as_millis())
            };
        }
        // Browsers and Prometheus ask again and again; they would fill the log with nothing else.
        if status.is_success() && matches!(path.trim_matches('/'), "" | "metrics") { note!(debug) } else { note!(info) }
    }
}

/// The query without the value of the token, also if its name is written in an unusual way.
fn mask_token(query: &str) -> Cow<'_, str> {
    if !query.contains('%') {
        return mask_secrets(query);
    }
    let parts = query.split('&').map(|pair| match pair.split_once('=') {
        Some((key, _)) if key.contains('%') || key == "agent_token" => format!("{key}=<...>"),
        _ => pair.to_owned(),
    });
    Cow::Owned(parts.collect::<Vec<_>>().join("&"))
}

/// Whom the request comes from, as proxies tell it.
struct Client<'a> {
    headers: &'a HeaderMap,
    remote: SocketAddr,
}

impl std::fmt::Display for Client<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let header = |name| self.headers.get(name).and_then(|value| value.to_str().ok());
        let forwarded = header("x-forwarded-for").and_then(|list| list.split(',').next()).map(str::trim);
        match forwarded.or_else(|| header("x-real-ip")).filter(|name| name.len() <= 64) {
            Some(name) => f.write_str(name),
            None => std::fmt::Display::fmt(&self.remote.ip(), f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_of_the_token_is_logged() {
        assert_eq!(mask_token("agent_token=abc&wait=true"), "agent_token=<...>&wait=true");
        assert_eq!(mask_token("agent%5Ftoken=abc&wait=true"), "agent%5Ftoken=<...>&wait=true");
        assert_eq!(mask_token("a=%20&agent_token=abc"), "a=%20&agent_token=<...>");
        assert_eq!(mask_token(""), "");
    }
}
