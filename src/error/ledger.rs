//! What the ledger says no to, as what a person reads and the shell gets.

use super::{Failure, Kind};
use crate::ledger::LedgerError;
use crate::token::issued::TokenKind;

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        use LedgerError as E;
        let (kind, hint) = match &error {
            E::Missing { .. } => (Kind::NotFound, "issue a first token: `tokenkeep job-token issue JOB`".to_owned()),
            E::OpenToAll { path } => (Kind::Config, format!("type `chmod o-w '{}'`", path.display())),
            E::OnNetwork { .. } | E::NotALedger { .. } | E::AmongAll { .. } => {
                (Kind::Config, "name another local file: `ledger` in [issued] of config.toml".to_owned())
            }
            E::Newer { .. } => (Kind::Config, "use the version of tokenkeep that wrote it, or a later one".to_owned()),
            E::Older { .. } => (Kind::Failed, "let its owner type `tokenkeep maintain`".to_owned()),
            E::Busy => (Kind::Later, "try again in a minute".to_owned()),
            E::ReadOnly(_) | E::Database(_) => {
                (Kind::Failed, "see with `df -h` and `ls -l` whether there is room and you may write it".to_owned())
            }
            E::File(fault) => (
                Kind::Failed,
                fault
                    .mend()
                    .map_or_else(|| "mend it, then try again".to_owned(), |command| format!("type `{command}`")),
            ),
            E::NoRandomness(_) => (Kind::Failed, "try again".to_owned()),
            E::Damaged(_) => {
                (Kind::Failed, "restore the ledger from a backup, then check it with `tokenkeep audit`".to_owned())
            }
            E::Held { .. } => (Kind::Later, "wait for its end, or take it over with --rotate".to_owned()),
            E::OtherScopes { .. } => (Kind::Usage, "leave --scope out, or make a new token with --rotate".to_owned()),
            E::OtherTerms { flag, .. } => (Kind::Usage, format!("leave {flag} out, or make a new token with --rotate")),
            E::Underivable { id, kind: TokenKind::Job } => (
                Kind::Locked,
                format!(
                    "restore the entry `issue-key` of the vault, or make another in the place of {id} with --rotate"
                ),
            ),
            E::Underivable { id, .. } => (
                Kind::Locked,
                format!("restore the entry `issue-key` of the vault, or `tokenkeep token revoke {id}` and ask again"),
            ),
            E::NoSuchJob { .. } => (Kind::NotFound, "see them with `tokenkeep job-token list --all`".to_owned()),
            E::SeveralOwners { .. } => {
                (Kind::Usage, "say whose is meant with --owner, or that all are with --all-owners".to_owned())
            }
            E::NotRunning { job } => (Kind::No, format!("begin it anew with `tokenkeep job-token issue {job}`")),
            E::GraceScope(_) => (Kind::Usage, "name some of the token's own scopes with --grace-scope".to_owned()),
            E::Denied(_) => (Kind::Denied, "let somebody do it who may, or ask for less".to_owned()),
            E::NoSuchToken { .. } => (Kind::NotFound, "see them with `tokenkeep token list --all`".to_owned()),
            E::NameTaken { .. } => (Kind::Usage, "take another name, or revoke that one first".to_owned()),
            E::Unfit(unfit) => (Kind::Usage, unfit.instead().to_owned()),
            E::TooSoon { .. } => (Kind::Usage, "give a later end: `--expires 1h`".to_owned()),
            E::NotModifiable { .. } => (Kind::Usage, "issue another one with `tokenkeep token create`".to_owned()),
            E::NotRotatable { kind: TokenKind::Job } => {
                (Kind::Usage, "rotate it with `tokenkeep job-token issue JOB --rotate`".to_owned())
            }
            E::NotRotatable { .. } => {
                (Kind::Usage, "revoke it, then issue another with `tokenkeep token delegate`".to_owned())
            }
            E::Over { .. } => (Kind::No, "issue another one with `tokenkeep token create`".to_owned()),
            E::ParentTooShort { .. } => (Kind::No, "take a longer-lived parent, or a shorter --min-ttl".to_owned()),
            E::ChildTooLong { .. } => (Kind::Usage, "give a shorter --min-ttl, or let `user_ttl` be more".to_owned()),
            E::KeyExists(name) => (Kind::Usage, format!("take another name, or `tokenkeep admin-token rotate {name}`")),
        };
        Self::from_error(kind, &error).hint(hint)
    }
}
