//! Chromium without a screen, driven over a pipe by its DevTools protocol, which sees what a page loads, runs and how it
//! is laid out without any script in the page.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::processes;

/// Longest time until the browser answers, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// The browser takes its commands from descriptor 3 and answers on 4.
const ON_A_PIPE: &str = "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
/// No disk, no display, and nothing to tell its maker.
const FLAGS: [&str; 10] = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
];

/// A browser. It ends when dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    commands: ChildStdin,
    answers: Receiver<Value>,
    sent: u64,
    /// What happened in the page since it was opened.
    events: Vec<Value>,
    _profile: TempDir,
}

/// A screen and what its owner likes.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// Width in CSS pixels.
    pub width: u32,
    /// Height in CSS pixels.
    pub height: u32,
    /// True for light text on a dark ground.
    pub dark: bool,
}

/// A page as it is seen.
#[derive(Debug)]
pub struct View {
    /// The document as it stands after loading, as HTML.
    pub html: String,
    /// Width of the content in CSS pixels; a screen that is smaller scrolls.
    pub width: f64,
    /// Addresses that were asked for.
    pub requests: Vec<String>,
    /// Scripts that were read, in the page or from elsewhere.
    pub scripts: Vec<Value>,
    /// What the browser complains about, for example against the page's security policy.
    pub complaints: Vec<Value>,
    /// Colour of text as CSS, for example `rgb(0, 0, 0)`.
    pub text_colour: String,
    /// A picture of the whole page, PNG in base64.
    pub picture: String,
}

impl Browser {
    /// Starts one.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new("sh");
        command
            .args(["-c", ON_A_PIPE, "sh", "chromium"])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = processes::spawn_untagged(&mut command);
        let (commands, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let (send, answers) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(output).split(0) {
                let Ok(Ok(message)) = message.map(|bytes| serde_json::from_slice(&bytes)) else { return };
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        Self { child, commands, answers, sent: 0, events: Vec::new(), _profile: profile }
    }

    /// Opens an address on a screen and looks at it once it has been loaded.
    pub fn view(&mut self, url: &str, screen: Screen) -> View {
        let target = self.command(None, "Target.createTarget", &json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.command(None, "Target.attachToTarget", &attach)["sessionId"].clone();
        let page = session.as_str();
        for domain in ["Page", "Network", "Debugger", "Log", "DOM", "CSS"] {
            self.command(page, &format!("{domain}.enable"), &json!({}));
        }
        let Screen { width, height, dark } = screen;
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.command(page, "Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = json!({"name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" }});
        self.command(page, "Emulation.setEmulatedMedia", &json!({"features": [scheme]}));

        self.events.clear();
        self.command(page, "Page.navigate", &json!({"url": url}));
        self.wait_for(PATIENCE, |event| event["method"] == "Page.loadEventFired");
        let layout = self.command(page, "Page.getLayoutMetrics", &json!({}));
        let root = self.command(page, "DOM.getDocument", &json!({"depth": 0}))["root"]["nodeId"].clone();
        let html = self.command(page, "DOM.getOuterHTML", &json!({"nodeId": root}))["outerHTML"].clone();
        let body = self.command(page, "DOM.querySelector", &json!({"nodeId": root, "selector": "body"}));
        let style = self.command(page, "CSS.getComputedStyleForNode", &json!({"nodeId": body["nodeId"]}));
        let properties = style["computedStyle"].as_array().into_iter().flatten();
        let colour = properties.into_iter().find(|property| property["name"] == "color");
        let whole = json!({"format": "png", "captureBeyondViewport": true});
        let picture = self.command(page, "Page.captureScreenshot", &whole)["data"].clone();
        self.command(None, "Target.closeTarget", &json!({"targetId": target["targetId"]}));

        let of = |method: &str| {
            let fits = self.events.iter().filter(|event| event["method"] == method && event["sessionId"] == session);
            fits.map(|event| event["params"].clone()).collect::<Vec<_>>()
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        View {
            html: text(&html),
            width: layout["cssContentSize"]["width"].as_f64().expect("a page has a width"),
            requests: of("Network.requestWillBeSent").iter().map(|request| text(&request["request"]["url"])).collect(),
            scripts: of("Debugger.scriptParsed"),
            complaints: of("Log.entryAdded"),
            text_colour: colour.map(|colour| text(&colour["value"])).unwrap_or_default(),
            picture: text(&picture),
        }
    }

    /// Sends a command, to a page or to the browser itself, and gives its result.
    fn command(&mut self, session: Option<&str>, method: &str, params: &Value) -> Value {
        self.sent += 1;
        let id = self.sent;
        let mut command = json!({"id": id, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let message = format!("{command}\0");
        self.commands.write_all(message.as_bytes()).unwrap_or_else(|error| panic!("chromium is gone: {error}"));
        let answer = self.wait_for(PATIENCE, |message| message["id"] == id);
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Waits for a message; all that come before, and it, are events.
    fn wait_for(&mut self, patience: Duration, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(event) = self.events.iter().find(|event| fits(event)) {
            return event.clone();
        }
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let message = self.answers.recv_timeout(left);
            let message =
                message.unwrap_or_else(|error| panic!("chromium does not answer ({error}); is it installed?"));
            let found = fits(&message);
            self.events.push(message.clone());
            if found {
                return message;
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The end of its commands is its end too, if there is no time for this.
        let _ = self.commands.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        while self.answers.recv_timeout(PATIENCE).is_ok() {}
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
