//! A well-behaved manager that tests steer by configuration: its support, its steps, and what it answers to any
//! method.
//!
//! Tests put copies of it under other names into one directory (`TAG0` is replaced in the file). In its section
//! `[plugin:NAME]`:
//!
//! * `support`: an integer, 3 if absent.
//! * `initialize`, `wait_for_disks`, `get_os_install_device`, `list_block_devices_check_skip_list`,
//!   `erase_block_device`, `list_network_interfaces`, `list_hardware_info`, `collect_lldp_data`, `get_usb_devices`,
//!   `full_sync`: what these methods do, in the words below. Words for the test to look with: `{"on_initialize": 0}`
//!   (what `initialize` answered), `{"evaluated": 0}` (how often the manager was evaluated), `{"asked": "method"}` (how
//!   often the method was called), `{"hinted": 0}` (the name that the node's hints have for the root device),
//!   `{"answers_first": "method"}` (whether it is the first to be asked for the method), `{"fetch": 0}` (the page at the address of the argument `url`). And a further error: `{"device_not_found": "why"}`.
//! * `clean_steps`, `deploy_steps`, `service_steps`: a JSON list, answered by `get_clean_steps` and so on.
//! * any other key: a method, and what it does as JSON: `{"value": ...}`, `{"absent": 0}`, `{"incompatible": "why"}`,
//!   `{"fail": "why"}` (a foreign error), `{"cleaning_error": "why"}`, `{"configuration_error": "why"}`,
//!   `{"dispatch": "method"}`, `{"dispatch_all": "method"}`, `{"call_next": "method"}` (wrapped into
//!   `{"CLASS": answer}`), `{"amend": {...}}` (the next manager's answer with these members replaced), `{"args": 0}`
//!   (echoes its arguments), `{"config": 0}` (echoes its section), `{"parallel": ["method", count]}` (dispatches from
//!   that many threads at once), `{"meet": count}` (returns once that many calls are inside at the same time),
//!   `{"work": ["50", "half done"]}` (reports progress, then waits for its cancellation), `{"initialized": 0}` (how
//!   often `initialize` was called), `{"run": ["program", "argument"]}` (runs it, which must succeed; what it printed).

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use ipa_misbehaving::*;

/// Longest time that calls wait for each other.
const PATIENCE: Duration = Duration::from_secs(20);

struct Puppet {
    section: BTreeMap<String, String>,
    evaluated: AtomicU32,
    initialized: AtomicU32,
    on_initialize: Mutex<Value>,
    asked: Mutex<HashMap<String, u32>>,
    inside: Mutex<u64>,
    came: Condvar,
}

impl HardwareManager for Puppet {
    fn new(config: &Value) -> HwResult<Self> {
        let section = serde_json::from_value(config.clone())?;
        Ok(Self {
            section,
            evaluated: AtomicU32::new(0),
            initialized: AtomicU32::new(0),
            on_initialize: Mutex::default(),
            asked: Mutex::default(),
            inside: Mutex::new(0),
            came: Condvar::new(),
        })
    }

    fn evaluate_hardware_support(&self, _cx: &Cx<'_>) -> HwResult<Support> {
        self.evaluated.fetch_add(1, Ordering::Relaxed);
        let support = self.section.get("support").map_or("3", String::as_str);
        support.parse().map(Support).map_err(|error| HwError::configuration(format!("support {support}: {error}")))
    }

    fn initialize(&self, cx: &Cx<'_>) -> HwResult<()> {
        if self.section.contains_key("initialize") {
            *self.on_initialize.lock().unwrap() = self.call_dynamic(cx, "initialize", json!({}))?;
        }
        self.initialized.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn get_os_install_device(&self, cx: &Cx<'_>, permit_refresh: bool) -> HwResult<String> {
        let answer = self.call_dynamic(cx, "get_os_install_device", json!({"permit_refresh": permit_refresh}))?;
        Ok(serde_json::from_value(answer)?)
    }

    fn wait_for_disks(&self, cx: &Cx<'_>) -> HwResult<()> {
        self.call_dynamic(cx, "wait_for_disks", json!({})).map(|_| ())
    }

    fn list_block_devices_check_skip_list(
        &self,
        cx: &Cx<'_>,
        node: &Value,
        _include_partitions: bool,
    ) -> HwResult<Vec<BlockDevice>> {
        let answer = self.call_dynamic(cx, "list_block_devices_check_skip_list", json!({"node": node}))?;
        Ok(serde_json::from_value(answer)?)
    }

    fn erase_block_device(&self, cx: &Cx<'_>, node: &Value, block_device: &BlockDevice) -> HwResult<Value> {
        self.call_dynamic(cx, "erase_block_device", json!({"node": node, "block_device": block_device}))
    }

    fn get_clean_steps(&self, _cx: &Cx<'_>, _node: &Value, _ports: &[Value]) -> HwResult<Vec<Step>> {
        self.steps("clean_steps")
    }

    fn get_deploy_steps(&self, _cx: &Cx<'_>, _node: &Value, _ports: &[Value]) -> HwResult<Vec<Step>> {
        self.steps("deploy_steps")
    }

    fn get_service_steps(&self, _cx: &Cx<'_>, _node: &Value, _ports: &[Value]) -> HwResult<Vec<Step>> {
        self.steps("service_steps")
    }

    fn list_network_interfaces(&self, cx: &Cx<'_>) -> HwResult<Vec<NetworkInterface>> {
        Ok(serde_json::from_value(self.call_dynamic(cx, "list_network_interfaces", Value::Null)?)?)
    }

    fn list_hardware_info(&self, cx: &Cx<'_>) -> HwResult<Value> {
        self.call_dynamic(cx, "list_hardware_info", Value::Null)
    }

    fn collect_lldp_data(&self, cx: &Cx<'_>, _interface_names: Option<&[String]>) -> HwResult<Value> {
        self.call_dynamic(cx, "collect_lldp_data", json!({}))
    }

    fn get_usb_devices(&self, cx: &Cx<'_>) -> HwResult<Vec<UsbDevice>> {
        Ok(serde_json::from_value(self.call_dynamic(cx, "get_usb_devices", json!({}))?)?)
    }

    fn full_sync(&self, cx: &Cx<'_>) -> HwResult<()> {
        self.call_dynamic(cx, "full_sync", json!({})).map(|_| ())
    }

    fn call_dynamic(&self, cx: &Cx<'_>, method: &str, args: Value) -> HwResult<Value> {
        let script = self.section.get(method).ok_or_else(|| HwError::absent(method))?;
        let script: BTreeMap<String, Value> = serde_json::from_str(script)?;
        *self.asked.lock().unwrap().entry(method.to_owned()).or_default() += 1;
        let (action, with) = script.into_iter().next().ok_or_else(|| HwError::configuration(method))?;
        let text = || with.as_str().unwrap_or_default().to_owned();
        match action.as_str() {
            "value" => Ok(with),
            "absent" => Err(HwError::absent(method)),
            "incompatible" => Err(HwError::incompatible(text())),
            "fail" => Err(HwError::other("RuntimeError", text())),
            "cleaning_error" => Err(HwError::cleaning(text())),
            "configuration_error" => Err(HwError::configuration(text())),
            "dispatch" => cx.dispatch(&text(), args),
            "dispatch_all" => Ok(json!(cx.dispatch_all::<Value>(&text(), args)?)),
            "amend" => {
                let answer: BTreeMap<String, Value> = cx.call_next(method, args)?;
                Ok(json!(
                    answer
                        .into_iter()
                        .chain(serde_json::from_value::<BTreeMap<_, _>>(with)?)
                        .collect::<BTreeMap<_, _>>()
                ))
            }
            "call_next" => Ok(json!({"PuppetTAG0": cx.call_next::<Value>(&text(), args)?})),
            "args" => Ok(args),
            "config" => cx.config(),
            "hinted" => Ok(cx
                .node_for_root_device(args["permit_refresh"] == true)?
                .map_or(Value::Null, |node| node["properties"]["root_device"]["name"].clone())),
            "fetch" => {
                Ok(json!(cx.http_get(args["url"].as_str().unwrap_or_default(), 1000, Duration::from_secs(10))?))
            }
            "device_not_found" => Err(HwError::device_not_found(text())),
            "evaluated" => Ok(json!(self.evaluated.load(Ordering::Relaxed))),
            "answers_first" => Ok(json!(cx.answers_first(&text()))),
            "on_initialize" => Ok(self.on_initialize.lock().unwrap().clone()),
            "asked" => Ok(json!(self.asked.lock().unwrap().get(&text()).copied().unwrap_or(0))),
            "initialized" => Ok(json!(self.initialized.load(Ordering::Relaxed))),
            "meet" => self.meet(with.as_u64().unwrap_or(2)),
            "parallel" => parallel(cx, with[0].as_str().unwrap_or_default(), with[1].as_u64().unwrap_or(2)),
            "work" => work(cx, &with),
            "run" => run(cx, &serde_json::from_value::<Vec<String>>(with)?),
            other => Err(HwError::configuration(format!("{method}: no action {other}"))),
        }
    }
}

impl Puppet {
    fn steps(&self, key: &str) -> HwResult<Vec<Step>> {
        Ok(serde_json::from_str(self.section.get(key).map_or("[]", String::as_str))?)
    }

    /// Returns once `count` calls are in here at the same time.
    fn meet(&self, count: u64) -> HwResult<Value> {
        let mut inside = self.inside.lock().unwrap();
        *inside += 1;
        self.came.notify_all();
        let (inside, waited) = self.came.wait_timeout_while(inside, PATIENCE, |inside| *inside < count).unwrap();
        if waited.timed_out() {
            return Err(HwError::other("TimeoutError", format!("{} of {count} calls came", *inside)));
        }
        Ok(json!("met"))
    }
}

fn parallel(cx: &Cx<'_>, method: &str, count: u64) -> HwResult<Value> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(|| cx.dispatch::<Value>(method, json!({})))).collect();
        let answers: HwResult<Vec<Value>> =
            threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect();
        Ok(json!(answers?))
    })
}

fn run(cx: &Cx<'_>, argv: &[String]) -> HwResult<Value> {
    let (program, args) = argv.split_first().ok_or_else(|| HwError::configuration("no program to run"))?;
    Ok(json!(cx.run(&mut Command::new(program).args(args.iter().cloned()))?.check()?.stdout))
}

fn work(cx: &Cx<'_>, report: &Value) -> HwResult<Value> {
    let percent = report[0].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
    cx.progress(percent, report[1].as_str().unwrap_or_default());
    while !cx.is_cancelled() {
        // The seam has no way to wait for a cancellation, so plugins ask now and then.
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(HwError::cancelled("the work was cancelled"))
}

ipa_misbehaving::ipa_plugin_api::export_manager! {
    Puppet, name = "puppet_TAG0", version = "1.TAG0", class_name = "PuppetTAG0", dynamic = true,
    methods { initialize, get_clean_steps, get_deploy_steps, get_service_steps, full_sync }
}
