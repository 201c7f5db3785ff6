//! What tokens say, and what can be asked about them.

use std::time::Duration;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use provider::{
    Advertise, Algorithm, Client, Documents, Endpoint, Format, Provider, RefreshTokens, Settings, Value, json,
};

use crate::client::{OFFLINE, PUBLIC, get, post, refresh_form, userinfo};

fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

fn part(token: &str, number: usize) -> Value {
    serde_json::from_slice(&decode(token.split('.').nth(number).unwrap())).unwrap()
}

fn is_signed(token: &str, jwk: &Value, alg: Algorithm) -> bool {
    let field = |name: &str| decode(jwk[name].as_str().unwrap());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (message, signature) = (message.as_bytes(), decode(signature));
    let point = || [vec![4], field("x"), field("y")].concat();
    match alg {
        Algorithm::Rs256 => RsaPublicKeyComponents { n: field("n"), e: field("e") }
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, &signature)
            .is_ok(),
        Algorithm::Ps256 => RsaPublicKeyComponents { n: field("n"), e: field("e") }
            .verify(&RSA_PSS_2048_8192_SHA256, message, &signature)
            .is_ok(),
        Algorithm::Es256 => {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point()).verify(message, &signature).is_ok()
        }
        Algorithm::Es384 => {
            UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point()).verify(message, &signature).is_ok()
        }
        Algorithm::EdDsa => UnparsedPublicKey::new(&ED25519, field("x")).verify(message, &signature).is_ok(),
    }
}

#[test]
fn every_algorithm_verifies_by_the_key_set() {
    for alg in Algorithm::ALL {
        let provider = Provider::start(Settings { alg, ..Settings::default() });
        let token = provider.grant_access(PUBLIC, &["openid"], &["https://api.example"]);
        let keys = get(&provider, "/jwks", &[]).json();
        assert_eq!(part(&token, 0)["alg"], alg.name());
        assert_eq!(part(&token, 0)["kid"], keys["keys"][0]["kid"]);
        assert!(is_signed(&token, &keys["keys"][0], alg), "{}", alg.name());
        assert!(!is_signed(&provider.forge_hs256_with_public_key(&json!({})), &keys["keys"][0], alg));
    }
}

#[test]
fn a_jwt_access_token_says_what_rfc_9068_wants() {
    let provider = Provider::start(Settings::default());
    let claims = part(&provider.grant_access(PUBLIC, &["openid", "read:all"], &["https://api.example"]), 1);
    for (name, value) in [
        ("iss", json!(provider.issuer())),
        ("sub", json!("ada")),
        ("aud", json!("https://api.example")),
        ("client_id", json!(PUBLIC)),
        ("scope", json!("openid read:all")),
    ] {
        assert_eq!(claims[name], value);
    }
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 300);
    assert_eq!(part(&provider.alg_none(&claims), 0)["alg"], "none");
    assert_eq!(part(&provider.id_token("web"), 1)["aud"], "web");
}

#[test]
fn a_signed_header_can_be_edited() {
    let provider = Provider::start(Settings::default());
    let token = provider.sign(&json!({}), &json!({ "kid": null, "typ": "at+jwt" }), Algorithm::EdDsa);
    assert_eq!(part(&token, 0), json!({ "alg": "EdDSA", "typ": "at+jwt" }));
}

#[test]
fn audience_and_resource_reach_the_token() {
    let provider = Provider::start(Settings::default());
    let token = provider.grant(PUBLIC, &OFFLINE);
    let form = format!("{}&audience=https://a.example&resource=https://b.example", refresh_form(&token));
    let access = post(&provider, Endpoint::Token, &form).text("access_token");
    assert_eq!(part(&access, 1)["aud"], json!(["https://a.example", "https://b.example"]));
}

#[test]
fn a_client_may_be_bound_to_scopes_and_audiences() {
    let bound = Client {
        scopes: Some(vec!["openid".to_owned()]),
        audiences: Some(vec!["https://a.example".to_owned()]),
        ..Client::public("bound")
    };
    let provider = Provider::start(Settings { clients: vec![bound], ..Settings::default() });
    let ask = |more: &str| post(&provider, Endpoint::Device, &format!("client_id=bound&{more}"));
    assert_eq!(ask("scope=admin").error(), (400, "invalid_scope".to_owned()));
    assert_eq!(ask("scope=openid&audience=https://b.example").error(), (400, "invalid_target".to_owned()));
    assert_eq!(ask("scope=openid&audience=https://a.example").status, 200);
}

#[test]
fn opaque_tokens_are_not_jwts_though_one_kind_looks_like_it() {
    let make = |access_format| {
        let provider = Provider::start(Settings { access_format, ..Settings::default() });
        let token = provider.grant_access(PUBLIC, &["openid"], &[]);
        assert_eq!(userinfo(&provider, &token), 200);
        token
    };
    assert!(!make(Format::Opaque).contains('.'));
    assert_eq!(make(Format::Jwe).split('.').count(), 5);
}

#[test]
fn an_access_token_ends_at_its_time() {
    let provider = Provider::start(Settings::default());
    let token = provider.grant_access(PUBLIC, &["openid"], &[]);
    provider.advance(Duration::from_secs(299));
    assert!(provider.is_access_live(&token));
    provider.advance(Duration::from_secs(1));
    assert!(!provider.is_access_live(&token));
    let next = provider.grant_access(PUBLIC, &["openid"], &[]);
    provider.expire_access_tokens();
    assert_eq!(userinfo(&provider, &next), 401);
}

#[test]
fn introspection_is_for_confidential_clients() {
    let provider = Provider::start(Settings::default());
    let refresh = provider.grant(PUBLIC, &OFFLINE);
    let access = provider.grant_access(PUBLIC, &["openid"], &[]);
    let public = post(&provider, Endpoint::Introspection, &format!("client_id={PUBLIC}&token={access}"));
    assert_eq!((public.status, public.text("error_description")), (403, "Client not allowed.".to_owned()));
    let ask = |token: &str| {
        let form = format!("client_id=confidential&client_secret=s3cret-client&token={token}");
        post(&provider, Endpoint::Introspection, &form).json()
    };
    assert_eq!(ask(&access)["sub"], "ada");
    assert_eq!(ask(&refresh)["active"], true);
    assert_eq!(ask("garbage"), json!({ "active": false }));
    provider.disable_user();
    assert_eq!((ask(&access)["active"].clone(), ask(&refresh)["active"].clone()), (json!(false), json!(false)));
}

#[test]
fn revocation_ends_the_family_and_does_not_mind_garbage() {
    let provider = Provider::start(Settings::default());
    let token = provider.grant(PUBLIC, &OFFLINE);
    let access = post(&provider, Endpoint::Token, &refresh_form(&token)).text("access_token");
    let newest = provider.newest_refresh_token().unwrap();
    for text in [newest.as_str(), "garbage"] {
        let answer = post(&provider, Endpoint::Revocation, &format!("client_id={PUBLIC}&token={text}"));
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    }
    assert!(!provider.is_refresh_live(&newest) && !provider.is_access_live(&access));
}

#[test]
fn client_credentials_bring_no_refresh_token() {
    let provider = Provider::start(Settings { refresh_tokens: RefreshTokens::Always, ..Settings::default() });
    let form = "grant_type=client_credentials&client_id=confidential&client_secret=s3cret-client";
    let answer = post(&provider, Endpoint::Token, form);
    assert!(answer.json().get("refresh_token").is_none());
    assert_eq!(part(&answer.text("access_token"), 1)["sub"], "confidential");
    let public = post(&provider, Endpoint::Token, &format!("grant_type=client_credentials&client_id={PUBLIC}"));
    assert_eq!(public.error(), (400, "unauthorized_client".to_owned()));
}

#[test]
fn discovery_names_the_endpoints_below_the_issuer() {
    let settings = Settings { issuer_path: "/realms/main".to_owned(), ..Settings::default() };
    let provider = Provider::start(settings);
    let openid = get(&provider, "/realms/main/.well-known/openid-configuration", &[]).json();
    let oauth = get(&provider, "/.well-known/oauth-authorization-server/realms/main", &[]).json();
    assert_eq!(openid, oauth);
    assert_eq!(openid["issuer"], json!(provider.issuer()));
    assert_eq!(openid["token_endpoint"], json!(provider.token_endpoint()));
    assert_eq!(get(&provider, "/realms/other/.well-known/openid-configuration", &[]).status, 404);
}

#[test]
fn discovery_can_be_partial() {
    let advertise = Advertise {
        documents: Documents::OpenId,
        hidden: vec![Endpoint::Revocation],
        extra: [("issuer".to_owned(), json!("https://elsewhere.example"))].into_iter().collect(),
    };
    let provider = Provider::start(Settings { advertise, ..Settings::default() });
    let document = get(&provider, "/.well-known/openid-configuration", &[]).json();
    assert!(document.get("revocation_endpoint").is_none());
    assert_eq!(document["issuer"], "https://elsewhere.example");
    assert_eq!(get(&provider, "/.well-known/oauth-authorization-server", &[]).status, 404);
}
