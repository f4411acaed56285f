use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::UNIX_EPOCH;

use super::*;

/// Seconds from 1900 to 1970.
const ERA: u64 = 2_208_988_800;

/// The 48 bytes of a server's good answer to a question, with a clock that is ahead by so many seconds.
fn answer(question: &[u8], ahead: i64) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seconds = (now.as_secs() + ERA).wrapping_add_signed(ahead) & 0xffff_ffff;
    let time = ((seconds << 32) | (u64::from(now.subsec_nanos()) * (1 << 32) / 1_000_000_000)).to_be_bytes();
    let mut bytes = vec![0x24, 2, 0, 0xec];
    // Delay, dispersion, reference, and when the server's clock was set.
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 1, 192, 0, 2, 9]);
    bytes.extend(time);
    bytes.extend(&question[40..48]);
    bytes.extend(time);
    bytes.extend(time);
    bytes
}

/// A server on the loopback interface that answers every question as it is told; gives its port.
fn server(mut reply: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if let Some(bytes) = reply(&buffer[..length]) {
                socket.send_to(&bytes, from).unwrap();
            }
        }
    });
    port
}

fn plausible() -> Plausible {
    Plausible::since(UNIX_EPOCH)
}

/// What one exchange with a server gives.
fn once(reply: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> Result<Answer, Refusal> {
    one("127.0.0.1", server(reply), plausible())
}

#[test]
fn a_server_that_is_ahead() {
    for ahead in [0, 86_400, -3600] {
        let found = once(move |question| Some(answer(question, ahead))).map_err(|refusal| refusal.why).unwrap();
        let off = found.offset_micros - ahead * 1_000_000;
        assert!(off.abs() < 1_000_000, "{ahead}: {found:?}");
        assert_eq!((found.stratum, found.server.as_str()), (2, "127.0.0.1"));
        assert_eq!(Answer::parse(&(found.line() + "\n")), Some(found));
    }
}

#[test]
fn answers_that_lie() {
    let year = 365 * 86_400;
    type Bend = fn(&mut Vec<u8>);
    let cases: [(&str, i64, Bend, bool); 13] = [
        ("no time server, a client", 0, |bytes| bytes[0] = 0x23, false),
        ("a broadcast", 0, |bytes| bytes[0] = 0x25, false),
        ("its clock is not set", 0, |bytes| bytes[0] = 0xe4, false),
        ("no version", 0, |bytes| bytes[0] = 0x04, false),
        ("stratum 16", 0, |bytes| bytes[1] = 16, false),
        ("a kiss of death", 0, |bytes| [bytes[1], bytes[12]] = [0, b'N'], true),
        ("another question's", 0, |bytes| bytes[24] ^= 1, false),
        ("no question's", 0, |bytes| bytes[24..32].fill(0), false),
        ("no time", 0, |bytes| bytes[40..48].fill(0), false),
        ("too short", 0, |bytes| bytes.truncate(47), false),
        ("far from any reference clock", 0, |bytes| bytes[4] = 0x7f, false),
        ("before the ramdisk was built", -20 * year, |_| {}, false),
        ("decades ahead", 30 * year, |_| {}, false),
    ];
    for (what, ahead, bend, is_final) in cases {
        let found = once(move |question| {
            let mut bytes = answer(question, ahead);
            bend(&mut bytes);
            Some(bytes)
        });
        let refusal = found.map(|answer| panic!("{what} is believed: {answer:?}")).unwrap_err();
        assert_eq!(refusal.is_final, is_final, "{what}: {}", refusal.why);
    }
    for bytes in [vec![], vec![0xff; 48], vec![0; 48], vec![0xff; 511]] {
        assert!(once(move |_| Some(bytes.clone())).is_err());
    }
    assert_eq!(once(|_| None).unwrap_err().why, "no answer");
}

#[test]
fn somebody_else_is_not_heard() {
    // It answers well, but from another port than the one that was asked.
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut buffer = [0; 512];
        let (length, from) = listener.recv_from(&mut buffer).unwrap();
        other.send_to(&answer(&buffer[..length], 0), from).unwrap();
    });
    assert_eq!(one("127.0.0.1", port, plausible()).unwrap_err().why, "no answer");
}

#[test]
fn the_next_server_is_asked_and_then_the_first_one_again() {
    let mut count = 0;
    let port = server(move |question| {
        count += 1;
        // The first packet is lost.
        (count > 1).then(|| answer(question, 0))
    });
    let found = ask(&["no such name", "127.0.0.1"], port, plausible()).unwrap();
    assert_eq!(found.server, "127.0.0.1");
    // Who wants not to be asked is asked once.
    let port = server(|question| {
        let mut bytes = answer(question, 0);
        bytes[1] = 0;
        bytes[12..16].copy_from_slice(b"RSTR");
        Some(bytes)
    });
    let begun = Instant::now();
    let why = ask(&["127.0.0.1"], port, plausible()).unwrap_err();
    assert_eq!(why, "127.0.0.1: wants not to be asked (Rstr)");
    assert!(begun.elapsed() < PATIENCE);
}

#[test]
fn lines_between_processes() {
    for line in ["", "1", "1 2", "x 2 a", "1 999 a", "1e3 2 a", "99999999999999999999 2 a"] {
        assert_eq!(Answer::parse(line), None, "{line:?}");
    }
    let answer = Answer { offset_micros: i64::MIN, stratum: 1, server: "a".to_owned() };
    assert_eq!(Answer::parse(&answer.line()), Some(answer));
}

/// chrony, of the package chrony, which never touches the clock with `-x`.
struct Chrony {
    process: Child,
    _directory: tempfile::TempDir,
}

impl Chrony {
    fn start(port: u16, clock: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let conf = directory.path().join("chrony.conf");
        let text = format!(
            "port {port}\nbindaddress 127.0.0.1\nallow 127.0.0.1\ncmdport 0\nbindcmdaddress /\n{clock}\npidfile {}\n",
            directory.path().join("pid").display()
        );
        std::fs::write(&conf, text).unwrap();
        let mut command = Command::new("chronyd");
        command.args(["-x", "-n", "-u", "root", "-f"]).arg(&conf).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("chronyd is installed (package chrony)");
        Self { process, _directory: directory }
    }
}

impl Drop for Chrony {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_real_server() {
    let port = free_port();
    let _chrony = Chrony::start(port, "local stratum 3");
    let found = ask(&["127.0.0.1"], port, plausible()).unwrap();
    assert!(found.offset_micros.abs() < 500_000 && found.stratum == 3, "{found:?}");
    // One that has no time to give says so, and is not believed.
    let port = free_port();
    let _chrony = Chrony::start(port, "server 127.0.0.1 port 1");
    let why = ask(&["127.0.0.1"], port, plausible()).unwrap_err();
    assert!(why.contains("its own clock is not set") || why.contains("wants not"), "{why}");
}
