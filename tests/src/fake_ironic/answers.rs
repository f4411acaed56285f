//! The truthful answers, as Ironic 39 gives them, or one of 2015.

use serde_json::{Value, json};

use super::{Api, Fault, Received};
use crate::host::TOKEN;

/// The node that every machine is here.
pub const NODE: &str = "5c6b09f0-3d54-4d5c-9c5f-3f1b5f9a7a10";

/// What the server knows of the one node.
#[derive(Debug)]
pub(super) struct Truth {
    pub(super) is_old: bool,
    pub(super) heartbeat_timeout: u32,
    pub(super) token_issued: bool,
    pub(super) callback_url: Option<Value>,
    pub(super) properties: Value,
}

impl Default for Truth {
    fn default() -> Self {
        Self { is_old: false, heartbeat_timeout: 300, token_issued: false, callback_url: None, properties: json!({}) }
    }
}

impl Truth {
    pub(super) fn answer(&mut self, request: &Received) -> Fault {
        match (request.api, self.is_old) {
            (Api::Root, false) => root(),
            (Api::Root, true) => Fault::Json(200, json!({"default_version": {"id": "v1", "links": []}})),
            (Api::Lookup, false) => self.lookup(request),
            (Api::Heartbeat, false) => self.heartbeat(request),
            (Api::Inspection, false) => inspection(request),
            // That Ironic knew the versions up to 1.15.
            (Api::Lookup, true) => error(406, "Request was versioned above the latest supported"),
            (Api::DriverLookup, true) if request.line.contains("/agent_ipmitool/") => self.old_lookup(request),
            (Api::NodeLookup, true) => self.old_lookup(request),
            (Api::NodeHeartbeat, true) if request.body["agent_url"].is_string() => Fault::Json(202, Value::Null),
            (Api::NodeHeartbeat, true) => error(400, "For heartbeat operation, \"agent_url\" must be specified."),
            _ => error(404, "The resource could not be found."),
        }
    }

    fn node(&self) -> Value {
        json!({"uuid": NODE, "properties": self.properties, "instance_info": {}, "driver_internal_info": {}, "links": []})
    }

    fn lookup(&mut self, request: &Received) -> Fault {
        if request.header("x-openstack-ironic-api-version") != "1.62" {
            return error(404, "Not Found");
        }
        if !request.line.contains("addresses=") || request.line.contains("addresses=&") {
            return error(400, "Incomplete lookup: either addresses or node_uuid are required");
        }
        let token = if self.token_issued { "******" } else { TOKEN };
        self.token_issued = true;
        let config = json!({
            "metrics": {"backend": "noop", "prepend_host": false, "prepend_uuid": false,
                        "prepend_host_reverse": true, "global_prefix": null},
            "metrics_statsd": {"statsd_host": "localhost", "statsd_port": 8125},
            "heartbeat_timeout": self.heartbeat_timeout,
            "agent_containers": {"allow_arbitrary_containers": false, "allowed_containers": [],
                                 "container_steps_file": "/etc/ironic-python-agent.d/mysteps.yaml",
                                 "runner": "podman", "pull_options": [], "run_options": ["--rm", "--network=host"]},
            "agent_token": token, "agent_token_required": true, "agent_md5_checksum_enable": true,
            "disable_deep_image_inspection": false, "permitted_image_formats": ["raw", "gpt", "qcow2", "iso"],
            "agent_skip_bmc_detect": false, "enable_bios_bootloader_install": false,
            "tls_min_version": "1.3", "tls_cipher_suites": null,
        });
        Fault::Json(200, json!({"node": self.node(), "config": config}))
    }

    fn heartbeat(&mut self, request: &Received) -> Fault {
        let body = &request.body;
        if !request.line.ends_with(NODE) {
            return error(404, "Node could not be found.");
        }
        if request.header("x-openstack-ironic-api-version") != "1.68" || !body["agent_version"].is_string() {
            return error(400, "Field \"agent_version\" not recognised");
        }
        let is_url = body["callback_url"].as_str().is_some_and(|url| url.starts_with("http"));
        if !is_url || self.callback_url.as_ref().is_some_and(|known| *known != body["callback_url"]) {
            return error(400, "Detected change in ramdisk provided \"callback_url\"");
        }
        if body["agent_token"] != TOKEN {
            return error(400, "Agent token is required for heartbeat processing.");
        }
        self.callback_url = Some(body["callback_url"].clone());
        Fault::Json(202, Value::Null)
    }

    fn old_lookup(&self, request: &Received) -> Fault {
        let inventory = &request.body["inventory"];
        if request.body["version"] != "2" || !inventory["interfaces"].is_array() {
            return error(400, "Malformed inventory");
        }
        Fault::Json(200, json!({"heartbeat_timeout": self.heartbeat_timeout, "node": self.node()}))
    }
}

fn root() -> Fault {
    let version = json!({"id": "v1", "links": [], "status": "CURRENT", "min_version": "1.1", "version": "1.102"});
    Fault::Json(200, json!({"name": "OpenStack Ironic API", "default_version": version, "versions": [version]}))
}

fn inspection(request: &Received) -> Fault {
    let version = request.header("x-openstack-ironic-api-version");
    let interfaces = request.body["inventory"]["interfaces"].as_array();
    if !version.is_empty() {
        return error(404, "Not Found");
    }
    if interfaces.is_none_or(Vec::is_empty) {
        return error(400, "Schema error for inventory: interfaces: [] is too short");
    }
    Fault::Json(202, json!({"uuid": NODE}))
}

/// As Ironic words an error.
pub(super) fn error(status: u16, text: &str) -> Fault {
    Fault::Json(status, json!({"error_message": {"faultcode": "Client", "faultstring": text, "debuginfo": null}}))
}
