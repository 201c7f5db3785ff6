//! What passes again must lose nothing: a refusal at the browser, a disabled user, a wrong client secret.

use crate::login::Decision;
use crate::main_job::{LONG, SHORT, add_profile, answer_login, held, log_in, logged_in, wait_until};
use crate::provider::{Account, CLIENT_SECRET, CONFIDENTIAL_CLIENT, PUBLIC_CLIENT, Provider};
use crate::tokenkeep::{Home, Ran};

/// A person who refuses leaves no entry behind, and may agree later.
pub(crate) fn refused_login_leaves_nothing(provider: &dyn Provider) {
    let home = Home::new();
    add_profile(&home, provider, &["--client-id", PUBLIC_CLIENT]);
    answer_login(&home, provider, &["generate", "prod"], Decision::Refuse).exits(4);
    home.run(&["get", "prod"]).exits(4).hints("tokenkeep generate prod");
    log_in(&home, provider, &["generate", "prod"]).exits(0);
    home.run(&["get", "prod"]).exits(0).token();
}

/// While the user is disabled a login is asked for, and the provider once only; enabled again, the old one works.
pub(crate) fn disabled_person_loses_nothing(provider: &dyn Provider) {
    provider.set_token_life(SHORT);
    let home = logged_in(provider);
    let (before, end) = held(&home);
    provider.set_account(Account::Disabled);
    provider.set_token_life(LONG);
    wait_until(end);
    home.run(&["get", "prod"]).exits(4).hints("tokenkeep generate prod");
    let asked = provider.refreshes();
    home.run(&["get", "prod"]).exits(4).hints("tokenkeep generate prod");
    assert_eq!(provider.refreshes(), asked, "a refusal is not asked for again at once");
    provider.set_account(Account::Enabled);
    home.run(&["refresh", "prod", "--force"]).exits(0);
    assert_ne!(home.run(&["get", "prod"]).exits(0).token(), before);
}

/// A wrong client secret is a matter of configuration; with the right one the same login works on.
pub(crate) fn wrong_client_secret_loses_nothing(provider: &dyn Provider) {
    provider.set_token_life(SHORT);
    let home = Home::new();
    store_secret(&home, CLIENT_SECRET).exits(0);
    let client = ["--client-id", CONFIDENTIAL_CLIENT, "--client-auth", "basic", "--client-secret", "entry:prod-client"];
    add_profile(&home, provider, &client);
    log_in(&home, provider, &["generate", "prod"]).exits(0);
    let (before, end) = held(&home);
    store_secret(&home, "no-longer-the-secret").exits(0);
    provider.set_token_life(LONG);
    wait_until(end);
    home.run(&["get", "prod"]).exits(9);
    home.run(&["get", "prod"]).exits(9);
    store_secret(&home, CLIENT_SECRET).exits(0);
    assert_ne!(home.run(&["get", "prod"]).exits(0).token(), before);
    assert!(!home.heard().contains(CLIENT_SECRET), "a client secret was written to stderr");
}

fn store_secret(home: &Home, secret: &str) -> Ran {
    home.feed(&["store", "prod-client", "--kind", "client-secret", "--stdin"], secret)
}
