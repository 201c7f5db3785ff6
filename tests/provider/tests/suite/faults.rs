//! Misbehaviour: what the client sees, and whether the token was spent.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use provider::{Change, Endpoint, Fault, Provider, Settings, json};

use crate::client::{Answer, OFFLINE, PUBLIC, exchange, get, refresh, refresh_form, try_post};

const LONG: Duration = Duration::from_secs(600);

fn start() -> (Provider, String) {
    let provider = Provider::start(Settings::default());
    let token = provider.grant(PUBLIC, &OFFLINE);
    (provider, token)
}

fn attempt(fault: Fault) -> (Provider, io::Result<Answer>) {
    let (provider, token) = start();
    provider.misbehave(Endpoint::Token, fault);
    let answer = try_post(&provider, Endpoint::Token, &[], &refresh_form(&token));
    (provider, answer)
}

#[test]
fn canned_answers_spend_nothing() {
    let oauth = Fault::OauthError { status: 401, error: "invalid_client".to_owned(), description: String::new() };
    for (fault, status, words) in [
        (Fault::status(503), 503, "Content-Length: 0"),
        (Fault::oauth("invalid_grant"), 400, "invalid_grant"),
        (oauth, 401, "invalid_client"),
        (Fault::RetryAfter { status: 429, seconds: 7 }, 429, "Retry-After: 7"),
        (Fault::Html, 200, "text/html"),
        (Fault::NotJson, 200, "oops"),
        (Fault::Redirect("http://127.0.0.1:9/".to_owned()), 307, "Location: http://127.0.0.1:9/"),
    ] {
        let (provider, answer) = attempt(fault.clone());
        let answer = answer.unwrap();
        let all = format!("{}{}", answer.head, answer.body);
        assert!(answer.status == status && all.contains(words), "{fault:?}: {all}");
        assert_eq!(provider.exchanges(), 0);
        let (provider, answer) = attempt(fault.after_processing());
        assert_eq!((answer.unwrap().status, provider.exchanges()), (status, 1));
    }
}

#[test]
fn a_reset_loses_the_request_or_the_answer() {
    let (provider, answer) = attempt(Fault::ResetBeforeProcessing);
    assert_eq!((answer.unwrap_err().kind(), provider.exchanges()), (io::ErrorKind::ConnectionReset, 0));
    let (provider, answer) = attempt(Fault::ResetAfterProcessing);
    assert_eq!((answer.unwrap_err().kind(), provider.exchanges()), (io::ErrorKind::ConnectionReset, 1));
    let (provider, answer) = attempt(Fault::CloseAfterProcessing);
    assert_eq!((answer.unwrap_err().kind(), provider.exchanges()), (io::ErrorKind::UnexpectedEof, 1));
}

#[test]
fn an_answer_can_be_edited() {
    let fault = Fault::Edit(vec![
        Change::Set("access_token".to_owned(), json!("a b\n")),
        Change::Set("expires_in".to_owned(), json!(-1)),
        Change::Remove("scope".to_owned()),
    ]);
    let answer = attempt(fault).1.unwrap().json();
    assert_eq!((&answer["access_token"], &answer["expires_in"]), (&json!("a b\n"), &json!(-1)));
    assert!(answer.get("scope").is_none());
}

#[test]
fn an_answer_can_be_cut_short_mislabelled_or_huge() {
    let answer = attempt(Fault::Truncated).1.unwrap();
    let promised = answer.head.split("Content-Length: ").nth(1).unwrap().split('\r').next().unwrap();
    assert!(answer.body.len() < promised.parse().unwrap());
    let answer = attempt(Fault::WrongContentType("text/html".to_owned())).1.unwrap();
    assert!(answer.head.contains("text/html") && answer.json()["access_token"].is_string());
    let answer = attempt(Fault::Huge(1 << 20)).1.unwrap();
    assert!(answer.body.len() > 1 << 20);
}

#[test]
fn a_dripped_answer_arrives_whole() {
    let (_provider, answer) = attempt(Fault::Drip { chunk: 100, every: Duration::from_millis(2) });
    assert!(answer.unwrap().json()["access_token"].is_string());
}

#[test]
fn a_delay_comes_before_processing_and_latency_after_it() {
    let (provider, token) = start();
    provider.misbehave(Endpoint::Token, Fault::Delay(LONG));
    thread::scope(|scope| {
        let asker = scope.spawn(|| refresh(&provider, &token));
        provider.wait_for(Endpoint::Token, 1, LONG);
        assert_eq!(provider.exchanges(), 0);
        provider.release();
        assert_eq!(asker.join().unwrap().status, 200);
    });
    provider.set_refresh_latency(LONG);
    let newest = provider.newest_refresh_token().unwrap();
    thread::scope(|scope| {
        let asker = scope.spawn(|| refresh(&provider, &newest));
        provider.wait_for_exchanges(2, LONG);
        assert_eq!(provider.last_request(Endpoint::Token).status, None, "spent, and not yet answered");
        provider.release();
        assert_eq!(asker.join().unwrap().status, 200);
    });
}

#[test]
fn hanging_ends_with_the_provider() {
    for fault in [
        Fault::HangBeforeBody(LONG),
        Fault::HangAfterHeaders(LONG),
        Fault::Delay(LONG),
        Fault::Drip { chunk: 1, every: LONG },
    ] {
        let (provider, token) = start();
        provider.misbehave(Endpoint::Token, fault);
        let request = format!(
            "POST /token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{}",
            refresh_form(&token).len(),
            refresh_form(&token)
        );
        let started = Instant::now();
        let mut socket = std::net::TcpStream::connect(("127.0.0.1", provider.port())).unwrap();
        io::Write::write_all(&mut socket, request.as_bytes()).unwrap();
        provider.wait_for(Endpoint::Token, 1, LONG);
        drop(provider);
        drop(io::copy(&mut socket, &mut io::sink()));
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn faults_queue_and_the_standing_one_comes_last() {
    let provider = Provider::start(Settings::default());
    let discover = || get(&provider, "/.well-known/openid-configuration", &[]).status;
    provider.misbehave_always(Endpoint::Discovery, Fault::status(503));
    provider.misbehave(Endpoint::Discovery, Fault::status(500));
    provider.misbehave(Endpoint::Discovery, Fault::status(502));
    assert_eq!([discover(), discover(), discover(), discover()], [500, 502, 503, 503]);
    provider.behave(Endpoint::Discovery);
    assert_eq!(discover(), 200);
    assert_eq!(provider.count(Endpoint::Discovery), 5);
}

#[test]
fn offline_refuses_connections_and_online_has_lost_nothing() {
    let (provider, token) = start();
    provider.go_offline();
    assert_eq!(exchange(&provider, "").unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    provider.go_online();
    assert_eq!(refresh(&provider, &token).status, 200);
}
