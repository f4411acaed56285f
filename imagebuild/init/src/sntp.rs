//! The question for the time, by SNTP. It waits for the network, so it runs as a process of its own.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use sntpc::{Error, NtpContext, NtpUdpSocket, StdTimestampGen};

use crate::clock::Plausible;

/// Where time servers listen.
pub const PORT: u16 = 123;
/// Longest time until it is given up. Looking up a name may take a while more.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Time for one answer.
const ANSWER: Duration = Duration::from_millis(500);
/// Most addresses of one name that are asked.
const ADDRESSES: usize = 4;

/// What a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What has to be added to this machine's clock, in microseconds.
    pub offset_micros: i64,
    /// How far the server is from a reference clock, 1 to 15.
    pub stratum: u8,
    /// The server, as it was named.
    pub server: String,
}

impl Answer {
    /// The time of the server when it is `now` here; none if no clock can have it.
    pub fn time(&self, now: SystemTime) -> Option<SystemTime> {
        let offset = Duration::from_micros(self.offset_micros.unsigned_abs());
        if self.offset_micros < 0 { now.checked_sub(offset) } else { now.checked_add(offset) }
    }

    /// The line by which one process tells it another.
    fn line(&self) -> String {
        format!("{} {} {}", self.offset_micros, self.stratum, self.server)
    }

    /// Reads that line.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.trim_end().splitn(3, ' ');
        let (offset, stratum, server) = (words.next()?, words.next()?, words.next()?);
        Some(Self { offset_micros: offset.parse().ok()?, stratum: stratum.parse().ok()?, server: server.to_owned() })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = Duration::from_micros(self.offset_micros.unsigned_abs()).as_secs_f64();
        let sign = if self.offset_micros < 0 { '-' } else { '+' };
        write!(f, "{} (stratum {}) is at {sign}{offset:.3} s", self.server, self.stratum)
    }
}

/// The process that asks: tells the answer on its standard output, or what was tried.
pub fn main(servers: &[&str], plausible: Plausible) -> Result<(), String> {
    println!("{}", ask(servers, PORT, plausible)?.line());
    Ok(())
}

/// Asks one server after the other, again and again, until one says what can be true.
///
/// # Errors
/// None does in time: one line of what became of each.
pub fn ask(servers: &[&str], port: u16, plausible: Plausible) -> Result<Answer, String> {
    let end = Instant::now() + PATIENCE;
    let mut left: Vec<(&str, String)> = servers.iter().map(|server| (*server, String::new())).collect();
    let mut refused = Vec::new();
    loop {
        let next_round = Instant::now() + ANSWER;
        let mut round = Vec::new();
        for (server, _) in left {
            match one(server, port, plausible) {
                Ok(answer) => return Ok(answer),
                // It wants to be left alone.
                Err(Refusal { why, is_final: true }) => refused.push(format!("{server}: {why}")),
                Err(Refusal { why, .. }) => round.push((server, why)),
            }
            if Instant::now() >= end {
                break;
            }
        }
        left = round;
        if left.is_empty() || Instant::now() >= end {
            refused.extend(left.iter().map(|(server, why)| format!("{server}: {why}")));
            return Err(refused.join("; "));
        }
        // Those that fail at once, as without a route, may be reached soon.
        thread::sleep(next_round.saturating_duration_since(Instant::now()));
    }
}

/// Why a server is of no use.
struct Refusal {
    why: String,
    is_final: bool,
}

fn one(server: &str, port: u16, plausible: Plausible) -> Result<Answer, Refusal> {
    let retried = |why: String| Refusal { why, is_final: false };
    let addresses = (server, port).to_socket_addrs().map_err(|error| retried(error.to_string()))?;
    let mut last = retried("has no address".to_owned());
    for address in addresses.take(ADDRESSES) {
        let socket = match Socket::open(address) {
            Ok(socket) => socket,
            Err(error) => {
                last = retried(format!("{address}: {error}"));
                continue;
            }
        };
        match exchange(address, &socket) {
            Ok((offset_micros, stratum)) => {
                let answer = Answer { offset_micros, stratum, server: server.to_owned() };
                if answer.time(SystemTime::now()).is_some_and(|time| plausible.holds(time)) {
                    return Ok(answer);
                }
                last = retried(format!("says a time that cannot be true ({answer})"));
            }
            Err(Error::KissOfDeath(code)) => {
                last = Refusal { why: format!("wants not to be asked ({code:?})"), is_final: true };
            }
            Err(error) => last = retried(described(error)),
        }
    }
    Err(last)
}

/// One question and its answer: what has to be added to the clock, in microseconds, and the stratum. The crate checks that
/// it is a server's answer to this question, and that the server's own clock is set.
fn exchange(address: SocketAddr, socket: &Socket) -> Result<(i64, u8), Error> {
    let answer = sntpc::sync::get_time(address, socket, NtpContext::new(StdTimestampGen::default()))?;
    Ok((answer.offset(), answer.stratum()))
}

fn described(error: Error) -> String {
    match error {
        Error::Network => "no answer".to_owned(),
        Error::IncorrectOriginTimestamp => "the answer is to another question".to_owned(),
        Error::UnsynchronizedClock => "its own clock is not set".to_owned(),
        other => format!("its answer is wrong ({other:?})"),
    }
}

/// A socket that takes answers of one address only, and does not wait for ever.
struct Socket(UdpSocket);

impl Socket {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let any: SocketAddr =
            if address.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
        let socket = UdpSocket::bind(any)?;
        socket.connect(address)?;
        socket.set_read_timeout(Some(ANSWER))?;
        Ok(Self(socket))
    }
}

impl NtpUdpSocket for Socket {
    async fn send_to(&self, bytes: &[u8], _address: SocketAddr) -> sntpc::Result<usize> {
        self.0.send(bytes).map_err(|_| Error::Network)
    }

    async fn recv_from(&self, bytes: &mut [u8]) -> sntpc::Result<(usize, SocketAddr)> {
        self.0.recv_from(bytes).map_err(|_| Error::Network)
    }
}

#[cfg(test)]
mod tests;
