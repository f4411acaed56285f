//! The forms of 2015: lookup and heartbeat as vendor passthru methods of a driver and a node.

use serde_json::{Map, Value, json};
use slog::Logger;

use super::client::Client;
use super::heartbeat::{self, Announcement, Beat};
use super::lookup::{self, Attempt, Subject};
use super::transport::{Answer, Unanswered};
use super::{ApiVersion, Negotiated};

/// Version of the lookup's payload.
const PAYLOAD: &str = "2";
/// Members of an interface that later versions of the inventory lost.
const OLD_MEMBERS: [&str; 2] = ["switch_port_descr", "switch_chassis_descr"];

/// Asks once: the driver, and where that has no such method the node if its UUID is known.
pub(super) async fn attempt(
    client: &Client,
    driver: &str,
    subject: &Subject,
    inventory: &Value,
    log: &Logger,
) -> Attempt {
    let body = lookup_body(inventory, subject.node_uuid.as_deref());
    let of_driver = client.post(&format!("/v1/drivers/{driver}/vendor_passthru/lookup"), &body, None).await;
    let answered = match (&of_driver, &subject.node_uuid) {
        (Ok(Answer { status: 404, .. }), Some(uuid)) => {
            client.post(&format!("/v1/nodes/{uuid}/vendor_passthru/lookup"), &body, None).await
        }
        _ => of_driver,
    };
    judge(answered, log)
}

fn judge(answered: Result<Answer, Unanswered>, log: &Logger) -> Attempt {
    match answered {
        Err(unanswered) => Attempt::NotYet(unanswered.to_string()),
        Ok(answer) => {
            // There were no tokens yet, so that none is missing.
            let negotiated = Negotiated { version: ApiVersion::FALLBACK, assumed: false };
            lookup::judge(answer.status, &answer.body, negotiated, log)
        }
    }
}

/// Tells the node where its agent is.
pub(super) async fn beat(client: &Client, announcement: &Announcement) -> Beat {
    let path = format!("/v1/nodes/{}/vendor_passthru/heartbeat", announcement.uuid);
    heartbeat::judge(client.post(&path, &json!({ "agent_url": announcement.callback_url }), None).await)
}

fn lookup_body(inventory: &Value, node_uuid: Option<&str>) -> Value {
    let mut inventory = inventory.clone();
    let interfaces = inventory.get_mut("interfaces").and_then(Value::as_array_mut);
    for interface in interfaces.into_iter().flatten().filter_map(Value::as_object_mut) {
        for member in OLD_MEMBERS {
            interface.entry(member).or_insert(Value::Null);
        }
    }
    let mut body = Map::new();
    body.insert("version".into(), PAYLOAD.into());
    body.insert("inventory".into(), inventory);
    if let Some(uuid) = node_uuid {
        body.insert("node_uuid".into(), uuid.into());
    }
    Value::Object(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payload_has_the_old_members() {
        let inventory = json!({"interfaces": [{"name": "eth0", "switch_port_descr": "p1"}], "cpu": {}});
        assert_eq!(
            lookup_body(&inventory, Some("u")),
            json!({"version": "2", "node_uuid": "u", "inventory": {"cpu": {}, "interfaces": [
                {"name": "eth0", "switch_port_descr": "p1", "switch_chassis_descr": null}]}})
        );
        assert_eq!(lookup_body(&json!({}), None), json!({"version": "2", "inventory": {}}));
    }
}
