//! The accept loop and the life of a connection.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use slog::{debug, info, warn};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::connections::{Connections, Place};
use super::exchange::{Peer, routes};
use super::fault::Fault;
use super::reply::SERVER_NAME;
use crate::agent::Agent;
use crate::managers::BoxFuture;

/// Pause after the system refused a connection, most often for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time that answers on their way out have when the server stops.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// What one client may take up.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// Time for a TLS handshake, and for a request line with its header. It also ends idle connections.
    pub header_time: Duration,
    /// Bytes of a request line with its header, which has 100 fields at most.
    pub header: usize,
    /// Bytes of a request target.
    pub target: usize,
    /// Bytes of a body.
    pub body: usize,
    /// Time for a body.
    pub body_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            header_time: Duration::from_secs(10),
            header: 32 * 1024,
            target: 8 * 1024,
            body: 16 * 1024 * 1024,
            body_time: Duration::from_secs(60),
        }
    }
}

/// A byte stream to a client.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// The server side of a TLS handshake.
pub trait TlsAccept: Send + Sync {
    /// Shakes hands with a client.
    ///
    /// # Errors
    /// The client wants something else, or is none.
    fn accept(&self, stream: TcpStream) -> BoxFuture<'_, io::Result<Box<dyn Stream>>>;
}

/// How clients are spoken to.
#[derive(Clone)]
pub enum Transport {
    /// Plain HTTP.
    Plain,
    /// HTTP over TLS.
    Tls(Arc<dyn TlsAccept>),
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.scheme())
    }
}

impl Transport {
    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        match self {
            Self::Plain => "http",
            Self::Tls(_) => "https",
        }
    }
}

/// The running API.
#[derive(Debug)]
pub struct Server {
    local: SocketAddr,
    stop: watch::Sender<bool>,
    all_gone: mpsc::Receiver<()>,
    acceptor: AbortHandle,
    agent: Arc<Agent>,
}

impl Server {
    /// Serves a listener until [`stop`](Self::stop) is called or this value is dropped.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn start(agent: Arc<Agent>, listener: TcpListener, transport: Transport, limits: Limits) -> io::Result<Self> {
        let local = listener.local_addr()?;
        info!(agent.log(), "API service started"; "address" => %local, "scheme" => transport.scheme());
        let (stop, stopped) = watch::channel(false);
        let (alive, all_gone) = mpsc::channel(1);
        let connections = Connections::new(limits.connections);
        let acceptor = Acceptor { agent: agent.clone(), transport, limits, local, stopped, _alive: alive, connections };
        let acceptor = tokio::spawn(acceptor.run(listener)).abort_handle();
        Ok(Self { local, stop, all_gone, acceptor, agent })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The task that accepts connections.
    pub fn acceptor(&self) -> AbortHandle {
        self.acceptor.clone()
    }

    /// Closes the listener and waits until answers on their way are out, for a few seconds at most.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let _ = timeout(STOP_GRACE + Duration::from_secs(1), self.all_gone.recv()).await;
        info!(self.agent.log(), "API service stopped"; "address" => %self.local);
    }
}

/// What the accept loop hands to every connection.
#[derive(Clone)]
struct Acceptor {
    agent: Arc<Agent>,
    transport: Transport,
    limits: Limits,
    local: SocketAddr,
    stopped: watch::Receiver<bool>,
    /// Never sent on: its clones tell by their end that all connections are gone.
    _alive: mpsc::Sender<()>,
    connections: Arc<Connections>,
}

impl Acceptor {
    async fn run(mut self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = raised(&mut self.stopped) => return,
            };
            match accepted {
                Ok((stream, remote)) => self.admit(stream, remote),
                Err(error) => {
                    warn!(self.agent.log(), "cannot accept a connection"; "error" => %error);
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, remote: SocketAddr) {
        // Only a delay is lost without it.
        let _ = stream.set_nodelay(true);
        match self.connections.admit() {
            Some(place) => {
                tokio::spawn(self.clone().converse(stream, remote, place));
            }
            None => {
                warn!(self.agent.log(), "connection refused, all are being served"; "client" => %remote.ip());
                if matches!(self.transport, Transport::Plain) {
                    refuse(stream);
                }
            }
        }
    }

    async fn converse(self, stream: TcpStream, remote: SocketAddr, place: Place) {
        match &self.transport {
            Transport::Plain => self.serve(stream, remote, place).await,
            Transport::Tls(tls) => {
                let handshake = timeout(self.limits.header_time, tls.accept(stream));
                let mut stopped = self.stopped.clone();
                let stream = tokio::select! {
                    stream = handshake => stream,
                    () = place.slot.evicted() => return,
                    () = raised(&mut stopped) => return,
                };
                match stream {
                    Ok(Ok(stream)) => self.serve(stream, remote, place).await,
                    Ok(Err(error)) => {
                        debug!(self.agent.log(), "TLS handshake failed"; "client" => %remote.ip(), "error" => %error);
                    }
                    Err(_) => debug!(self.agent.log(), "TLS handshake took too long"; "client" => %remote.ip()),
                }
            }
        }
    }

    async fn serve(&self, stream: impl Stream + 'static, remote: SocketAddr, place: Place) {
        let peer = Peer {
            agent: self.agent.clone(),
            limits: self.limits,
            scheme: self.transport.scheme(),
            local: self.local,
            remote,
            slot: place.slot.clone(),
        };
        let service = TowerToHyperService::new(warp::service(routes(Arc::new(peer))));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_time)
            .max_buf_size(self.limits.header)
            .max_header_size(self.limits.header)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut stopped = self.stopped.clone();
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = place.slot.evicted() => None,
            () = raised(&mut stopped) => {
                connection.as_mut().graceful_shutdown();
                timeout(STOP_GRACE, connection).await.ok()
            }
        };
        if let Some(Err(error)) = ended {
            debug!(self.agent.log(), "connection failed"; "client" => %remote.ip(), "error" => %error);
        }
    }
}

/// Returns when the server is stopped or dropped.
async fn raised(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Says on a connection that there is no room for it. One try: it is not worth waiting for.
fn refuse(stream: TcpStream) {
    let fault = Fault::http(warp::http::StatusCode::SERVICE_UNAVAILABLE, "All connections are being served.");
    let body = fault.to_json();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Server: {SERVER_NAME}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(&[head.as_bytes(), &body].concat());
    }
}
