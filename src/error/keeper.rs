//! What the keeper could not do, as a person reads it.

use super::{Failure, Kind};
use crate::keeper::KeeperError;
use crate::keeper::note::{Refused, when};
use crate::keeper::request::{NotSent, Place};
use crate::profile::{EntryName, Profile};
use crate::token::time::Timestamp;

/// What the keeper was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// To bring an access token.
    Refresh,
    /// To bring a login.
    LogIn,
}

/// What a name stands for, before the vault is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A profile.
    Profile,
    /// At most an entry.
    EntryAlone,
}

impl Named {
    /// Looks whether there is a profile.
    pub(crate) const fn of(profile: Option<&Profile>) -> Self {
        if profile.is_some() { Self::Profile } else { Self::EntryAlone }
    }
}

/// Describes what the keeper could not do for an entry.
pub(crate) fn keeper_failure(name: &EntryName, (doing, named): (Doing, Named), error: KeeperError) -> Failure {
    use KeeperError as E;
    let generate = || format!("log in again with `tokenkeep generate {name}`");
    let login = |failure: Failure| failure.hint(generate());
    let (cannot, kept) = match doing {
        Doing::Refresh => (format!("cannot refresh {name}"), "; its token is untouched"),
        Doing::LogIn => (format!("cannot log in to {name}"), ""),
    };
    match error {
        E::Vault(error) => error.into(),
        E::Provider(error) => Failure::from(error).while_doing(cannot),
        E::NoEntry { .. } if named == Named::Profile => {
            Failure::new(Kind::Login, format!("nobody has logged in to `{name}` yet"))
                .hint(format!("log in with `tokenkeep generate {name}`"))
        }
        error @ E::NoEntry { .. } => Failure::from_error(Kind::NotFound, &error).hint(LIST).unless_token(name, None),
        error @ E::NotATokenSet { .. } => {
            Failure::from_error(Kind::Usage, &error).hint(format!("print it with `tokenkeep get {name}`"))
        }
        error @ E::NothingCached { .. } => {
            Failure::from_error(Kind::Later, &error).hint(format!("refresh it with `tokenkeep refresh {name}`"))
        }
        error @ E::Moved { .. } => Failure::from_error(Kind::Login, &error)
            .while_doing(format!("{cannot}: its token is not sent to another place"))
            .hint(format!("log in there with `tokenkeep generate {name}`, or change the profile back")),
        E::NoClientSecret { secret, .. } => {
            Failure::new(Kind::Config, format!("there is no client secret in the entry `{secret}`"))
                .hint(format!("store it with `tokenkeep store {secret} --kind client-secret`"))
        }
        error @ E::Spent { .. } => Failure::from_error(Kind::Login, &error)
            .because("presenting it again could make the provider revoke the newest token, too")
            .hint(format!("{}; if it is the newest after all, `tokenkeep refresh {name} --present-spent`", generate())),
        error @ E::UnusableRefreshToken { .. } => login(Failure::from_error(Kind::Login, &error).while_doing(cannot)),
        E::Refused { refused, retry_at, .. } => login(refusal_failure(name, &refused, retry_at)),
        error @ E::AskedTooMuch { .. } => {
            Failure::from_error(Kind::Config, &error).while_doing(cannot + kept).hint(format!(
                "leave out what was asked for beyond the login, or check the profile: `tokenkeep profile show {}`",
                name.profile()
            ))
        }
        error @ (E::ClientRefused { .. } | E::Unexpected { .. }) => Failure::from_error(Kind::Config, &error)
            .while_doing(cannot + kept)
            .hint(format!("check the profile: `tokenkeep profile show {}`", name.profile())),
        E::Unavailable { why, until } => unavailable_failure(name, &why, until).while_doing(cannot),
        error @ E::AnswerLost { .. } => Failure::from_error(Kind::Later, &error)
            .while_doing(cannot)
            .hint(format!("try again later, or at once with `tokenkeep refresh {name} --force`")),
        E::NotSent(ref reason) => not_sent_failure(name, reason).while_doing(cannot),
        error @ E::Detached(_) => Failure::from_error(Kind::Failed, &error)
            .while_doing(cannot)
            .hint("nothing was sent and nothing is lost: mend the cause, then try again"),
        E::NotKept { ref mend, .. } => Failure::from_error(Kind::Failed, &error).while_doing(cannot).hint(format!(
            "{}, then {}",
            look(mend.as_deref()),
            generate()
        )),
        error @ E::NoRefreshToken => Failure::from_error(Kind::Config, &error)
            .hint(format!("ask for it: add \"offline_access\" to the scopes of [profiles.{}]", name.profile())),
        error @ E::Unusable => Failure::from_error(Kind::Failed, &error)
            .hint("report it to who runs the provider; the refresh token is kept"),
    }
}

/// Describes a provider that cannot be reached.
fn unavailable_failure(name: &EntryName, why: &str, until: Option<Timestamp>) -> Failure {
    Failure::new(Kind::Later, format!("the provider is not available: {why}")).hint(match until {
        Some(until) => format!("try again after {until}, or at once with `tokenkeep refresh {name} --force`"),
        None => "try again later; the token is kept".to_owned(),
    })
}

/// Describes why an exchange was not begun.
fn not_sent_failure(name: &EntryName, reason: &NotSent) -> Failure {
    let show = || format!("check the profile: `tokenkeep profile show {}`", name.profile());
    let (kind, hint) = match reason.place {
        Place::Machine => (Kind::Failed, format!("{}, then try again", look(reason.mend.as_deref()))),
        Place::Configuration => (Kind::Config, show()),
    };
    Failure::new(kind, reason.why.clone()).hint(format!("{hint}; nothing was sent and nothing is lost"))
}

/// Says how a cause is mended, or looked at.
fn look(command: Option<&str>) -> String {
    command.map_or_else(|| "mend the cause".to_owned(), |command| format!("mend the cause (type `{command}`)"))
}

/// Describes why a refresh token could not be revoked at its provider.
pub(crate) fn revocation_failure(error: KeeperError) -> Failure {
    use KeeperError as E;
    match error {
        E::Vault(error) => error.into(),
        E::Provider(error) => error.into(),
        error @ (E::Unavailable { .. } | E::AnswerLost { .. }) => Failure::from_error(Kind::Later, &error),
        error @ E::Moved { .. } => Failure::from_error(Kind::Login, &error),
        error @ (E::NoEntry { .. }
        | E::NotATokenSet { .. }
        | E::NothingCached { .. }
        | E::NoClientSecret { .. }
        | E::Spent { .. }
        | E::UnusableRefreshToken { .. }
        | E::Refused { .. }
        | E::ClientRefused { .. }
        | E::AskedTooMuch { .. }
        | E::Unexpected { .. }
        | E::NotSent { .. }
        | E::NotKept { .. }
        | E::NoRefreshToken
        | E::Detached(_)
        | E::Unusable) => Failure::from_error(Kind::Config, &error),
    }
}

/// Describes a refused refresh token.
fn refusal_failure(name: &EntryName, refused: &Refused, retry_at: Timestamp) -> Failure {
    let failure = Failure::new(Kind::Login, format!("cannot refresh {name}: the provider refused the offline token"));
    let failure = failure.because(refused.words.clone());
    let failure = match refused.lost_since {
        Some(since) => failure.because(format!(
            "response lost: the answer to the refresh of {} never arrived, and the provider had rotated the token",
            when(since)
        )),
        None => failure,
    };
    failure.because(format!("it is kept, and tried again by itself after {retry_at}"))
}

/// How to see which entries there are.
const LIST: &str = "see what there is with `tokenkeep list`";
