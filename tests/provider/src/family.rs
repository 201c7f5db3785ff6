//! What grows from one login: the refresh tokens that follow each other, and the access tokens they brought.

use std::time::Duration;

use serde_json::{Value, json};

use crate::keys::random_text;
use crate::refusal::Refusal;
use crate::state::{Answer, Standing, State};
use crate::{PreviousAccess, RefreshTokens, Reuse, Rotation};

/// Holds one login.
pub(crate) struct Family {
    /// The client it belongs to.
    pub(crate) client: String,
    /// The scopes that the person granted.
    pub(crate) scope: Vec<String>,
    /// The audiences asked for at the login.
    pub(crate) audiences: Vec<String>,
    /// Whether it lives.
    pub(crate) standing: Standing,
}

/// Holds what is known of one refresh token text.
pub(crate) struct RefreshToken {
    family: usize,
    used_at: Duration,
    spent: Option<Spent>,
}

struct Spent {
    at: Duration,
    answer: Answer,
}

/// Holds what is known of one access token text.
pub(crate) struct AccessToken {
    /// The login it came from; none for a client of its own account.
    pub(crate) family: Option<usize>,
    /// What it claims, also where its text is opaque.
    pub(crate) claims: Value,
    /// When it ends.
    pub(crate) expires_at: Duration,
    /// Whether it was revoked.
    pub(crate) standing: Standing,
}

/// Says what a grant gives.
pub(crate) struct Granted<'a> {
    /// The client.
    pub(crate) client: &'a str,
    /// The login, if there is one.
    pub(crate) family: Option<usize>,
    /// The scopes of this access token.
    pub(crate) scope: &'a [String],
    /// Its audiences.
    pub(crate) audiences: &'a [String],
    /// The refresh token to hand out.
    pub(crate) refresh: Option<String>,
}

impl State {
    /// Starts a login, with its first refresh token if it gets one.
    pub(crate) fn log_in(&mut self, client: &str, scope: &[String], audiences: &[String]) -> (usize, Option<String>) {
        self.families.push(Family {
            client: client.to_owned(),
            scope: scope.to_vec(),
            audiences: audiences.to_vec(),
            standing: Standing::Enabled,
        });
        let family = self.families.len() - 1;
        let wanted = match self.settings.refresh_tokens {
            RefreshTokens::WithOfflineAccess => scope.iter().any(|scope| scope == "offline_access"),
            RefreshTokens::Always => true,
            RefreshTokens::Never => false,
        };
        (family, wanted.then(|| self.new_refresh_token(family)))
    }

    /// Makes the access token of a grant, and the token answer.
    pub(crate) fn token_answer(&mut self, granted: &Granted<'_>) -> Value {
        let scope = granted.scope.join(" ");
        let access = self.new_access_token(granted, &scope);
        let mut answer = json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": self.settings.access_ttl.as_secs(),
            "scope": scope,
        });
        if let Some(refresh) = &granted.refresh {
            answer["refresh_token"] = json!(refresh);
            if let Some(idle) = self.settings.refresh_idle {
                answer["refresh_expires_in"] = json!(idle.as_secs());
            }
        }
        if granted.family.is_some() && granted.scope.iter().any(|scope| scope == "openid") {
            answer["id_token"] = json!(self.id_token(granted.client));
        }
        answer
    }

    /// Returns the family of a refresh token that `client` may use now; reuse has its consequences here.
    pub(crate) fn present(&mut self, text: &str, client: &str) -> Result<usize, Refusal> {
        let refused = |why| Err(Refusal::new(400, "invalid_grant", why));
        let Some(token) = self.refresh_tokens.get(text) else { return refused("Invalid refresh token") };
        let family = token.family;
        if self.families[family].client != client {
            return refused("Token client and authorized client don't match");
        }
        if let Some(spent) = &token.spent
            && !self.is_forgiven(spent)
        {
            let answer = spent.answer;
            return Err(self.punish(family, answer));
        }
        let used_at = token.used_at;
        if self.families[family].standing == Standing::Disabled {
            return refused("Session doesn't have required client");
        }
        if self.settings.refresh_idle.is_some_and(|idle| self.now() > used_at + idle) {
            return refused("Token is not active");
        }
        if self.user == Standing::Disabled {
            return refused("User disabled");
        }
        Ok(family)
    }

    /// Spends a refresh token that was presented, and returns the one that the answer carries.
    pub(crate) fn rotate(&mut self, text: &str, answer: Answer) -> Option<String> {
        let now = self.now();
        let token = self.refresh_tokens.get_mut(text)?;
        token.used_at = now;
        let family = token.family;
        let spends = match self.settings.rotation {
            Rotation::Off => return None,
            Rotation::SameText => return Some(text.to_owned()),
            Rotation::NewTextOldStillGood => false,
            Rotation::NewestLives | Rotation::Strict | Rotation::Grace(_) => true,
        };
        if spends && token.spent.is_none() {
            token.spent = Some(Spent { at: now, answer });
        }
        Some(self.new_refresh_token(family))
    }

    /// Applies what a refresh does to the access tokens before it.
    pub(crate) fn age_access_tokens(&mut self, family: usize) {
        if self.settings.previous_access == PreviousAccess::Revoked {
            self.revoke_access_of(family);
        }
    }

    /// Ends a login, its refresh tokens and its access tokens.
    pub(crate) fn revoke_family(&mut self, family: usize) {
        self.families[family].standing = Standing::Disabled;
        self.revoke_access_of(family);
    }

    /// Returns the login that a refresh token belongs to.
    pub(crate) fn family_of(&self, refresh_token: &str) -> Option<usize> {
        self.refresh_tokens.get(refresh_token).map(|token| token.family)
    }

    /// Says whether a refresh would succeed, without spending anything.
    pub(crate) fn is_refresh_live(&self, text: &str) -> bool {
        self.refresh_tokens.get(text).is_some_and(|token| {
            token.spent.as_ref().is_none_or(|spent| self.is_forgiven(spent))
                && self.families[token.family].standing == Standing::Enabled
                && self.settings.refresh_idle.is_none_or(|idle| self.now() <= token.used_at + idle)
        }) && self.user == Standing::Enabled
    }

    /// Says whether an access token is good.
    pub(crate) fn is_access_live(&self, text: &str) -> bool {
        self.access_tokens.get(text).is_some_and(|token| {
            token.standing == Standing::Enabled
                && self.now() < token.expires_at
                && (token.family.is_none() || self.user == Standing::Enabled)
        })
    }

    fn is_forgiven(&self, spent: &Spent) -> bool {
        matches!(self.settings.rotation, Rotation::Grace(grace) if self.now() <= spent.at + grace)
    }

    fn punish(&mut self, family: usize, answer: Answer) -> Refusal {
        if self.settings.rotation != Rotation::NewestLives {
            self.revoke_family(family);
        }
        let why = "Maximum allowed refresh token reuse exceeded";
        match (self.settings.reuse, answer) {
            (Reuse::IsViolation, Answer::Intact) => Refusal::violation(400, "invalid_grant", why),
            (Reuse::IsExpected, _) | (_, Answer::TamperedWith) => Refusal::new(400, "invalid_grant", why),
        }
    }

    fn revoke_access_of(&mut self, family: usize) {
        for token in self.access_tokens.values_mut().filter(|token| token.family == Some(family)) {
            token.standing = Standing::Disabled;
        }
    }

    /// Makes one more refresh token of a login.
    pub(crate) fn new_refresh_token(&mut self, family: usize) -> String {
        let text = random_text(self.settings.refresh_length);
        let token = RefreshToken { family, used_at: self.now(), spent: None };
        self.refresh_tokens.insert(text.clone(), token);
        self.newest_refresh = Some(text.clone());
        text
    }

    fn new_access_token(&mut self, granted: &Granted<'_>, scope: &str) -> String {
        let mut claims = self.access_claims(granted.client, scope, granted.audiences);
        if granted.family.is_none() {
            claims["sub"] = json!(granted.client);
        }
        let text = self.access_text(&claims);
        let token = AccessToken {
            family: granted.family,
            claims,
            expires_at: self.now() + self.settings.access_ttl,
            standing: Standing::Enabled,
        };
        self.access_tokens.insert(text.clone(), token);
        text
    }
}
