//! Which entry a command means, under which profile, and what is asked for: shared by all commands that hand tokens out.

use crate::commands::Context;
use crate::commands::profile::flags::{ProfileFlags, check_profile, write_profile};
use crate::error::{Doing, Failure, Kind, Named, keeper_failure};
use crate::keeper::plan::{Fetch, Insistence, Wanted};
use crate::keeper::{Handed, Keeper, KeeperError, plain_request};
use crate::profile::{EntryName, Profile, variable_of};
use crate::secret::Secret;
use crate::settings::edit::Edit;
use crate::settings::{ProfileTable, SettingsError};
use crate::token::nearest::nearest;
use crate::token::scopes::Scopes;
use crate::token::time::{Lifetime, MinTtl, Timestamp};
use crate::vault::entry::{Asked, Body, CachedToken, Entry, FixedToken, Stored};
use crate::vault::{Vault, VaultError};

/// Flags that say which token of an entry is meant.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct TokenArgs {
    /// Ask for this scope (repeat for more)
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// Ask for the scopes of this group of the profile
    #[arg(long, value_name = "GROUP", conflicts_with = "scopes")]
    pub(crate) group: Option<String>,
    /// Ask for a token for this audience
    #[arg(long, value_name = "AUDIENCE")]
    pub(crate) audience: Option<String>,
    /// The user whose entry of the profile is meant
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
}

impl TokenArgs {
    /// Returns those of these flags, and of `--min-ttl`, that were given and that a stored text has no answer to.
    pub(crate) fn of_a_provider(&self, min_ttl: Option<Lifetime>) -> Vec<&'static str> {
        let flags = [
            ("--scope", !self.scopes.is_empty()),
            ("--group", self.group.is_some()),
            ("--audience", self.audience.is_some()),
            (MIN_TTL, min_ttl.is_some()),
        ];
        flags.into_iter().filter_map(|(flag, given)| given.then_some(flag)).collect()
    }
}

/// The flag that a stored text answers all the same if it is known when it ends.
const MIN_TTL: &str = "--min-ttl";

/// An entry and the profile that goes with it, if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The entry's name.
    pub(crate) name: EntryName,
    /// The profile.
    pub(crate) profile: Option<Profile>,
}

impl Target {
    /// Finds out which entry is meant.
    pub(crate) fn of(cx: &Context, name: Option<&EntryName>, user: Option<&str>) -> Result<Self, Failure> {
        let named = cx.name_or_default(name)?;
        let name = match user {
            Some(user) if named.user().is_some_and(|other| other != user) => {
                return Err(Failure::new(Kind::Usage, format!("`{named}` already names a user"))
                    .hint(format!("leave out --user, or name the profile `{}`", named.profile())));
            }
            Some(user) => named.with_user(user).map_err(|fault| {
                Failure::from_error(Kind::Usage, &fault).hint("give --user a name like ada or ada@example.org")
            })?,
            None => named,
        };
        let profile = match cx.settings()?.profile(&name.profile()) {
            Ok(profile) => Some(profile),
            Err(SettingsError::UnknownProfile { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { name, profile })
    }

    /// Refuses a name that stands for nothing: neither a profile nor an entry. An unknown name comes before a locked vault.
    pub(crate) fn must_exist(&self, cx: &Context) -> Result<(), Failure> {
        if self.profile.is_some() {
            return Ok(());
        }
        let shelf = crate::vault::shelf::Shelf::of(&cx.vault_folder()?);
        match shelf.lists(&self.name) {
            Ok(false) => Err(self.unknown(cx)?),
            // whatever else is wrong with the vault, opening it says it better
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Describes a name that stands for nothing.
    fn unknown(&self, cx: &Context) -> Result<Failure, Failure> {
        let name = self.name.profile();
        let nearest = match cx.settings()?.profile(&name) {
            Err(SettingsError::UnknownProfile { nearest, .. }) => nearest,
            Ok(_) | Err(_) => None,
        };
        let hint = match &nearest {
            Some(near) => format!("did you mean `{near}`? `tokenkeep list` shows all that is kept"),
            None => format!(
                "`tokenkeep list` shows what is kept; `tokenkeep profile add {name} --issuer URL --client-id ID` makes a \
                 profile"
            ),
        };
        let failure = Failure::new(Kind::NotFound, format!("there is no profile and no entry `{}`", self.name));
        Ok(failure.hint(hint).unless_token(&name, nearest.as_deref()))
    }

    /// Takes flags that describe a profile: they may make one, which is returned to be written once all else has
    /// succeeded, and may not contradict one that is there. `command` needs the profile, and ends so without one.
    pub(crate) fn complete(
        &mut self,
        cx: &Context,
        flags: &ProfileFlags,
        (command, kind): (&str, Kind),
    ) -> Result<Option<ProfileTable>, Failure> {
        let (name, settings) = (self.name.profile(), cx.settings()?);
        if let Some(existing) = settings.config.profiles.get(&name) {
            return match flags.contradiction(existing) {
                Some(key) => Err(Failure::new(Kind::Usage, format!("the profile `{name}` says otherwise: {key}"))
                    .hint(format!(
                        "leave the flag out, or change the profile: `tokenkeep profile add {name} --replace ...`"
                    ))),
                None => Ok(None),
            };
        }
        if let (Some(_), None) | (None, Some(_)) = (&flags.issuer, &flags.client_id) {
            let missing = if flags.issuer.is_none() { "--issuer URL" } else { "--client-id ID" };
            return Err(Failure::new(
                Kind::Usage,
                format!("there is no profile `{name}`, and a new one needs {missing}, too"),
            )
            .hint(format!("name both: `tokenkeep {command} {name} --issuer URL --client-id ID`")));
        }
        // its source is typed again, and its text never
        let source = if command == "store" { " --stdin < FILE" } else { "" };
        if flags.issuer.is_none() {
            let near = nearest(name.as_str(), settings.config.profiles.keys().map(EntryName::as_str));
            let meant = near.as_ref().map_or_else(String::new, |near| format!("did you mean `{near}`? Else "));
            return Err(Failure::new(kind, format!("there is no profile `{name}` that names the provider"))
                .hint(format!("{meant}name it here: `tokenkeep {command} {name} --issuer URL --client-id ID{source}`"))
                .unless_token(&name, near.as_deref()));
        }
        let table = flags.table();
        check_profile(cx, &name, &table)?;
        // what becomes of the login depends on it: better now than after somebody has logged in
        Edit::open(&settings.path)?.rehearse()?;
        self.profile = Some(settings.build(&name, &table)?);
        Ok(Some(table))
    }

    /// Writes the profile that `complete` made, if it made one, now that its token is in the vault.
    pub(crate) fn write_profile(&self, cx: &Context, table: Option<&ProfileTable>) -> Result<(), Failure> {
        let Some(table) = table else { return Ok(()) };
        write_profile(cx, &self.name.profile(), table).map_err(|failure| {
            failure
                .while_doing(format!("the token of `{}` is kept, but its profile could not be written", self.name))
                .or_hint(|| format!("then type `tokenkeep profile add {} ...`", self.name.profile()))
        })
    }

    /// Puts together what is asked for.
    pub(crate) fn wanted(
        &self,
        cx: &Context,
        args: &TokenArgs,
        min_ttl: Option<Lifetime>,
        fetch: Fetch,
    ) -> Result<Wanted, Failure> {
        let scopes = match &args.group {
            Some(group) => self.group(group)?,
            None => Scopes::parse(&args.scopes)
                .map_err(|fault| Failure::from_error(Kind::Usage, &fault).hint("repeat --scope for each scope"))?,
        };
        let audience = args.audience.clone().or_else(|| plain_request(self.profile.as_ref()).audience);
        Ok(Wanted {
            asked: Asked { scopes, audience },
            min_ttl: cx.settings()?.min_ttl(min_ttl),
            fetch,
            insistence: Insistence::None,
        })
    }

    /// Returns the scopes of a group.
    fn group(&self, group: &str) -> Result<Scopes, Failure> {
        let groups = self.profile.as_ref().map(|profile| &profile.groups);
        groups.and_then(|groups| groups.get(group)).cloned().ok_or_else(|| {
            let known: Vec<&str> = groups.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
            let failure = Failure::new(Kind::Config, format!("`{}` has no group of that name", self.name));
            if known.is_empty() {
                failure.hint(format!("write one into [profiles.{}.groups] in config.toml", self.name.profile()))
            } else {
                failure.hint(format!("its groups: {}", known.join(", ")))
            }
        })
    }

    /// Returns an access token, and passes the keeper's notice on.
    pub(crate) fn fetch(&self, keeper: &Keeper<'_>, wanted: &Wanted) -> Result<Handed, Failure> {
        keeper.fetch(&self.name, self.profile.as_ref(), wanted).map_err(|error| self.failure(error))
    }

    /// Returns what an entry of any kind has to give: an access token that is good, or the stored text. That is refused if
    /// one of the flags that were given asks for what only a provider has.
    pub(crate) fn hand_out(
        &self,
        keeper: &Keeper<'_>,
        wanted: &Wanted,
        flags: &[&'static str],
    ) -> Result<Handout, Failure> {
        let entry = keeper.entry(&self.name).map_err(|error| self.failure(error))?;
        let kind = entry.body.kind();
        let handout = match entry.body {
            Body::RefreshToken(_) => return self.token(keeper, &entry, wanted),
            Body::AccessToken(token) => Handout::Fixed(token),
            Body::ClientSecret(stored) | Body::AdminKey(stored) | Body::Secret(stored) => {
                Handout::Stored { kind, stored }
            }
        };
        let has_an_end = handout.expires_at().is_some();
        if let Some(flag) = flags.iter().find(|flag| **flag != MIN_TTL || !has_an_end) {
            let why = if *flag == MIN_TTL { " without an end" } else { "" };
            let message = format!("`{}` was stored as it is{why}, so it has no answer to {flag}", self.name);
            return Err(Failure::new(Kind::Usage, message).hint(format!("leave out {flag}")));
        }
        let now = (keeper.now)().into();
        match handout.expires_at() {
            Some(end) if !is_enough(end, wanted.min_ttl, now) => Err(self.ended(&handout, end, now)),
            Some(_) | None => Ok(handout),
        }
    }

    /// Returns an access token of a provider that is good.
    fn token(&self, keeper: &Keeper<'_>, entry: &Entry, wanted: &Wanted) -> Result<Handout, Failure> {
        let handed = keeper.fetch_from(entry, self.profile.as_ref(), wanted).map_err(|error| self.failure(error))?;
        // the clock is read only if somebody wants to know
        tracing::info!(
            name = %self.name,
            how = ?handed.how,
            left = %handed.token.left((keeper.now)().into()),
            "handing a token out"
        );
        Ok(Handout::Token(handed))
    }

    /// Describes a stored text that is of no use any more.
    fn ended(&self, handout: &Handout, end: Timestamp, now: Timestamp) -> Failure {
        let message = if end > now {
            format!("`{}` lives only {} more, and cannot be refreshed", self.name, end.since(now))
        } else {
            format!("`{}` expired at {end}, and cannot be refreshed", self.name)
        };
        let kind = handout.kind();
        Failure::new(Kind::Login, message)
            .hint(format!("store a new one: `tokenkeep store {} --kind {kind}`", self.name))
    }

    /// Returns the newest generation that opens: where the newest of all does not, what was there before says the kind.
    pub(crate) fn newest_that_opens(&self, vault: &Vault) -> Result<Option<Entry>, VaultError> {
        let shelf = vault.shelf();
        let open =
            |generation: u64| vault.unseal(&self.name, generation, &shelf.read(&self.name, generation).ok()?).ok();
        Ok(shelf.generations(&self.name)?.into_iter().find_map(open))
    }

    /// Returns the environment variable that `env` and `exec` set.
    pub(crate) fn variable(&self, handout: &Handout) -> String {
        let suffix = match handout {
            Handout::Token(_) | Handout::Fixed(_) => "_ACCESS_TOKEN",
            Handout::Stored { .. } => "",
        };
        let own = self.profile.as_ref().and_then(|profile| profile.var.clone());
        own.unwrap_or_else(|| variable_of(&self.name, suffix))
    }

    /// Describes what the keeper could not do, with the name that the person knows.
    pub(crate) fn failure(&self, error: KeeperError) -> Failure {
        keeper_failure(&self.name, (Doing::Refresh, Named::of(self.profile.as_ref())), error)
    }

    /// Describes why nobody could be logged in.
    pub(crate) fn login_failure(&self, error: KeeperError) -> Failure {
        keeper_failure(&self.name, (Doing::LogIn, Named::of(self.profile.as_ref())), error)
    }
}

/// What an entry hands out.
#[derive(Debug)]
pub(crate) enum Handout {
    /// An access token that the keeper holds fresh.
    Token(Handed),
    /// An access token that somebody stored.
    Fixed(FixedToken),
    /// A secret that somebody stored: a client secret, an admin key or any other.
    Stored {
        /// Which of these.
        kind: &'static str,
        /// What was stored.
        stored: Stored,
    },
}

impl Handout {
    /// Returns the token or secret itself.
    pub(crate) const fn secret(&self) -> &Secret<String> {
        match self {
            Self::Token(handed) => handed.token.token.secret(),
            Self::Fixed(fixed) => fixed.token.secret(),
            Self::Stored { stored, .. } => stored.secret.secret(),
        }
    }

    /// Returns the token of a provider, with what is known of it.
    pub(crate) const fn token(&self) -> Option<&CachedToken> {
        match self {
            Self::Token(handed) => Some(&handed.token),
            Self::Fixed(_) | Self::Stored { .. } => None,
        }
    }

    /// Returns when it ends, if that is known.
    pub(crate) const fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Token(handed) => Some(handed.token.expires_at),
            Self::Fixed(fixed) => fixed.expires_at,
            Self::Stored { stored, .. } => stored.expires_at,
        }
    }

    /// Returns what the keeper wants the person to know.
    pub(crate) fn notice(&self) -> Option<&str> {
        match self {
            Self::Token(handed) => handed.notice.as_deref(),
            Self::Fixed(_) | Self::Stored { .. } => None,
        }
    }

    /// Returns the kind that a stored text is replaced as.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Token(_) => "refresh-token",
            Self::Fixed(_) => "access-token",
            Self::Stored { kind, .. } => kind,
        }
    }
}

/// Tells whether something that cannot be refreshed lives long enough; any life will do unless somebody asked for more.
pub(crate) fn is_enough(end: Timestamp, min_ttl: MinTtl, now: Timestamp) -> bool {
    let left = end.since(now);
    let least = match min_ttl {
        MinTtl::Explicit(least) => least,
        MinTtl::Default(_) => Lifetime::default(),
    };
    left > Lifetime::default() && left >= least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_refreshed_is_good_to_its_last_second_unless_more_was_asked_for() {
        let is_enough = |left: i64, min_ttl| is_enough(Timestamp::from_epoch(left), min_ttl, Timestamp::from_epoch(0));
        let (default, explicit) = (MinTtl::Default(Lifetime::seconds(60)), MinTtl::Explicit(Lifetime::seconds(60)));
        assert!(is_enough(1, default) && !is_enough(0, default));
        assert!(is_enough(60, explicit) && !is_enough(59, explicit));
        assert!(!is_enough(0, MinTtl::Explicit(Lifetime::default())));
    }
}
