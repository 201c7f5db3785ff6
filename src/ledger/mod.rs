//! The ledger: the tokens we issued, who did what to them, and who may mint admin tokens. Digests and facts, never a text.
//!
//! One SQLite file. What happens to a token and the history record of it are one transaction ([`Ledger::write`]). Nothing
//! here needs the vault, so who only checks tokens holds no secret. Time and actor are arguments.

pub(crate) mod admin;
pub(crate) mod admin_checks;
pub(crate) mod admin_verdict;
pub(crate) mod audit;
mod backup;
pub(crate) mod chain;
mod change;
pub(crate) mod check;
pub(crate) mod child;
pub(crate) mod history;
pub(crate) mod issued;
pub(crate) mod job;
pub(crate) mod lease;
pub(crate) mod list;
pub(crate) mod maintain;
pub(crate) mod named;
pub(crate) mod open;
#[cfg(test)]
mod property;
pub(crate) mod query;
pub(crate) mod rights;
mod rotate;
mod schema;
pub(crate) mod stats;
pub(crate) mod token;

use std::fmt;
use std::io;
use std::path::PathBuf;

use rusqlite::{Connection, TransactionBehavior};

use crate::host::files::FileFault;
use crate::secret::Secret;
use crate::token::issued::{TokenKind, TokenSecret};
use crate::token::scopes::Scopes;
use crate::token::time::{Lifetime, Timestamp};
pub(crate) use history::By;

/// Fills a buffer with random bytes: the host's.
pub(crate) type Random = fn(&mut [u8]) -> io::Result<()>;

/// What can be wrong with a ledger, or with what was asked of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    /// There is none.
    #[error("there is no ledger at {}", path.display())]
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// Several machines share its file system, whose locks cannot be relied upon.
    #[error("the ledger {} lies on a network file system", path.display())]
    OnNetwork {
        /// Where it is.
        path: PathBuf,
    },
    /// Anybody could write it, so anybody could issue tokens.
    #[error("{} {} can be written by everybody", if path.is_dir() { "the folder of the ledger," } else { "the ledger" }, path.display())]
    OpenToAll {
        /// The file or its folder.
        path: PathBuf,
    },
    /// Its folder is there for everybody to write in, like /tmp.
    #[error("the ledger would lie in {}, where everybody may write", path.display())]
    AmongAll {
        /// The folder.
        path: PathBuf,
    },
    /// The file is no ledger.
    #[error("{} is not a ledger", path.display())]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// A later version of the program wrote it.
    #[error("the ledger has schema {found}; this version of tokenkeep knows {known}")]
    Newer {
        /// The schema of the file.
        found: u32,
        /// The newest that we know.
        known: u32,
    },
    /// An earlier version of the program wrote it, and it could not be brought up to date.
    #[error("the ledger has schema {found}, which must become {known} first")]
    Older {
        /// The schema of the file.
        found: u32,
        /// The newest that we know.
        known: u32,
    },
    /// Somebody else writes to it for longer than anybody should.
    #[error("the ledger is busy: another process has been writing to it for too long")]
    Busy,
    /// It can be read and not written.
    #[error("the ledger cannot be written")]
    ReadOnly(#[source] SqliteFault),
    /// A file or folder is not as it must be.
    #[error(transparent)]
    File(#[from] FileFault),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness(#[source] io::Error),
    /// What a row holds is not what this program writes.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
    /// SQLite cannot do it.
    #[error("the ledger's database failed")]
    Database(#[source] SqliteFault),
    /// Somebody keeps the job running.
    #[error("the job `{job}` is held by `job-token {holder}` on {host} since {since}")]
    Held {
        /// The job.
        job: String,
        /// In which way.
        holder: token::Holder,
        /// On which machine.
        host: String,
        /// Since when.
        since: Timestamp,
    },
    /// The job's token may do something else than was asked for.
    #[error("the job `{job}` has a token already, with {}", told(scopes))]
    OtherScopes {
        /// The job.
        job: String,
        /// What its token may do.
        scopes: Scopes,
    },
    /// The job's token has other times than were asked for.
    #[error("the job `{job}` has a token already, with another {flag}")]
    OtherTerms {
        /// The job.
        job: String,
        /// What is different.
        flag: &'static str,
    },
    /// The text cannot be told again.
    #[error("the text of token {id} does not come from the issue key in this vault")]
    Underivable {
        /// The token's public id.
        id: String,
        /// What it is.
        kind: TokenKind,
    },
    /// Nobody ever issued a token for the job.
    #[error("there is no job `{job}`")]
    NoSuchJob {
        /// The job.
        job: String,
    },
    /// Several owners have a token of the job, and it is not said whose is meant.
    #[error("the job `{job}` has tokens of several owners: {owners}")]
    SeveralOwners {
        /// The job.
        job: String,
        /// The owners.
        owners: String,
    },
    /// Its job has ended.
    #[error("the job `{job}` does not run any more")]
    NotRunning {
        /// The job.
        job: String,
    },
    /// A grace was asked for what the token does not have.
    #[error("the token does not have the scope `{0}`, so no grace can keep it")]
    GraceScope(String),
    /// Somebody may not do it.
    #[error("{0}")]
    Denied(String),
    /// There is no such token, or it is nobody's business who asks.
    #[error("there is no token {id}")]
    NoSuchToken {
        /// Its public id.
        id: String,
    },
    /// A live token of the owner has the name.
    #[error("{owner} has a token called `{name}` already")]
    NameTaken {
        /// The owner.
        owner: String,
        /// The name.
        name: String,
    },
    /// There is no such token of that kind.
    #[error(transparent)]
    Unfit(#[from] named::Unfit),
    /// The end of a token comes too soon.
    #[error("a token lives at least {least}")]
    TooSoon {
        /// How long at least.
        least: Lifetime,
    },
    /// Only user tokens can be changed.
    #[error("only user tokens can be changed, and this is {} token", kind.with_article())]
    NotModifiable {
        /// What it is.
        kind: TokenKind,
    },
    /// Tokens that are told again on asking are not rotated this way.
    #[error("{} token is not rotated by its id", kind.with_article())]
    NotRotatable {
        /// What it is.
        kind: TokenKind,
    },
    /// It is good no more.
    #[error("the token {id} is {how}")]
    Over {
        /// Its public id.
        id: String,
        /// How it stands.
        how: &'static str,
    },
    /// The child would live shorter than was demanded.
    #[error("a child of this token can live only {left}, not {least}")]
    ParentTooShort {
        /// How long it could live.
        left: Lifetime,
        /// How long it should.
        least: Lifetime,
    },
    /// More is demanded than any child can have.
    #[error("a child of any token lives {most} at most, not {least}")]
    ChildTooLong {
        /// How long it lives at most.
        most: Lifetime,
        /// How long it should.
        least: Lifetime,
    },
    /// Another admin key has the name.
    #[error("there already is an admin key `{0}`")]
    KeyExists(String),
}

/// What SQLite says. Its own cause only says the same in other words, and is not told.
#[derive(Debug)]
pub(crate) struct SqliteFault(rusqlite::Error);

impl SqliteFault {
    /// Tells whether it is of a kind.
    fn is(&self, code: rusqlite::ErrorCode) -> bool {
        self.0.sqlite_error_code() == Some(code)
    }
}

impl fmt::Display for SqliteFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl std::error::Error for SqliteFault {}

impl From<rusqlite::Error> for LedgerError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Self::Busy,
            Some(Code::ReadOnly) => Self::ReadOnly(SqliteFault(error)),
            Some(Code::DatabaseCorrupt) => Self::Damaged(error.to_string()),
            _ => Self::Database(SqliteFault(error)),
        }
    }
}

/// An open ledger.
pub(crate) struct Ledger {
    /// The database.
    db: Connection,
    /// Where it is.
    path: PathBuf,
    /// The source of ids and secrets.
    random: Random,
}

impl Ledger {
    /// Returns the URN that was made with the ledger: who issues, where the settings name no issuer.
    pub(crate) fn urn(&self) -> Result<String, LedgerError> {
        Ok(self.db.query_row("SELECT value FROM ledger WHERE key = 'urn'", [], |row| row.get(0))?)
    }

    /// Returns random bytes.
    fn random<const N: usize>(&self) -> Result<[u8; N], LedgerError> {
        let mut bytes = [0; N];
        (self.random)(&mut bytes).map_err(LedgerError::NoRandomness)?;
        Ok(bytes)
    }

    /// Looks at the ledger as it is at one moment, whatever others write meanwhile.
    fn read<T>(&self, look: impl FnOnce(&Connection) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        let transaction = self.db.unchecked_transaction()?;
        look(&transaction)
    }

    /// Returns the random part of a new token.
    fn random_secret(&self) -> Result<TokenSecret, LedgerError> {
        let mut bytes: Box<[u8]> = Box::new([0; 32]);
        (self.random)(&mut bytes).map_err(LedgerError::NoRandomness)?;
        Ok(Secret::new(bytes))
    }

    /// Does something in one durable transaction: all of it happens, its history included, or nothing.
    fn write<T>(&mut self, act: impl FnOnce(&Connection) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = act(&transaction)?;
        transaction.commit()?;
        self.fold_log();
        Ok(done)
    }

    /// Does something in one transaction that the next durable one makes durable: it may be lost if the machine fails now.
    fn write_soon<T>(&mut self, act: impl FnOnce(&Connection) -> Result<T, LedgerError>) -> Result<T, LedgerError> {
        self.db.pragma_update(None, "synchronous", "NORMAL")?;
        let done = self.write(act);
        self.db.pragma_update(None, "synchronous", "FULL")?;
        done
    }
}

/// Says which scopes a token has.
fn told(scopes: &Scopes) -> String {
    if scopes.is_empty() { "no scopes".to_owned() } else { format!("the scopes `{scopes}`") }
}

#[cfg(test)]
pub(crate) mod scratch {
    //! A ledger in a temporary folder.

    use tempfile::TempDir;

    use super::admin::{AdminKey, Origin};
    use super::{By, Ledger};
    use crate::token::time::Timestamp;

    /// When tests happen.
    pub(crate) const NOW: i64 = 1_800_000_000;

    /// Makes a ledger; the folder lives as long as what is returned.
    pub(crate) fn ledger() -> (TempDir, Ledger) {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("data/ledger.db"), random, &by(NOW)).unwrap();
        (folder, ledger)
    }

    /// Who acts in tests, at some second.
    pub(crate) fn by(second: i64) -> By {
        By { actor: "os:ada".into(), host: "here".into(), address: None, at: Timestamp::from_epoch(second) }
    }

    /// A key of our own that mints.
    pub(crate) fn admin_key(name: &str, kid: &str) -> AdminKey {
        AdminKey {
            name: name.into(),
            kid: kid.into(),
            alg: "EdDSA".into(),
            jwk: "{}".into(),
            origin: Origin::Own,
            created: Timestamp::from_epoch(NOW),
            retired: None,
        }
    }

    /// The system's randomness.
    pub(crate) fn random(buffer: &mut [u8]) -> std::io::Result<()> {
        rustix::rand::getrandom(buffer, rustix::rand::GetRandomFlags::empty()).map(drop)?;
        Ok(())
    }
    pub(crate) mod jobs {
        //! Jobs of one owner.

        use super::super::Ledger;
        use super::super::check::{Checked, Demands, Refusal};
        use super::super::job::{JobAsk, Limit, Present};
        use super::super::lease::{JobRef, Whose};
        use super::by;
        use crate::secret::Secret;
        use crate::token::issued::{self, IssueKey};
        use crate::token::scopes::Scopes;
        use crate::token::time::Lifetime;

        /// Asks for the token of a job of an hour.
        pub(crate) fn ask(present: Present) -> JobAsk {
            let scopes = Some(Scopes::lenient("read clean"));
            let ttl = Limit::Default(Lifetime::seconds(3_600));
            JobAsk { owner: "ada".into(), job: "j1".into(), scopes, ttl, lease: None, grace: None, present }
        }

        /// That job, whoever owns it.
        pub(crate) fn whole() -> JobRef {
            JobRef { job: "j1".into(), whose: Whose::All }
        }

        /// What texts are derived from.
        pub(crate) fn key() -> IssueKey {
            Secret::new(Box::new([3; 32]))
        }

        /// What a check at some second says.
        pub(crate) fn check(ledger: &mut Ledger, text: &Secret<String>, second: i64) -> Option<Refusal> {
            let demands = Demands { job: Some("j1"), ..Demands::default() };
            match ledger.check(&issued::read(text).unwrap(), &demands, &by(second)) {
                Ok(_) => None,
                Err(Checked::Refused(refusal)) => Some(refusal),
                Err(Checked::Ledger(error)) => panic!("{error}"),
            }
        }
    }
}
