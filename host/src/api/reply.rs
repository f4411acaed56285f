//! Answers as HTTP has them.

use bytes::Bytes;
use serde_json::Value;
use warp::http::StatusCode;
use warp::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY, SERVER, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use warp::reply::Response;

use super::fault::Fault;
use crate::{metrics, status_page};

/// Name of the server in every answer.
pub(crate) const SERVER_NAME: &str = "ironic-python-agent";

fn respond(status: StatusCode, content_type: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(SERVER, HeaderValue::from_static(SERVER_NAME));
    response
}

/// Status 200 and JSON that is written already.
pub(super) fn json(body: Bytes) -> Response {
    respond(StatusCode::OK, "application/json", body)
}

/// Status 200 and a JSON value.
pub(super) fn value(value: &Value) -> Response {
    json(Bytes::from(value.to_string()))
}

/// The page for browsers.
pub(super) fn page(page: String) -> Response {
    let mut response = respond(StatusCode::OK, "text/html; charset=utf-8", Bytes::from(page));
    let headers = response.headers_mut();
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, status_page::CONTENT_SECURITY_POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (VARY, "Accept"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The numbers for Prometheus.
pub(super) fn metrics(text: String) -> Response {
    respond(StatusCode::OK, metrics::CONTENT_TYPE, Bytes::from(text))
}

/// An error answer.
pub(super) fn fault(fault: &Fault) -> Response {
    respond(fault.status, "application/json", fault.to_json())
}

/// 405, with the methods there are.
pub(super) fn not_allowed(allow: &'static str) -> Response {
    let mut response = fault(&Fault::not_allowed());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// 308: the same request again, at this absolute URL.
pub(super) fn redirect(url: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(url) else { return fault(&Fault::not_found()) };
    let link = escape_html(url);
    let page = format!(
        "<!doctype html>\n<html lang=en>\n<title>Redirecting...</title>\n<h1>Redirecting...</h1>\n\
         <p>You should be redirected automatically to the target URL: <a href=\"{link}\">{link}</a>. \
         If not, click the link.\n"
    );
    let mut response = respond(StatusCode::PERMANENT_REDIRECT, "text/html; charset=utf-8", Bytes::from(page));
    response.headers_mut().insert(LOCATION, location);
    response
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;").replace('\'', "&#39;")
}
