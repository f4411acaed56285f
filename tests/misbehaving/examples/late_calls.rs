//! Keeps the context of a call and uses it from a thread of its own after the call has ended.
//!
//! The first step leaves a thread behind. The second step lets it go on: it logs, reports progress, asks for
//! cancellation and for another manager, all in the name of the first call, and the second step tells the outcome.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use ipa_misbehaving::*;

#[derive(Default)]
struct LateCalls {
    waiting: Mutex<Option<(Sender<()>, JoinHandle<String>)>>,
}

fn late(cx: Cx<'static>, start: Receiver<()>) -> String {
    // The sender lives until the second step sends.
    let _ = start.recv();
    cx.log(Level::Info, "a log record after the call", &[]);
    cx.progress(50, "progress after the call");
    let cancelled = cx.is_cancelled();
    match cx.dispatch::<Value>("acme_erase_cache", json!({"node": {}, "ports": []})) {
        Ok(_) => format!("served, cancelled: {cancelled}"),
        Err(error) => format!("refused, cancelled: {cancelled}: {error}"),
    }
}

impl Fault for LateCalls {
    fn misbehave(&self, cx: &Cx<'_>) -> HwResult<Value> {
        let mut waiting = self.waiting.lock().unwrap();
        if let Some((start, thread)) = waiting.take() {
            let _ = start.send(());
            return Ok(json!({"late": thread.join().expect("the late thread does not panic")}));
        }
        // SAFETY: none; a context that outlives its call is the fault. The manager behind it lives on.
        let cx: Cx<'static> = unsafe { std::mem::transmute::<Cx<'_>, Cx<'static>>(*cx) };
        let (start, started) = channel();
        *waiting = Some((start, std::thread::spawn(move || late(cx, started))));
        Ok(Value::Null)
    }
}

export_fault! { LateCalls, name = "late_calls" }
