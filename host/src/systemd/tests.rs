use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use slog::{Discard, o};
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;

/// A manager that is told, and the socket by which.
struct Manager {
    listener: UnixDatagram,
    systemd: Systemd,
    _directory: TempDir,
}

impl Manager {
    fn with(watchdog: Option<Duration>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let environment = Environment { socket: Some(path.into()), watchdog };
        let systemd = Systemd::of(&environment, &Logger::root(Discard, o!()));
        Self { listener, systemd, _directory: directory }
    }

    /// What was told since the last time.
    fn told(&self) -> Vec<String> {
        let mut messages = Vec::new();
        let mut bytes = [0; 4096];
        while let Ok(length) = self.listener.recv(&mut bytes) {
            messages.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
        }
        messages
    }
}

/// Lets this much time pass, and what is due happen.
async fn pass(time: Duration) {
    let end = Instant::now() + time;
    tokio::time::sleep_until(end).await;
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn nobody_is_told_where_nobody_asks() {
    let systemd = Systemd::of(&Environment::default(), &Logger::root(Discard, o!()));
    assert!(systemd.begin().is_none() && systemd.vitals().is_none());
    systemd.ready().await;
    systemd.stopping("").await;
}

#[tokio::test(start_paused = true)]
async fn time_is_asked_for_until_the_agent_is_ready_and_the_watchdog_kept_from_then_on() {
    let manager = Manager::with(Some(Duration::from_secs(20)));
    let pulse = manager.systemd.begin().unwrap();
    manager.systemd.phase("loading").await;
    pass(Duration::from_secs(25)).await;
    let told = manager.told();
    assert_eq!(told.iter().filter(|message| *message == "EXTEND_TIMEOUT_USEC=30000000").count(), 3, "{told:?}");
    assert_eq!(told.iter().filter(|message| *message == "STATUS=loading").count(), 1, "{told:?}");
    manager.systemd.ready().await;
    manager.systemd.ready().await;
    assert_eq!(manager.told(), ["READY=1"]);
    pass(Duration::from_secs(30)).await;
    assert_eq!(manager.told(), ["WATCHDOG=1"; 3], "every half of the time");
    manager.systemd.stopping("asked to").await;
    assert_eq!(manager.told(), ["STOPPING=1", "STATUS=ended: asked to"]);
    pulse.abort();
    pass(Duration::from_secs(60)).await;
    assert!(manager.told().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_watchdog_of_an_agent_that_nobody_can_reach_is_not_kept() {
    let manager = Manager::with(Some(Duration::from_secs(20)));
    manager.systemd.begin().unwrap();
    manager.systemd.ready().await;
    manager.systemd.vitals().unwrap().heartbeat_tried(Duration::from_secs(35));
    pass(Duration::from_secs(34)).await;
    assert_eq!(manager.told().iter().filter(|message| *message == "WATCHDOG=1").count(), 4, "0, 10, 20 and 30 s");
    pass(Duration::from_secs(30)).await;
    let told = manager.told();
    assert!(told.iter().all(|message| message.contains("no heartbeat was tried for 35 s")), "{told:?}");
    manager.systemd.vitals().unwrap().heartbeat_tried(Duration::from_secs(35));
    pass(Duration::from_secs(10)).await;
    assert_eq!(manager.told(), ["WATCHDOG=1"], "it has come back in time");
}

#[tokio::test(start_paused = true)]
async fn without_a_watchdog_only_the_status_is_told_and_only_when_it_changes() {
    let manager = Manager::with(None);
    manager.systemd.begin().unwrap();
    manager.systemd.ready().await;
    manager.systemd.phase("a").await;
    pass(Duration::from_secs(100)).await;
    manager.systemd.phase("b").await;
    manager.systemd.refresh().await;
    assert_eq!(manager.told(), ["READY=1", "STATUS=a", "STATUS=b"]);
}
