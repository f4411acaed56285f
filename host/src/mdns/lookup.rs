//! How often is asked, and how long is waited.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use slog::{Logger, debug, warn};
use tokio::time::{Instant, sleep, timeout_at};

use super::message::{self, Kind, Record};
use super::name::Name;
use super::places::Places;
use super::service::{Routes, Service};
use super::{Found, LookupError};
use crate::random;

/// Longest time of one attempt.
const ATTEMPT: Duration = Duration::from_secs(3);
/// Wait after the first attempt; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Waits between the questions of an attempt; the last one is repeated.
const QUESTIONS: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
/// Random part of each of these waits, in seconds: machines that were powered on together do not ask as one.
const RANDOM_PART: (f64, f64) = (0.020, 0.120);
/// Most machines whose answers are kept.
const MOST_RESPONDERS: usize = 32;

/// Who asks the link and hears its answers.
pub(super) trait Link: Routes {
    /// Sends a message to all who listen. Gives what kept it from any interface.
    async fn send(&mut self, message: &[u8]) -> Result<(), String>;

    /// The next message that comes, and who sent it. Nothing may be lost if this is not waited for to its end.
    async fn receive(&mut self) -> (Vec<u8>, SocketAddr);
}

/// Asks for a service until somebody announces one that can be used.
pub(super) async fn lookup<L: Link>(
    link: &mut L,
    service: &str,
    attempts: u32,
    places: &Places,
    log: &Logger,
) -> Result<Found, LookupError> {
    let mut lookup = Lookup { name: Name::of(service), responders: Vec::new(), refused: None };
    let (mut pause, mut unsent) = (FIRST_PAUSE, None);
    for attempt in 1..=attempts.max(1) {
        match lookup.attempt(link, places, log).await {
            Ok(found) => return Ok(found),
            Err(why) => unsent = why,
        }
        debug!(log, "no usable answer by multicast DNS"; "service" => service, "attempt" => attempt);
        if attempt < attempts {
            sleep(pause).await;
            pause = pause.saturating_mul(2);
        }
    }
    Err(LookupError {
        service: service.to_owned(),
        attempts: attempts.max(1),
        why: lookup.refused.or(unsent).unwrap_or_else(|| "nobody answered".to_owned()),
    })
}

/// What has come of a lookup so far.
struct Lookup {
    name: Name,
    responders: Vec<(IpAddr, Service)>,
    /// Why the last announcement could not be used.
    refused: Option<String>,
}

impl Lookup {
    /// Asks, several times, and listens. The error is what kept the last question from being sent.
    async fn attempt<L: Link>(&mut self, link: &mut L, places: &Places, log: &Logger) -> Result<Found, Option<String>> {
        let id = random::number();
        let end = Instant::now() + ATTEMPT;
        let mut next = Instant::now();
        let (mut waits, mut unsent) = (QUESTIONS.into_iter(), None);
        while Instant::now() < end {
            if Instant::now() >= next {
                unsent = link.send(&message::query(id, &self.questions())).await.err();
                let wait = waits.next().unwrap_or(QUESTIONS[QUESTIONS.len() - 1]);
                next = Instant::now() + wait + random::between(RANDOM_PART.0, RANDOM_PART.1);
            }
            let Ok((message, from)) = timeout_at(next.min(end), link.receive()).await else { continue };
            match message::response(id, &message) {
                Ok(None) => {}
                Ok(Some(records)) => {
                    if let Some(found) = self.hear(link, records, from, places, log).await {
                        return Ok(found);
                    }
                }
                Err(malformed) => debug!(log, "a malformed answer by multicast DNS";
                    "from" => %from.ip(), "error" => %malformed),
            }
        }
        Err(unsent)
    }

    async fn hear<L: Link>(
        &mut self,
        link: &L,
        records: Vec<Record>,
        from: SocketAddr,
        places: &Places,
        log: &Logger,
    ) -> Option<Found> {
        let place = self.responders.iter().position(|(known, _)| *known == from.ip());
        let place = match place {
            Some(place) => place,
            None if self.responders.len() < MOST_RESPONDERS => {
                self.responders.push((from.ip(), Service::new(&self.name)));
                self.responders.len() - 1
            }
            None => return None,
        };
        let service = &mut self.responders[place].1;
        service.add(records);
        let announced = service.whole()?;
        match announced.resolve(from, places, link, log).await {
            Ok(found) => Some(found),
            Err(why) => {
                let why = format!("what {} announces cannot be used: {why}", from.ip());
                // It is announced again with each question.
                if self.refused.as_ref() != Some(&why) {
                    warn!(log, "multicast DNS: {why}"; "service" => %self.name);
                }
                self.refused = Some(why);
                None
            }
        }
    }

    /// Those of all responders.
    fn questions(&self) -> Vec<(&Name, Kind)> {
        let mut questions = vec![(&self.name, Kind::Srv), (&self.name, Kind::Txt)];
        for question in self.responders.iter().flat_map(|(_, service)| service.questions()) {
            if !questions.contains(&question) {
                questions.push(question);
            }
        }
        questions
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::{message_of, place_of, record_of, text_of};
    use super::*;
    use slog::{Discard, o};
    use std::collections::VecDeque;

    const SERVICE: &str = "baremetal._openstack._tcp.local.";

    /// What comes, and how many milliseconds after the question.
    type Answers = Vec<(u64, Vec<u8>, &'static str)>;

    /// A link on which each question gets what `answer` makes of the number of the question and its id.
    struct FakeLink<F> {
        start: Instant,
        answer: F,
        /// When questions were sent, in milliseconds, and how many records they asked for.
        asked: Vec<(u128, u8)>,
        coming: VecDeque<(Instant, Vec<u8>, SocketAddr)>,
    }

    impl<F: Fn(usize, u16) -> Answers> FakeLink<F> {
        fn new(answer: F) -> Self {
            Self { start: Instant::now(), answer, asked: Vec::new(), coming: VecDeque::new() }
        }
    }

    impl<F: Fn(usize, u16) -> Answers> Link for FakeLink<F> {
        async fn send(&mut self, message: &[u8]) -> Result<(), String> {
            let id = u16::from_be_bytes([message[0], message[1]]);
            for (delay, message, from) in (self.answer)(self.asked.len(), id) {
                let from = SocketAddr::new(from.parse().expect("an address"), 5353);
                self.coming.push_back((Instant::now() + Duration::from_millis(delay), message, from));
            }
            self.asked.push((self.start.elapsed().as_millis(), message[5]));
            Ok(())
        }

        async fn receive(&mut self) -> (Vec<u8>, SocketAddr) {
            let Some((at, ..)) = self.coming.front() else { return std::future::pending().await };
            tokio::time::sleep_until(*at).await;
            let (_, message, from) = self.coming.pop_front().expect("looked at");
            (message, from)
        }
    }

    impl<F: Fn(usize, u16) -> Answers> Routes for FakeLink<F> {
        async fn has_route(&self, _: SocketAddr) -> bool {
            true
        }
    }

    fn service(id: u16, address: [u8; 4], whole: bool) -> Vec<u8> {
        let (name, host) = (Name::of(SERVICE), Name::of("ironic.local."));
        let mut records =
            vec![record_of(&name, 33, 10, &place_of(&host, 80)), record_of(&name, 16, 10, &text_of(&[b"ipa_debug=1"]))];
        if whole {
            records.push(record_of(&host, 1, 10, &address));
        }
        message_of(id, &records)
    }

    async fn run<F: Fn(usize, u16) -> Answers>(
        link: &mut FakeLink<F>,
        attempts: u32,
    ) -> (Result<String, String>, Duration) {
        let places = Places::parse(&["10.0.0.0/8"]).expect("places");
        let result = lookup(link, SERVICE, attempts, &places, &Logger::root(Discard, o!())).await;
        let elapsed = link.start.elapsed();
        (result.map(|found| found.url.to_string()).map_err(|error| error.to_string()), elapsed)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_whole_answer_ends_the_lookup() {
        let mut link = FakeLink::new(|_, id| vec![(70, service(id, [10, 0, 0, 5], true), "10.0.0.5")]);
        let (found, elapsed) = run(&mut link, 3).await;
        assert_eq!((found.as_deref(), elapsed.as_millis()), (Ok("http://10.0.0.5"), 70));
        assert_eq!(link.asked, [(0, 2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_take_three_seconds_and_the_waits_between_them_double() {
        let mut link = FakeLink::new(|_, _| Vec::new());
        let (error, elapsed) = run(&mut link, 4).await;
        assert_eq!(elapsed.as_millis(), 4 * 3000 + 100 + 200 + 400);
        let error = error.expect_err("nobody is there");
        assert!(
            error.contains(SERVICE) && error.contains("4 attempts") && error.contains("nobody answered"),
            "{error}"
        );
        for start in [0, 3100, 6300, 9700] {
            let times: Vec<u128> =
                link.asked.iter().map(|(at, _)| *at).filter(|at| (start..start + 3000).contains(at)).collect();
            assert_eq!(times[0], start);
            assert!((220..=320).contains(&(times[1] - start)), "{times:?}");
            assert!((3..=4).contains(&times.len()), "{times:?}");
            assert!(times.windows(2).skip(1).all(|pair| (1020..=1121).contains(&(pair[1] - pair[0]))), "{times:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_that_are_missing_are_asked_for() {
        let host = Name::of("ironic.local.");
        let mut link = FakeLink::new(move |question, id| {
            let address = message_of(id, &[record_of(&host, 1, 10, &[10, 0, 0, 5])]);
            vec![(1, if question == 0 { service(id, [0; 4], false) } else { address }, "10.0.0.5")]
        });
        assert_eq!(run(&mut link, 1).await.0.as_deref(), Ok("http://10.0.0.5"));
        assert_eq!(link.asked.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [2, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn garbage_and_places_that_are_not_allowed_do_not_hide_a_good_answer() {
        let mut link = FakeLink::new(|question, id| {
            let mut answers = vec![
                (1, b"garbage".to_vec(), "10.0.0.1"),
                (1, service(id.wrapping_add(1), [10, 6, 6, 6], true), "10.0.0.2"),
                (1, service(id, [9, 9, 9, 9], true), "10.0.0.3"),
            ];
            if question == 2 {
                answers.push((2, service(id, [10, 0, 0, 5], true), "10.0.0.5"));
            }
            answers
        });
        assert_eq!(run(&mut link, 1).await.0.as_deref(), Ok("http://10.0.0.5"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_the_reason() {
        let mut link = FakeLink::new(|_, id| vec![(1, service(id, [9, 9, 9, 9], true), "10.0.0.3")]);
        let error = run(&mut link, 1).await.0.expect_err("refused");
        assert!(
            error.contains("10.0.0.3") && error.contains("9.9.9.9") && error.contains("allowed_addresses"),
            "{error}"
        );
    }

    /// Answers without end neither hold the lookup up nor fill the memory.
    #[tokio::test(start_paused = true)]
    async fn a_flood_ends_with_the_attempt() {
        let mut link = FakeLink::new(|_, id| {
            let from = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
            (0..3000)
                .zip(from.into_iter().cycle())
                .map(|(at, from)| (at, service(id, [9, 9, 9, 9], true), from))
                .collect()
        });
        let (result, elapsed) = run(&mut link, 2).await;
        assert!(result.is_err());
        assert_eq!(elapsed.as_millis(), 6100);
    }
}
