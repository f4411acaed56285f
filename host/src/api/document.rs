//! The documents that say what the API has.

use serde_json::{Value, json};

const DOCS: &str = "https://docs.openstack.org/ironic-python-agent/";
const MEDIA_TYPE: &str = "application/vnd.openstack.ironic-python-agent.v1+json";

/// Answer to `GET /`. The base is scheme and host, without a slash at its end.
pub(super) fn root(base: &str) -> Value {
    let version = version(base);
    json!({
        "name": "OpenStack Ironic Python Agent API",
        "description": "Ironic Python Agent is a provisioning agent for OpenStack Ironic",
        "versions": [version],
        "default_version": version,
    })
}

/// Answer to `GET /v1/`.
pub(super) fn v1(base: &str) -> Value {
    let links = |name: &str| {
        json!([
            {"href": format!("{base}/v1/{name}"), "rel": "self"},
            {"href": format!("{base}/{name}"), "rel": "bookmark"},
        ])
    };
    let mut document = json!({
        "commands": links("commands"),
        "status": links("status"),
        "media_types": [{"base": "application/json", "type": MEDIA_TYPE}],
    });
    if let (Some(document), Value::Object(version)) = (document.as_object_mut(), version(base)) {
        document.extend(version);
    }
    document
}

fn version(base: &str) -> Value {
    json!({
        "id": "v1",
        "links": [
            {"href": format!("{base}/v1"), "rel": "self"},
            {"href": DOCS, "rel": "describedby", "type": "text/html"},
        ],
    })
}
