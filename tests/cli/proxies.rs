//! Proxies that the environment names: what goes through them, and what goes past them.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use provider::Settings;

use crate::harness::{Ran, World, short_lived};

/// A proxy that hears how somebody begins to speak with it, and hangs up.
struct Proxy {
    address: String,
    heard: JoinHandle<Vec<u8>>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = std::thread::spawn(move || {
            let mut begin = vec![0; 64];
            let length = listener.accept().unwrap().0.read(&mut begin).unwrap();
            begin.truncate(length);
            begin
        });
        Self { address, heard }
    }
}

/// A machine whose provider is reached through a proxy alone, and what the proxy hears of a refresh.
fn heard_through(variable: &str, scheme: &str) -> Vec<u8> {
    let world = World::bare(Settings::default());
    world.run(["init", "--unlock", "file"]).ok();
    let issuer = "https://auth.example.org";
    world.run(["profile", "add", "prod", "--issuer", issuer, "--client-id", "c"]).ok();
    world.feed(["store", "prod", "--stdin"], "a-refresh-token").ok();
    let proxy = Proxy::start();
    let mut command = world.command(["get", "prod"]);
    Ran::from(command.env(variable, format!("{scheme}://{}", proxy.address)).output().unwrap()).fails(6);
    // who waits for somebody who never came hears nothing
    drop(TcpStream::connect(&proxy.address));
    proxy.heard.join().unwrap()
}

#[test]
fn a_provider_is_reached_through_an_http_proxy() {
    assert!(heard_through("HTTPS_PROXY", "http").starts_with(b"CONNECT auth.example.org:443 "));
}

#[test]
fn a_provider_is_reached_through_a_socks_proxy() {
    // RFC 1928 section 3: the version comes first
    assert_eq!(heard_through("ALL_PROXY", "socks5h").first(), Some(&5));
}

#[test]
fn this_machine_is_reached_past_every_proxy() {
    let world = World::logged_in(short_lived(300));
    let mut command = world.command(["get", "prod"]);
    for variable in ["HTTPS_PROXY", "HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        command.env(variable, "http://127.0.0.1:9");
    }
    Ran::from(command.output().unwrap()).ok();
}
