//! The runner against real programs.

use std::fs;
use std::sync::Mutex;
use std::time::Instant;

use super::*;

fn runner() -> Runner {
    Runner::with_shim(Spawner::start().unwrap(), Vec::new())
}

fn sh(script: &str) -> Request {
    Request::new(["sh", "-c", script])
}

/// True while a process with this id exists and is no zombie.
fn is_alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with('Z')))
}

async fn until_dead(pid: &str) {
    let patience = Instant::now() + Duration::from_secs(20);
    while is_alive(pid) {
        assert!(Instant::now() < patience, "process {pid} is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn output_and_status_come_back() {
    let output = runner().run_any_status(sh("echo out; echo err >&2; exit 3")).await.unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!((output.stdout.text().as_str(), output.stderr.text().as_str()), ("out\n", "err\n"));
}

#[tokio::test]
async fn a_failure_is_one_sentence() {
    let error = runner().run(sh("echo 'mdadm: no such device' >&2; exit 2")).await.unwrap_err();
    assert!(error.to_string().ends_with("exited with status 2: mdadm: no such device"), "{error}");
    let error = runner().run(sh("kill -9 $$")).await.unwrap_err();
    assert!(error.to_string().ends_with("was killed by signal 9"), "{error}");
}

#[tokio::test]
async fn a_missing_program_is_named() {
    for name in ["no-such-program-anywhere", "/no/such/program", "/etc/passwd", ""] {
        let error = runner().run(Request::new([name])).await.unwrap_err();
        assert!(matches!(error, ProcessError::NotFound { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn the_environment_is_clean() {
    let output = runner().run(Request::new(["env"]).env("WANTED", "a b")).await.unwrap();
    let mut names: Vec<String> = output.stdout.text().lines().map(str::to_owned).collect();
    names.sort();
    assert_eq!(names, ["LC_ALL=C.UTF-8".to_owned(), format!("PATH={PATH}"), "WANTED=a b".to_owned()]);
}

#[tokio::test]
async fn arguments_are_not_interpreted() {
    let output = runner().run(Request::new(["printf", "%s|", "a b", "$HOME", "; exit 1", "*"])).await.unwrap();
    assert_eq!(output.stdout.text(), "a b|$HOME|; exit 1|*|");
}

#[tokio::test]
async fn input_is_given_and_may_be_ignored() {
    let large = vec![b'x'; 1_000_000];
    let output = runner().run(Request::new(["wc", "-c"]).stdin(large.clone())).await.unwrap();
    assert_eq!(output.stdout.text().trim(), "1000000");
    assert!(runner().run(Request::new(["true"]).stdin(large)).await.is_ok());
    let output = runner().run(Request::new(["cat"])).await.unwrap();
    assert_eq!(output.stdout.text(), "");
}

#[tokio::test]
async fn lines_are_seen_while_it_runs() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = lines.clone();
    let request = sh("printf '10%%\\r20%%\\rdone\\nrest'; echo problem >&2")
        .on_line(move |stream, line| seen.lock().unwrap().push((stream == Stream::Err, line.to_owned())));
    runner().run(request).await.unwrap();
    let mut lines = lines.lock().unwrap().clone();
    lines.sort();
    let out = ["10%", "20%", "done", "rest"].map(|line| (false, line.to_owned()));
    assert_eq!(lines, [&out[..], &[(true, "problem".to_owned())]].concat());
}

#[tokio::test]
async fn a_flood_is_kept_within_bounds() {
    let output = runner().run(Request::new(["head", "-c", "30000000", "/dev/zero"]).keep(1000)).await.unwrap();
    assert_eq!(output.stdout.dropped(), 30_000_000 - 1000);
}

#[tokio::test]
async fn the_deadline_ends_the_whole_group() {
    let pids = Arc::new(Mutex::new(Vec::new()));
    let seen = pids.clone();
    // The shell ignores the polite signal, and so does its child.
    let request = sh("trap '' TERM; sh -c 'echo $$; echo stuck >&2; while :; do sleep 1; done' & echo $$; wait")
        .deadline(Duration::from_millis(300))
        .on_line(move |stream, line| {
            if stream == Stream::Out {
                seen.lock().unwrap().push(line.to_owned());
            }
        });
    let error = runner().run(request).await.unwrap_err();
    assert!(error.to_string().ends_with("took longer than 0.3 s and was killed: stuck"), "{error}");
    let pids = pids.lock().unwrap().clone();
    assert_eq!(pids.len(), 2);
    for pid in pids {
        until_dead(&pid).await;
    }
}

#[tokio::test]
async fn a_cancel_ends_it() {
    let call = CallContext::new();
    let cancel = call.clone();
    let request = sh("echo ready; exec sleep 600").for_call(&call).on_line(move |_, _| cancel.cancel());
    let error = runner().run(request).await.unwrap_err();
    assert!(matches!(error, ProcessError::Cancelled { .. }), "{error}");
}

#[tokio::test]
async fn a_caller_that_leaves_ends_it() {
    let (sender, mut pid) = tokio::sync::mpsc::unbounded_channel();
    let request = sh("echo $$; exec sleep 600").on_line(move |_, line| drop(sender.send(line.to_owned())));
    let task = tokio::spawn(async move { runner().run(request).await.map(|_| ()) });
    let pid = pid.recv().await.unwrap();
    assert!(is_alive(&pid));
    task.abort();
    until_dead(&pid).await;
}

#[tokio::test]
async fn something_left_in_the_background_does_not_hold_it_up() {
    let started = Instant::now();
    let output = runner().run(sh("sleep 30 & echo $!")).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(15));
    let left = output.stdout.text().trim().parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(left, rustix::process::Signal::KILL).unwrap();
}

/// Serves as the program `exec-child` for the tests below: it becomes what stands after `exec-child-of-a-test`.
#[test]
fn shim_entry() {
    let mut args = std::env::args_os().skip_while(|arg| arg != "exec-child-of-a-test");
    if args.next().is_some() {
        child_main(args);
    }
}

fn with_shim() -> Vec<OsString> {
    let own = std::env::current_exe().unwrap();
    let words = ["process::tests::shim_entry", "--exact", "--nocapture", "--quiet", "--", "exec-child-of-a-test"];
    std::iter::once(own.into_os_string()).chain(words.map(OsString::from)).collect()
}

#[tokio::test]
async fn the_shim_becomes_the_program() {
    let runner = Runner::with_shim(Spawner::start().unwrap(), with_shim());
    let output = runner.run(sh("echo $0 $1; ulimit -c; exit 0")).await.unwrap();
    assert!(output.stdout.text().ends_with("sh\n0\n"), "{}", output.stdout.text());
    let error = runner.run(sh("echo reason >&2; exit 7")).await.unwrap_err();
    assert!(error.to_string().ends_with("exited with status 7: reason"), "{error}");
}

#[tokio::test]
async fn children_die_with_the_thread_that_started_them() {
    let spawner = Spawner::start().unwrap();
    let runner = Runner::with_shim(spawner.clone(), with_shim());
    let command = runner.command(Path::new("/bin/sh"), &sh("echo $$; exec sleep 600"));
    let mut child = spawner.spawn(command).await.unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let pid = lines.find_map(|line| line.ok().filter(|line| line.parse::<u32>().is_ok())).unwrap();
    assert!(is_alive(&pid));
    // The end of the last spawner ends its thread, as the death of the whole agent would.
    drop((runner, spawner));
    until_dead(&pid).await;
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap()), Some(9));
}
