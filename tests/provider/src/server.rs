//! Connections: one thread accepts, one serves each, and all of them end when the provider does.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use socket2::{Domain, Socket, Type};

use crate::endpoints;
use crate::http::{Reply, Request, Unreadable};
use crate::state::{Answer, Standing, State};
use crate::wire::Wire;
use crate::{Endpoint, Fault, Log, Recorded};

/// How many connections may wait to be accepted: more than the processes that a test starts at once.
const BACKLOG: i32 = 1024;

/// Holds what all threads share.
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    tls: Option<Arc<ServerConfig>>,
}

impl Shared {
    /// Makes it.
    pub(crate) fn new(state: State, tls: Option<Arc<ServerConfig>>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new(), tls })
    }

    /// Locks the state; a panic elsewhere does not matter, the test has failed by then.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `is_so`, at most until `deadline`; says whether it came true.
    pub(crate) fn wait_until(&self, deadline: Instant, is_so: impl Fn(&State) -> bool) -> bool {
        let mut state = self.lock();
        while !is_so(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Tells everybody who waits that something happened.
    pub(crate) fn announce(&self) {
        self.changed.notify_all();
    }

    /// Ends every connection and every wait.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.service = Standing::Disabled;
        for socket in state.connections.values() {
            // a peer that left first makes this fail, and that is the aim
            drop(socket.shutdown(Shutdown::Both));
        }
        drop(state);
        self.announce();
        self.wait_until(Instant::now() + Duration::from_secs(10), |state| state.connections.is_empty());
    }
}

/// Accepts connections until it is closed.
pub(crate) struct Listener {
    address: SocketAddr,
    closing: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Listener {
    /// Binds a port of 127.0.0.1; 0 takes a free one.
    pub(crate) fn bind(port: u16) -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    }

    /// Starts accepting.
    pub(crate) fn start(listener: TcpListener, shared: Arc<Shared>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let closing = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&closing);
        let thread = thread::spawn(move || {
            for socket in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                if let Ok(socket) = socket {
                    admit(&shared, socket);
                }
            }
        });
        Ok(Self { address, closing, thread })
    }

    /// Stops accepting: from now on a connection is refused.
    pub(crate) fn close(self) {
        self.closing.store(true, Ordering::SeqCst);
        // the thread sits in accept; a connection wakes it
        drop(TcpStream::connect(self.address));
        drop(self.thread.join());
    }
}

fn admit(shared: &Arc<Shared>, socket: TcpStream) {
    let Ok(copy) = socket.try_clone() else { return };
    let number = shared.lock().admit(copy);
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        // an error here is a peer that went away
        drop(serve(&shared, socket));
        shared.lock().connections.remove(&number);
        shared.announce();
    });
}

fn serve(shared: &Shared, socket: TcpStream) -> io::Result<()> {
    let mut wire = Wire::new(socket, shared.tls.as_ref())?;
    let request = match Request::read(&mut wire) {
        Ok(request) => request,
        Err(Unreadable::Gone) => return Ok(()),
        Err(Unreadable::Malformed(what)) => {
            shared.lock().violations.push(what.clone());
            return deliver(wire, &Reply::new(400, "text/plain", what));
        }
    };
    let (call, fault) = Call::arrive(shared, request);
    match fault {
        None => call.answer_normally(wire),
        Some(fault) => call.misbehave(wire, &fault),
    }
}

/// Follows one request from its arrival to its answer.
struct Call<'a> {
    shared: &'a Shared,
    request: Request,
    endpoint: Endpoint,
    number: usize,
    releases: usize,
}

impl<'a> Call<'a> {
    fn arrive(shared: &'a Shared, request: Request) -> (Self, Option<Fault>) {
        let mut state = shared.lock();
        let endpoint = endpoints::route(&state.settings.issuer_path, &request.path);
        state.log.push(Recorded::of(endpoint, &request));
        let number = state.log.len() - 1;
        let fault = state.faults.take(endpoint);
        let releases = state.releases;
        drop(state);
        shared.announce();
        (Self { shared, request, endpoint, number, releases }, fault)
    }

    fn answer_normally(&self, wire: Wire) -> io::Result<()> {
        let reply = self.process(Answer::Intact);
        self.send(wire, &reply)
    }

    fn misbehave(&self, mut wire: Wire, fault: &Fault) -> io::Result<()> {
        if let Some(reply) = fault.canned() {
            self.note_poll(fault);
            return self.send(wire, &reply);
        }
        match fault {
            Fault::ResetBeforeProcessing => return wire.reset(),
            Fault::Delay(time) => {
                self.pause(*time);
                return self.answer_normally(wire);
            }
            _ => {}
        }
        let reply = fault.reshape(self.process(Answer::TamperedWith));
        match fault {
            Fault::AfterProcessing(inner) => match inner.canned() {
                Some(instead) => self.send(wire, &instead),
                None => wire.reset(),
            },
            Fault::ResetAfterProcessing => wire.reset(),
            Fault::CloseAfterProcessing => wire.finish(),
            Fault::HangBeforeBody(time) => {
                self.pause(*time);
                self.send(wire, &reply)
            }
            Fault::HangAfterHeaders(time) => {
                self.send_in_pieces(&mut wire, &reply, (reply.body.len(), *time))?;
                wire.finish()
            }
            Fault::Drip { chunk, every } => {
                self.send_in_pieces(&mut wire, &reply, (*chunk, *every))?;
                wire.finish()
            }
            Fault::Truncated => {
                wire.write_all(&reply.head())?;
                wire.write_all(&reply.body[..reply.body.len() / 2])?;
                wire.finish()
            }
            _ => self.send(wire, &reply),
        }
    }

    /// Waits so long, or until a release that came after this request.
    fn pause(&self, time: Duration) {
        let is_over = |state: &State| state.releases > self.releases || state.service == Standing::Disabled;
        self.shared.wait_until(Instant::now() + time, is_over);
    }

    fn process(&self, answer: Answer) -> Reply {
        let mut state = self.shared.lock();
        let before = state.exchanges;
        let reply = endpoints::process(&mut state, self.endpoint, &self.request, answer);
        let latency = if state.exchanges > before { state.settings.refresh_latency } else { Duration::ZERO };
        drop(state);
        self.shared.announce();
        if !latency.is_zero() {
            self.pause(latency);
        }
        reply
    }

    fn send(&self, wire: Wire, reply: &Reply) -> io::Result<()> {
        self.note_status(reply.status);
        deliver(wire, reply)
    }

    fn send_in_pieces(&self, wire: &mut Wire, reply: &Reply, pace: (usize, Duration)) -> io::Result<()> {
        self.note_status(reply.status);
        wire.write_all(&reply.head())?;
        wire.flush()?;
        for piece in reply.body.chunks(pace.0.max(1)) {
            self.pause(pace.1);
            wire.write_all(piece)?;
            wire.flush()?;
        }
        Ok(())
    }

    fn note_status(&self, status: u16) {
        let mut state = self.shared.lock();
        state.log[self.number].status = Some(status);
        if state.settings.log == Log::Stderr {
            let Recorded { method, path, .. } = &state.log[self.number];
            eprintln!("{method} {path} {status}");
        }
        drop(state);
        self.shared.announce();
    }

    fn note_poll(&self, fault: &Fault) {
        let mut state = self.shared.lock();
        let code = state.log[self.number].param("device_code").map(str::to_owned);
        if let (Some(code), Fault::OauthError { error, .. }) = (code, fault) {
            state.note_faulty_poll(&code, error);
        }
    }
}

fn deliver(mut wire: Wire, reply: &Reply) -> io::Result<()> {
    let mut bytes = reply.head();
    bytes.extend_from_slice(&reply.body);
    wire.write_all(&bytes)?;
    wire.finish()
}
