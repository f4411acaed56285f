//! QEMU's control socket: commands, their answers, events.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use serde_json::{Value, json};

use crate::feed::{Feed, Missed};

/// Longest time until a command is answered.
const ANSWER: Duration = Duration::from_secs(30);

/// The socket, once QEMU has connected to it.
#[derive(Debug)]
pub(crate) struct Qmp {
    commands: Mutex<UnixStream>,
    answers: Arc<Feed<Value>>,
    events: Arc<Feed<Value>>,
    count: AtomicU64,
}

impl Qmp {
    pub(crate) fn new(stream: UnixStream) -> Outcome<Self> {
        let reader = stream.try_clone().doing("duplicating QEMU's control socket")?;
        let (answers, events) = (Arc::new(Feed::new()), Arc::new(Feed::new()));
        let feeds = (answers.clone(), events.clone());
        thread::Builder::new()
            .name("qmp".to_owned())
            .spawn(move || {
                sort(reader, &feeds.0, &feeds.1);
                feeds.0.close();
                feeds.1.close();
            })
            .doing("starting a thread for QEMU's control socket")?;
        let qmp = Self { commands: Mutex::new(stream), answers, events, count: AtomicU64::new(0) };
        qmp.run("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Runs a command and gives what it returns.
    pub(crate) fn run(&self, command: &str, arguments: &Value) -> Outcome<Value> {
        let id = self.count.fetch_add(1, Ordering::Relaxed);
        let mut text = json!({"execute": command, "arguments": arguments, "id": id}).to_string();
        text.push('\n');
        let from = self.answers.next();
        let mut stream = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        stream.write_all(text.as_bytes()).doing(format_args!("sending QEMU `{command}`"))?;
        drop(stream);
        let ours = |answer: &Value| (answer["id"] == id).then(|| answer.clone());
        match self.answers.find(from, Instant::now() + ANSWER, ours) {
            Ok(mut answer) => match answer.get_mut("return") {
                Some(value) => Ok(value.take()),
                None => Err(Failure::new(format!("QEMU refuses `{command}` {arguments}: {}", answer["error"]["desc"]))),
            },
            Err(Missed::Closed) => Err(Failure::new(format!("QEMU ended instead of answering `{command}`"))),
            Err(Missed::Deadline) => {
                Err(Failure::new(format!("QEMU has not answered `{command}` within {} s", ANSWER.as_secs())))
            }
        }
    }

    /// What happened, in order.
    pub(crate) fn events(&self) -> &Feed<Value> {
        &self.events
    }
}

fn sort(stream: UnixStream, answers: &Feed<Value>, events: &Feed<Value>) {
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        // The greeting is neither.
        match serde_json::from_slice::<Value>(&line) {
            Ok(event) if event.get("event").is_some() => events.push(event),
            Ok(answer) if answer.get("id").is_some() => answers.push(answer),
            _ => {}
        }
    }
}
