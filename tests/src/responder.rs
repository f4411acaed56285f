//! A responder of multicast DNS that announces what a test wants, or sends anything else.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::netdevice::name_to_index;

use crate::own_network;

const PORT: u16 = 5353;
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// How often a responder looks whether its test is over.
const LOOK: Duration = Duration::from_millis(50);

const A: u16 = 1;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// What is announced.
#[derive(Debug, Clone)]
pub struct Service {
    /// The type, for example `baremetal`.
    pub kind: &'static str,
    /// The host, with dots.
    pub host: &'static str,
    /// The port.
    pub port: u16,
    /// The host's addresses.
    pub addresses: Vec<IpAddr>,
    /// The texts, for example `path=/x`.
    pub texts: Vec<String>,
}

/// Makes an answer of a question, both as they are on the wire; none for silence.
pub type Answer = Box<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// The responder. It stops when dropped.
#[derive(Debug)]
pub struct Responder {
    stop: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<SocketAddr>>>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Announces services by IPv4 on the interface of [`own_network`].
    pub fn announcing(services: Vec<Service>) -> Self {
        Self::answering(Box::new(move |question| services.iter().find_map(|service| service.answer(question))))
    }

    /// Answers in any way by IPv4.
    pub fn answering(answer: Answer) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).expect("a port in our own network");
        let address = own_network::ADDRESS_V4.parse().expect("an address");
        socket.join_multicast_v4(&GROUP_V4, &address).expect("our own interface");
        Self::start(socket, answer)
    }

    /// Announces services by IPv6 on that interface.
    pub fn announcing_by_ipv6(services: Vec<Service>) -> Self {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT)).expect("a port in our own network");
        let number = name_to_index(&socket, own_network::INTERFACE).expect("our own interface");
        socket.join_multicast_v6(&GROUP_V6, number).expect("our own interface");
        Self::start(socket, Box::new(move |question| services.iter().find_map(|service| service.answer(question))))
    }

    fn start(socket: UdpSocket, answer: Answer) -> Self {
        let (stop, asked) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<SocketAddr>>>::default());
        let (stopped, heard) = (stop.clone(), asked.clone());
        let thread = std::thread::spawn(move || serve(&socket, &answer, &stopped, &heard));
        Self { stop, asked, thread: Some(thread) }
    }

    /// Who has asked so far, once for each question.
    pub fn asked(&self) -> Vec<SocketAddr> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // It can only have ended.
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, answer: &Answer, stop: &AtomicBool, asked: &Mutex<Vec<SocketAddr>>) {
    socket.set_read_timeout(Some(LOOK)).expect("not zero");
    let mut question = [0; 9000];
    while !stop.load(Ordering::SeqCst) {
        let (length, from) = match socket.recv_from(&mut question) {
            Ok(received) => received,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => continue,
            Err(error) => panic!("{error}"),
        };
        asked.lock().unwrap_or_else(PoisonError::into_inner).push(from);
        if let Some(answer) = answer(&question[..length]) {
            // Who has an answer already has left.
            let _ = socket.send_to(&answer, from);
        }
    }
}

impl Service {
    /// The answer to a question for this service, as a responder gives one to a port of its own: with the number of the
    /// question and the question. None if the question is for another.
    pub fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let name = format!("{}._openstack._tcp.local", self.kind);
        let asked = question.windows(name.len() + 2).any(|part| part == wire(&name));
        if !asked || question.len() < 12 {
            return None;
        }
        let mut texts = Vec::new();
        for text in &self.texts {
            texts.push(u8::try_from(text.len()).expect("short"));
            texts.extend(text.bytes());
        }
        let place = [&[0, 0, 0, 0][..], &self.port.to_be_bytes(), &wire(self.host)].concat();
        let mut records = vec![record(&name, SRV, &place), record(&name, TXT, &texts)];
        records.extend(self.addresses.iter().map(|address| match address {
            IpAddr::V4(v4) => record(self.host, A, &v4.octets()),
            IpAddr::V6(v6) => record(self.host, AAAA, &v6.octets()),
        }));
        let count = u16::try_from(records.len()).expect("few").to_be_bytes();
        let mut answer = question.to_vec();
        answer[2..4].copy_from_slice(&[0x84, 0]);
        answer[6..8].copy_from_slice(&count);
        answer[8..12].fill(0);
        answer.extend(records.concat());
        Some(answer)
    }
}

/// A name as it stands in messages.
fn wire(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.') {
        wire.push(u8::try_from(label.len()).expect("short"));
        wire.extend(label.bytes());
    }
    wire.push(0);
    wire
}

fn record(name: &str, kind: u16, content: &[u8]) -> Vec<u8> {
    let mut record = wire(name);
    record.extend(kind.to_be_bytes());
    record.extend([0x80, 1, 0, 0, 0, 10]);
    record.extend(u16::try_from(content.len()).expect("short").to_be_bytes());
    record.extend(content);
    record
}
