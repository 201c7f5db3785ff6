//! Who acts: the owner of a token that is shown for it, else the user of the operating system who can write the ledger.

use crate::commands::Context;
use crate::commands::admin_token::check;
use crate::commands::source::SourceArgs;
use crate::error::{Failure, Kind};
use crate::ledger::check::{Checked, Demands};
use crate::ledger::rights::Actor;
use crate::ledger::token::Token;
use crate::ledger::{By, Ledger, LedgerError};
use crate::token::issued;

/// Whose rights are used.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(multiple = false)]
pub(in crate::commands) struct AsArgs {
    /// Act with the rights of the token in this variable
    #[arg(long, value_name = "VAR")]
    as_from_env: Option<String>,
    /// Act with the rights of the token on standard input
    #[arg(long)]
    as_stdin: bool,
}

/// An open ledger, and who acts on it.
pub(in crate::commands) struct Acting {
    /// The ledger.
    pub(in crate::commands) ledger: Ledger,
    /// Whose rights are used.
    pub(in crate::commands) actor: Actor,
    /// What history says.
    pub(in crate::commands) by: By,
}

impl AsArgs {
    /// Opens the ledger, made if there is none, and finds out who acts.
    pub(in crate::commands) fn begin(&self, cx: &mut Context) -> Result<Acting, Failure> {
        let by = cx.by();
        let ledger = cx.ledger(&by)?;
        self.act(cx, ledger, by)
    }

    /// Opens the ledger that is there, and finds out who looks; `None` if there is none.
    pub(in crate::commands) fn look(&self, cx: &mut Context) -> Result<Option<Acting>, Failure> {
        let by = cx.by();
        let ledger = cx.present_ledger(&by)?;
        ledger.map(|ledger| self.act(cx, ledger, by)).transpose()
    }

    /// Refuses to read standard input twice.
    pub(in crate::commands) fn check_beside(&self, other: &SourceArgs) -> Result<(), Failure> {
        if self.as_stdin && other.stdin {
            return Err(Failure::new(Kind::Usage, "only one thing can be read from standard input")
                .hint("give the token that acts in a variable: `--as-from-env VAR`"));
        }
        Ok(())
    }

    /// Takes the token out of the environment, so that no command that is started finds it there.
    pub(in crate::commands) fn forget(&self, cx: &mut Context) {
        if let Some(variable) = &self.as_from_env {
            cx.host.env.wipe(variable);
        }
    }

    /// Finds out who acts. Rights are checked before anything is looked up.
    fn act(&self, cx: &mut Context, mut ledger: Ledger, mut by: By) -> Result<Acting, Failure> {
        let source = SourceArgs { stdin: self.as_stdin, from_env: self.as_from_env.clone(), ..SourceArgs::default() };
        source.check(cx)?;
        let Some(token) = good_token(&source, cx, &mut ledger, &by)? else {
            return Ok(Acting { ledger, actor: Actor::System, by });
        };
        by.actor.clone_from(&token.owner);
        match Actor::of(token.clone()) {
            Ok(actor) => Ok(Acting { ledger, actor, by }),
            Err(error) => Err(deny(&mut ledger, &token, error, &by)),
        }
    }
}

impl Acting {
    /// Turns what the ledger says into a failure; a denial is written into the history of the token that acted.
    pub(in crate::commands) fn answer<T>(&mut self, answer: Result<T, LedgerError>) -> Result<T, Failure> {
        match (answer, &self.actor) {
            (Ok(done), _) => Ok(done),
            (Err(error), Actor::Owner(token)) => Err(deny(&mut self.ledger, token, error, &self.by)),
            (Err(error), Actor::System) => Err(error.into()),
        }
    }

    /// Refuses who is no administrator.
    pub(in crate::commands) fn require_admin(&mut self) -> Result<(), Failure> {
        let answer = self.actor.require_admin();
        self.answer(answer)
    }

    /// Returns whose tokens may be looked at, `asked` or all of whom it may see; `what` is what is refused.
    pub(in crate::commands) fn visible_owner(
        &mut self,
        asked: Option<String>,
        what: &str,
    ) -> Result<Option<String>, Failure> {
        if self.actor.is_admin() {
            return Ok(asked);
        }
        let owner = asked.or_else(|| self.actor.owner().map(str::to_owned));
        if owner.as_deref().is_some_and(|owner| self.actor.may_see(owner)) {
            return Ok(owner);
        }
        let refused = self.answer(Err(LedgerError::Denied(format!("only an administrator may {what}"))));
        refused
            .map_err(|failure| failure.hint("leave --owner out, or act with a token that has the scope `admin:token`"))
    }
}

/// Writes a denial down, and returns the failure: the same one where it cannot be written.
pub(in crate::commands) fn deny(ledger: &mut Ledger, token: &Token, error: LedgerError, by: &By) -> Failure {
    if let LedgerError::Denied(why) = &error
        && let Err(unwritten) = ledger.record_denial(token, why, by)
    {
        tracing::warn!(error = %unwritten, "what was asked of a token is not in history");
    }
    error.into()
}

/// Reads a token from a source and checks that it is good; `None` if no source is named.
pub(in crate::commands) fn good_token(
    source: &SourceArgs,
    cx: &mut Context,
    ledger: &mut Ledger,
    by: &By,
) -> Result<Option<Token>, Failure> {
    let Some(text) = source.read(cx)? else { return Ok(None) };
    if check::is_ours(cx, Some(ledger), text.secret())? {
        return Err(Failure::new(Kind::No, "an admin token cannot act here")
            .because("it is for the events of jobs: `tokenkeep job-token authorize` and `validate` take it")
            .hint("give a token that `tokenkeep token create` issued, with the scope `admin:token` or `user:token`"));
    }
    let checked = issued::read(text.secret())
        .map_err(|misread| Checked::Refused(misread.into()))
        .and_then(|shown| ledger.check(&shown, &Demands::default(), by));
    match checked {
        Ok(token) => Ok(Some(token)),
        Err(Checked::Ledger(error)) => Err(error.into()),
        Err(Checked::Refused(refusal)) => Err(Failure::new(Kind::No, "the token that was given is not good")
            .because(refusal.to_string())
            .hint("see how tokens stand with `tokenkeep token list --all`")),
    }
}
