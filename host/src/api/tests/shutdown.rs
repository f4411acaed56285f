//! The end of serving.

use serde_json::json;
use tokio::net::TcpStream;

use super::client::fixture;
use crate::testing::TOKEN;

#[tokio::test]
async fn the_answer_to_a_lockdown_is_delivered_before_the_listener_goes() {
    let fixture = fixture();
    let address = fixture.address();
    let mut idle = fixture.connect().await;
    idle.send("GET", "/v1/status", &[], b"").await;
    idle.receive("GET").await;
    let mut connection = fixture.connect().await;
    let body = json!({"name": "system.lockdown", "params": {}}).to_string();
    connection.send("POST", &format!("/v1/commands/?agent_token={TOKEN}"), &[], body.as_bytes()).await;
    fixture.agent.serving_ends().await;
    let (answer, ()) = tokio::join!(connection.receive("POST"), fixture.server.stop());
    let answer = answer.json();
    assert_eq!((&answer["command_status"], &answer["command_result"]), (&json!("SUCCEEDED"), &json!(null)));
    assert!(fixture.agent.is_locked_down());
    assert_eq!(connection.rest().await, b"", "kept connections are closed");
    assert_eq!(idle.rest().await, b"", "idle connections are closed");
    assert!(TcpStream::connect(address).await.is_err(), "the listener is gone");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_does_not_hold_up_the_end() {
    let fixture = fixture();
    let step = json!({"name": "clean.execute_clean_step",
        "params": {"step": {"step": "acme_block"}, "node": {}, "ports": []}});
    let mut connection = fixture.connect().await;
    let target = format!("/v1/commands/?agent_token={TOKEN}&wait=true");
    connection.send("POST", &target, &[], step.to_string().as_bytes()).await;
    while fixture.managers.calls.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let started = tokio::time::Instant::now();
    fixture.server.stop().await;
    assert!(started.elapsed().as_secs() < 7);
    assert_eq!(connection.rest().await, b"");
}
