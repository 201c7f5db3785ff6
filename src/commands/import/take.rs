//! One login of another tool: what it would be here, whether that is there already, and storing it.

use super::Flags;
use crate::commands::profile::flags::{ProfileFlags, check_profile};
use crate::commands::target::{Target, TokenArgs};
use crate::commands::{Context, store};
use crate::error::{Failure, Kind};
use crate::host::shell;
use crate::keeper::plan::Fetch;
use crate::migration::Found;
use crate::profile::{EntryName, Profile};
use crate::secret::{RefreshToken, StoredSecret};
use crate::settings::ProfileTable;
use crate::token::text::{self, is_usable};
use crate::token::time::Timestamp;
use crate::vault::entry::{Body, Stored, TokenSet};
use crate::vault::{Vault, VaultError};

/// What became of a login.
pub(super) struct Taken {
    /// The entry.
    pub(super) name: EntryName,
    /// The profile as it is now.
    pub(super) profile: Profile,
    /// Where issuer and client were read.
    pub(super) origin: &'static str,
    /// What was done with the token.
    pub(super) token: TokenFate,
    /// What was done with the profile.
    pub(super) table: TableFate,
    /// When the token ends, if it says so.
    pub(super) expires_at: Option<Timestamp>,
    /// What was not taken.
    pub(super) left: Vec<String>,
}

/// What was done with a token, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenFate {
    /// It is a new generation; its number, unless nothing was written.
    Imported(Option<u64>),
    /// It was there.
    Unchanged,
    /// What is there came of it.
    Newer,
}

/// What was done with a profile, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableFate {
    /// It was made.
    Made,
    /// It was changed.
    Replaced,
    /// It said the same.
    Kept,
}

/// A login as it would be here.
struct Login {
    /// The entry and its profile.
    target: Target,
    /// The profile, which the target has, too.
    profile: Profile,
    /// What must be written into the configuration.
    table: Option<ProfileTable>,
    /// What that does to it.
    table_fate: TableFate,
    /// The refresh token and what goes with it.
    tokens: TokenSet,
    /// The client's secret, and the entry for it.
    secret: Option<(EntryName, StoredSecret)>,
}

/// Takes a login over, or says what would be done.
pub(super) fn take(cx: &Context, flags: &Flags, vault: &Vault, found: Found) -> Result<Taken, Failure> {
    let origin = match (&flags.issuer, &found.issuer) {
        (Some(_), _) => "the command line",
        (None, Some(_)) => found.origin,
        (None, None) => "the profile",
    };
    let (expires_at, left) = (found.expires_at, found.left.clone());
    let login = Login::resolve(cx, flags, found)?;
    let fate = login.standing(cx, flags, vault)?;
    login.refuse_other_secret(flags, vault)?;
    let token = if flags.dry_run { fate } else { login.store(cx, flags, (vault, fate))? };
    if flags.refresh {
        login.refresh(cx, vault)?;
    }
    let Login { target, profile, table_fate, .. } = login;
    Ok(Taken { name: target.name, profile, origin, token, table: table_fate, expires_at, left })
}

impl Login {
    /// Decides what a login would be here: its name, its profile, its token.
    fn resolve(cx: &Context, flags: &Flags, found: Found) -> Result<Self, Failure> {
        let name = name_of(flags, &found)?;
        crate::commands::issued::refuse_reserved(&name)?;
        let token = usable_token(cx, &found)?;
        let mut target = Target::of(cx, Some(&name), None)?;
        let (table, table_fate) = match target.profile.as_ref().map(|profile| difference(flags, &found, profile)) {
            Some(None) => (None, TableFate::Kept),
            Some(Some(key)) if !flags.replace => return Err(contradiction(&name, key)),
            Some(Some(_)) => (Some(table(cx, flags, &found, &name)?), TableFate::Replaced),
            None => (Some(table(cx, flags, &found, &name)?), TableFate::Made),
        };
        if let Some(table) = &table {
            check_profile(cx, &name.profile(), table)?;
            target.profile = Some(cx.settings()?.build(&name.profile(), table)?);
        }
        let profile = target.profile.clone();
        let profile = profile.ok_or_else(|| Failure::new(Kind::Bug, "a login without a profile"))?;
        let tokens = store::tokens(&profile, token, (found.expires_at, cx.now()));
        let secret = profile.client_secret.clone().zip(found.client_secret);
        Ok(Self { target, profile, table, table_fate, tokens, secret })
    }

    /// Says what storing the token would do, and refuses to replace another login.
    fn standing(&self, cx: &Context, flags: &Flags, vault: &Vault) -> Result<TokenFate, Failure> {
        let name = &self.target.name;
        store::refuse_other_kind(&self.target, vault, &Body::RefreshToken(self.tokens.clone()))?;
        let present = self.target.newest_that_opens(vault)?.map(|entry| entry.body);
        let present = present.as_ref().and_then(Body::tokens);
        let is_same = present.is_some_and(|present| self.is_same(present));
        // nothing is given up for what is older than the one that does not open
        let damaged = vault.newest(name).err();
        if is_same && damaged.is_none() {
            return Ok(TokenFate::Unchanged);
        }
        let is_spent = cx.keeper(vault)?.is_spent(name, &self.tokens).map_err(|error| self.target.failure(error))?;
        match (present, damaged) {
            (Some(_), Some(error)) if is_spent || (is_same && !flags.replace) => Err(error.into()),
            (Some(_), None) if is_spent => Ok(TokenFate::Newer),
            (None, _) if is_spent => {
                let message = format!("the token for `{name}` was exchanged for a newer one before");
                Err(Failure::new(Kind::Login, message)
                    .because("presenting it again could make the provider revoke the newest token, too")
                    .hint(self.how_to_log_in(cx)?))
            }
            (Some(_), _) if !flags.replace => Err(Failure::new(Kind::Usage, format!("`{name}` holds another login"))
                .hint("take this one over under another name with --name NAME, or add --replace")),
            (Some(_) | None, _) => Ok(TokenFate::Imported(None)),
        }
    }

    /// Says how to log in anew, where the profile may not be there yet.
    fn how_to_log_in(&self, cx: &Context) -> Result<String, Failure> {
        let (name, born) = (&self.target.name, &self.tokens.born);
        let is_there = cx.settings()?.config.profiles.contains_key(&name.profile());
        let (issuer, client) = (shell::quoted(born.issuer.as_str()), shell::quoted(&text::escaped(&born.client_id)));
        let flags = if is_there { String::new() } else { format!(" --issuer {issuer} --client-id {client}") };
        Ok(format!("log in with `tokenkeep generate {name}{flags}`"))
    }

    /// Tells whether a login is this one: the same token of the same client.
    fn is_same(&self, other: &TokenSet) -> bool {
        let (ours, theirs) = (&self.tokens.born, &other.born);
        let is_client = (&ours.issuer, &ours.client_id, ours.client_auth)
            == (&theirs.issuer, &theirs.client_id, theirs.client_auth);
        is_client && self.tokens.refresh_token.secret().is_same(other.refresh_token.secret())
    }

    /// Refuses to replace another secret of a client.
    fn refuse_other_secret(&self, flags: &Flags, vault: &Vault) -> Result<(), Failure> {
        let Some((name, secret)) = &self.secret else { return Ok(()) };
        let target = Target { name: name.clone(), profile: None };
        store::refuse_other_kind(&target, vault, &secret_body(secret, self.tokens.login_at))?;
        if flags.replace || holds_secret(&target, vault, secret)?.unwrap_or(true) {
            return Ok(());
        }
        Err(Failure::new(Kind::Usage, format!("`{name}` holds another client secret"))
            .hint("name another entry for it with --client-secret entry:NAME, or add --replace"))
    }

    /// Stores what is missing: the client's secret, the token, the profile; and reads the token back.
    fn store(&self, cx: &Context, flags: &Flags, (vault, fate): (&Vault, TokenFate)) -> Result<TokenFate, Failure> {
        if let Some((name, secret)) = &self.secret {
            let target = Target { name: name.clone(), profile: None };
            // one that rests in an older generation alone is no more than a trace
            if holds_secret(&target, vault, secret)? != Some(true) || vault.newest(name).is_err() {
                let body = secret_body(secret, cx.now());
                store::put(cx, &target, (vault, body), || self.refuse_other_secret(flags, vault))?;
            }
        }
        let fate = match fate {
            TokenFate::Imported(_) => {
                // what was there a moment ago may have been replaced meanwhile
                let judge = || if self.standing(cx, flags, vault)? == fate { Ok(()) } else { Err(self.changed()) };
                let body = Body::RefreshToken(self.tokens.clone());
                let generation = store::put(cx, &self.target, (vault, body), judge)?;
                self.require_at_rest(vault)?;
                TokenFate::Imported(Some(generation))
            }
            TokenFate::Unchanged | TokenFate::Newer => fate,
        };
        self.target.write_profile(cx, self.table.as_ref())?;
        Ok(fate)
    }

    /// Reads the token back, so that nothing else is given up for it before it rests in the vault.
    fn require_at_rest(&self, vault: &Vault) -> Result<(), Failure> {
        let entry = vault.newest(&self.target.name)?;
        let tokens = entry.as_ref().and_then(|entry| entry.body.tokens());
        if tokens.is_some_and(|tokens| self.is_same(tokens)) { Ok(()) } else { Err(self.changed()) }
    }

    /// Describes that somebody stored or refreshed between two looks.
    fn changed(&self) -> Failure {
        Failure::new(Kind::Later, format!("`{}` was changed just now", self.target.name))
            .hint("type the command again: what is there already is left as it is")
    }

    /// Presents the token to its provider.
    fn refresh(&self, cx: &Context, vault: &Vault) -> Result<(), Failure> {
        let wanted = self.target.wanted(cx, &TokenArgs::default(), None, Fetch::Always)?;
        self.target.fetch(&cx.keeper(vault)?, &wanted).map(drop)
    }
}

/// Returns the name that is asked for, or that of the file.
fn name_of(flags: &Flags, found: &Found) -> Result<EntryName, Failure> {
    let hint = "say what to call it with --name NAME";
    match (&flags.name, &found.name) {
        (Some(name), _) => Ok(name.clone()),
        (None, Some(text)) => text.parse().and_then(EntryName::without_user).map_err(|fault| {
            Failure::new(Kind::Usage, format!("`{}` is no name here", text::shown(text)))
                .because(fault.to_string())
                .hint(hint)
        }),
        (None, None) => Err(Failure::new(Kind::Usage, "the file gives the login no name").hint(hint)),
    }
}

/// Returns the refresh token, if it is one that can be used.
pub(super) fn usable_token(cx: &Context, found: &Found) -> Result<RefreshToken, Failure> {
    let hint = "log in anew: `tokenkeep generate PROFILE`";
    let Some(token) = &found.refresh_token else {
        return Err(Failure::new(Kind::Usage, "there is no refresh token to take over").hint(hint));
    };
    if !is_usable(token.secret()) {
        return Err(Failure::new(Kind::Usage, "its refresh token is not printable ASCII without spaces").hint(hint));
    }
    match found.expires_at {
        Some(end) if end <= cx.now() => {
            Err(Failure::new(Kind::Login, format!("its refresh token expired at {end}")).hint(hint))
        }
        Some(_) | None => Ok(token.clone()),
    }
}

/// Names the key in which a profile says otherwise than a login, as far as both say something.
fn difference(flags: &Flags, found: &Found, profile: &Profile) -> Option<&'static str> {
    let said = |flag: &Option<String>, file: &Option<String>| flag.clone().or_else(|| file.clone());
    if said(&flags.issuer, &found.issuer).is_some_and(|issuer| issuer != profile.issuer.as_str()) {
        return Some("issuer");
    }
    if said(&flags.client_id, &found.client_id).is_some_and(|client_id| client_id != profile.client_id) {
        return Some("client_id");
    }
    if flags.client_auth.is_some_and(|client_auth| client_auth != profile.client_auth) {
        return Some("client_auth");
    }
    let own = profile.client_secret.as_ref().map(|name| format!("entry:{name}"));
    let has_place = own.is_some() || found.client_secret.is_none();
    let is_other = flags.client_secret.as_ref().is_some_and(|entry| Some(entry) != own.as_ref());
    (!has_place || is_other).then_some("client_secret")
}

/// Describes a profile that says otherwise.
fn contradiction(name: &EntryName, key: &str) -> Failure {
    let profile = name.profile();
    Failure::new(Kind::Usage, format!("the profile `{profile}` says otherwise: {key}"))
        .hint(format!("compare with `tokenkeep profile show {profile}`; use another --name NAME, or add --replace"))
}

/// Writes the profile of a login. Of one that is there, what the login says nothing about stays.
fn table(cx: &Context, flags: &Flags, found: &Found, name: &EntryName) -> Result<ProfileTable, Failure> {
    let issuer = flags.issuer.clone().or_else(|| found.issuer.clone());
    let client_id = flags.client_id.clone().or_else(|| found.client_id.clone());
    let existing = cx.settings()?.config.profiles.get(&name.profile());
    if existing.is_none() && (issuer.is_none() || client_id.is_none()) {
        let message = format!("nothing says which provider and client the token for `{name}` belongs to");
        return Err(Failure::new(Kind::Usage, message).hint("name them: `--issuer URL --client-id ID`"));
    }
    let own_place = found.client_secret.as_ref().map(|_| format!("entry:{}-client", name.profile()));
    let said = ProfileFlags {
        issuer,
        client_id,
        client_auth: flags.client_auth,
        client_secret: flags.client_secret.clone().or(own_place),
        scopes: found.scopes.clone(),
        audience: found.audience.clone(),
        audience_as: found.audience_as,
        ca_file: found.ca_file.clone(),
        device_authorization_endpoint: found.device_authorization_endpoint.clone(),
        ..ProfileFlags::default()
    };
    let said = said.table();
    Ok(match existing {
        Some(existing) => over(existing.clone(), said),
        None => said,
    })
}

/// Puts what a login says over an existing profile.
fn over(existing: ProfileTable, said: ProfileTable) -> ProfileTable {
    // of another provider, the way to authenticate and the addresses say nothing about this one
    let moved = said.issuer.as_ref().is_some_and(|issuer| Some(issuer) != existing.issuer.as_ref());
    let base = if moved {
        ProfileTable { var: existing.var, groups: existing.groups, ..ProfileTable::default() }
    } else {
        existing
    };
    let implied = said.client_secret.is_some();
    ProfileTable {
        issuer: said.issuer.or(base.issuer),
        client_id: said.client_id.or(base.client_id),
        // a secret implies how it is shown
        client_auth: said.client_auth.or(base.client_auth.filter(|_| !implied)),
        client_secret: said.client_secret.or(base.client_secret),
        scopes: said.scopes,
        audience: said.audience.or(base.audience),
        audience_as: said.audience_as.or(base.audience_as),
        ca_file: said.ca_file.or(base.ca_file),
        device_authorization_endpoint: said.device_authorization_endpoint.or(base.device_authorization_endpoint),
        ..base
    }
}

/// Makes the body of a client secret's entry.
fn secret_body(secret: &StoredSecret, now: Timestamp) -> Body {
    Body::ClientSecret(Stored { secret: secret.clone(), expires_at: None, stored_at: now })
}

/// Tells whether an entry holds this secret; `None` if there is no such entry.
fn holds_secret(target: &Target, vault: &Vault, secret: &StoredSecret) -> Result<Option<bool>, VaultError> {
    Ok(target.newest_that_opens(vault)?.map(|entry| match entry.body {
        Body::ClientSecret(stored) => stored.secret.secret().is_same(secret.secret()),
        Body::RefreshToken(_) | Body::AccessToken(_) | Body::AdminKey(_) | Body::Secret(_) => false,
    }))
}
