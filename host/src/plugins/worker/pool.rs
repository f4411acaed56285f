//! The threads in which plugin code runs.
//!
//! Calls can nest: a call asks the host, which calls the same plugin again. With a plain limit, as many calls as there
//! are threads could each wait for a thread. So deeper calls may use more threads than shallow ones: whatever waits, the
//! calls below it still have threads of their own, and the deepest wait for nobody.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Threads for calls that the host makes of its own accord.
const THREADS: usize = 64;
/// Further threads for each level of nesting.
const THREADS_A_LEVEL: usize = 8;
/// Stack of each thread, in bytes. Vendor libraries expect more than the two megabytes of Rust's default.
const STACK: usize = 4 << 20;
/// An idle thread ends after this time.
const IDLE: Duration = Duration::from_secs(20);

/// Something to run, and how deep it is nested.
pub(super) struct Job {
    depth: u32,
    work: Box<dyn FnOnce() + Send>,
}

impl Job {
    pub(super) fn new(depth: u32, work: impl FnOnce() + Send + 'static) -> Self {
        Self { depth, work: Box::new(work) }
    }

    /// Whether it may have a thread while so many others have one.
    fn fits(&self, others: usize) -> bool {
        others < THREADS + THREADS_A_LEVEL * self.depth as usize
    }
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    /// Threads there are, those just being started included.
    threads: usize,
    /// Threads that run a job.
    running: usize,
}

impl State {
    /// Takes the oldest job that may run now.
    fn next(&mut self) -> Option<Job> {
        let running = self.running;
        let at = self.queue.iter().position(|job| job.fits(running))?;
        self.running += 1;
        self.queue.remove(at)
    }
}

/// A pool that grows with what is asked of it.
#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<State>,
    wake: Condvar,
}

impl Pool {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Runs a job as soon as it may run. Never blocks.
    pub(super) fn run(self: &Arc<Self>, job: Job) {
        let mut state = self.lock();
        let all_taken = state.threads - state.running <= state.queue.len();
        let start = all_taken && job.fits(state.threads);
        state.threads += usize::from(start);
        state.queue.push_back(job);
        drop(state);
        if !start {
            self.wake.notify_one();
            return;
        }
        let pool = Arc::clone(self);
        let thread = thread::Builder::new().name("plugin".into()).stack_size(STACK);
        if thread.spawn(move || pool.work()).is_err() {
            // Out of memory or threads: the job waits for another thread to be free, or for its deadline.
            self.lock().threads -= 1;
        }
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            while let Some(job) = state.next() {
                drop(state);
                (job.work)();
                state = self.lock();
                state.running -= 1;
            }
            let (woken, timeout) = self.wake.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if timeout.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn calls_that_wait_for_deeper_calls_do_not_starve_them() {
        let pool = Pool::new();
        let (done, results) = channel();
        // Three times as many as there are threads, each waiting for a call one level down, which does the same.
        for _ in 0..THREADS * 3 {
            nest(&pool, 0, &done);
        }
        for _ in 0..THREADS * 3 {
            results.recv_timeout(Duration::from_secs(20)).expect("a call never ended");
        }
    }

    fn nest(pool: &Arc<Pool>, depth: u32, done: &std::sync::mpsc::Sender<()>) {
        let (again, done) = (Arc::clone(pool), done.clone());
        pool.run(Job::new(depth, move || {
            if depth < 5 {
                let (inner_done, inner) = channel();
                nest(&again, depth + 1, &inner_done);
                inner.recv().expect("inner call");
            }
            done.send(()).expect("receiver");
        }));
    }

    #[test]
    fn the_number_of_threads_is_bounded() {
        let mut state = State::default();
        for _ in 0..THREADS + 1 {
            state.queue.push_back(Job::new(0, || ()));
        }
        while state.next().is_some() {}
        assert_eq!((state.running, state.queue.len()), (THREADS, 1));
        state.queue.push_back(Job::new(1, || ()));
        assert!(state.next().is_some(), "a deeper call must find a thread");
    }
}
