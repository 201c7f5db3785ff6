//! Random sequences of operations, against a plain model in memory. A seed that fails can be run again.

use tempfile::TempDir;

use super::audit::Fix;
use super::check::{Checked, Demands};
use super::child::{ChildAsk, ChildKind};
use super::issued::{Issued, Reused};
use super::job::{JobAsk, Limit, Present};
use super::lease::{JobRef, RUN_LEASE, Renewal, Whose};
use super::named::{Change, End, NamedAsk, Others, Revoked};
use super::rights::Actor;
use super::scratch::{NOW, by, ledger};
use super::token::{self, Holder, Standing, Token};
use super::{Ledger, LedgerError};
use crate::secret::Secret;
use crate::token::issued::{self, IssueKey, TokenKind};
use crate::token::overlap::Overlap;
use crate::token::scopes::Scopes;
use crate::token::time::{Lifetime, Timestamp};

/// What the model knows of a token.
struct Modelled {
    token: Token,
    text: Secret<String>,
    parent: Option<usize>,
    name: Option<u64>,
    job: Option<(u64, Holder)>,
    expires: i64,
    lease: Option<i64>,
    closed: bool,
    rotated: bool,
}

impl Modelled {
    fn is_good(&self, now: i64) -> bool {
        !self.closed && now < self.expires && self.lease.is_none_or(|until| now < until)
    }
}

/// A ledger, and what it should hold.
struct World {
    _folder: TempDir,
    ledger: Ledger,
    tokens: Vec<Modelled>,
    now: i64,
    random: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let (folder, ledger) = ledger();
        // xorshift needs a state that is not zero
        Self {
            _folder: folder,
            ledger,
            tokens: Vec::new(),
            now: NOW,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// Returns a number below `end` (Marsaglia, "Xorshift RNGs").
    fn below(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % end
    }

    fn any(&mut self) -> Option<usize> {
        let count = self.tokens.len() as u64;
        (count > 0).then(|| usize::try_from(self.below(count)).unwrap())
    }

    fn add(&mut self, issued: Issued, parent: Option<usize>, name: Option<u64>, job: Option<(u64, Holder)>) {
        assert_eq!(issued.reused, Reused::No);
        let token = issued.token;
        let lease = token.lease.as_ref().and_then(|lease| lease.until).map(Timestamp::epoch);
        let expires = token.expires.map_or(i64::MAX, Timestamp::epoch);
        let text = issued.text;
        self.tokens.push(Modelled { text, parent, name, job, expires, lease, closed: false, rotated: false, token });
    }

    fn close(&mut self, at: usize) {
        self.tokens[at].closed = true;
        for child in 0..self.tokens.len() {
            if self.tokens[child].parent == Some(at) {
                self.close(child);
            }
        }
    }

    /// The token of a job that was not closed, whether its time is over or not.
    fn of_job(&self, job: u64) -> Option<usize> {
        self.tokens.iter().position(|token| !token.closed && token.job.is_some_and(|(of, _)| of == job))
    }

    fn job(&mut self) {
        let (job, rotate, holder) = (self.below(4), self.below(5) == 0, self.below(2));
        let holder = if holder == 0 { Holder::Issue } else { Holder::Run };
        let lease = match (holder, self.below(2)) {
            (Holder::Run, _) => Some(RUN_LEASE),
            (Holder::Issue, 0) => Some(Lifetime::seconds(90)),
            (Holder::Issue, _) => None,
        };
        let ask = JobAsk {
            owner: "ada".into(),
            job: job.to_string(),
            scopes: None,
            ttl: Limit::Default(Lifetime::seconds(60 + self.below(600))),
            lease,
            grace: None,
            present: if rotate { Present::Rotate } else { Present::Keep },
        };
        let by = by(self.now);
        let done = match holder {
            Holder::Issue => self.ledger.issue_job(&ask, &key(), &Actor::System, &by),
            Holder::Run => self.ledger.begin_run(&ask, &Actor::System, &by),
        };
        let present = self.of_job(job);
        let over = present.is_some_and(|at| {
            let token = &self.tokens[at];
            let lapsed = token.lease.is_some_and(|until| self.now >= until);
            self.now >= token.expires
                || lapsed && (holder == Holder::Run || matches!(token.job, Some((_, Holder::Run))))
        });
        match present {
            Some(at) if !over && !rotate => {
                let told_again = holder == Holder::Issue && matches!(self.tokens[at].job, Some((_, Holder::Issue)));
                if !told_again {
                    assert!(matches!(done, Err(LedgerError::Held { .. })));
                    return;
                }
                let length = self.tokens[at].token.lease.as_ref().and_then(|lease| lease.length);
                if lease.is_some() && lease != length {
                    assert!(matches!(done, Err(LedgerError::OtherTerms { flag: "--lease", .. })));
                    return;
                }
                let issued = done.unwrap();
                assert!(issued.text.is_same(&self.tokens[at].text));
                let length = issued.token.lease.as_ref().and_then(|lease| lease.length);
                self.tokens[at].lease = length.map(|length| self.now + i64::try_from(length.as_seconds()).unwrap());
            }
            Some(_) | None => {
                if let Some(at) = present {
                    self.close(at);
                }
                self.add(done.unwrap(), None, None, Some((job, holder)));
            }
        }
    }

    fn end(&mut self) {
        let job = self.below(4);
        let known = self.tokens.iter().any(|token| token.job.is_some_and(|(of, _)| of == job));
        let (which, revoke) = (JobRef { job: job.to_string(), whose: Whose::Usual("eve".into()) }, self.below(3) == 0);
        let done = if revoke {
            self.ledger.revoke_job(&which, &Actor::System, &by(self.now))
        } else {
            self.ledger.end_job(&which, None, &Actor::System, &by(self.now))
        };
        match self.of_job(job) {
            Some(at) => {
                assert_eq!(done.unwrap().ids.len(), 1);
                self.close(at);
            }
            None if known => assert_eq!(done.unwrap().ids.len(), 0),
            None => assert!(matches!(done, Err(LedgerError::NoSuchJob { .. }))),
        }
    }

    fn renew(&mut self) {
        let Some(at) = self.any().filter(|&at| matches!(self.tokens[at].job, Some((_, Holder::Run)))) else { return };
        let done = self.ledger.renew_run(&self.tokens[at].token, &by(self.now)).unwrap();
        let token = &mut self.tokens[at];
        if token.closed || self.now >= token.expires {
            assert_eq!(done, Renewal::Lost);
        } else {
            assert_eq!(done, Renewal::Held);
            token.lease = Some(self.now + 60);
        }
    }

    fn create(&mut self) {
        let name = self.below(4);
        let replace = self.below(6) == 0;
        let ask = NamedAsk {
            kind: TokenKind::User,
            owner: "ada".into(),
            name: Some(name.to_string()),
            scopes: Scopes::lenient("read write"),
            expires: Some(Timestamp::from_epoch(self.now + 300 + i64::try_from(self.below(900)).unwrap())),
            others: if replace { Others::Replace(Overlap::default()) } else { Others::Keep },
        };
        let done = self.ledger.create(&ask, &Actor::System, &by(self.now));
        let users = |token: &Modelled| !token.closed && token.token.kind == TokenKind::User;
        for at in 0..self.tokens.len() {
            if users(&self.tokens[at]) && replace {
                self.close(at);
            }
        }
        match self.tokens.iter().position(|token| users(token) && token.name == Some(name)) {
            Some(at) if self.now < self.tokens[at].expires => {
                assert!(matches!(done, Err(LedgerError::NameTaken { .. })));
                return;
            }
            Some(at) => self.close(at),
            None => {}
        }
        self.add(done.unwrap(), None, Some(name), None);
    }

    fn delegate(&mut self) {
        let Some(at) = self.any() else { return };
        let kind = if self.below(2) == 0 { ChildKind::Oidc } else { ChildKind::Notebook };
        let ask = ChildAsk { kind, lifetime: Lifetime::seconds(200), expires: None, min_ttl: None };
        let key = key();
        let key = ask.kind.is_retold().then_some(&key);
        let done = self.ledger.delegate(&self.tokens[at].token.clone(), &ask, key, &by(self.now));
        let parent = &self.tokens[at];
        if !parent.is_good(self.now) || matches!(parent.token.kind, TokenKind::Job | TokenKind::Oidc) {
            assert!(matches!(done, Err(LedgerError::Denied(_))));
            return;
        }
        let issued = done.unwrap();
        assert!(issued.token.expires.unwrap().epoch() <= parent.expires);
        if issued.reused == Reused::Yes {
            let child = self.tokens.iter().find(|token| token.token.id == issued.token.id).unwrap();
            assert!(child.parent == Some(at) && child.is_good(self.now) && child.text.is_same(&issued.text));
        } else {
            self.add(issued, Some(at), None, None);
        }
    }

    fn modify(&mut self) {
        let Some(at) = self.any() else { return };
        let end = self.now + 300 + i64::try_from(self.below(300)).unwrap();
        let change = Change { end: Some(End::At(Timestamp::from_epoch(end))), ..Change::default() };
        let id = self.tokens[at].token.id.clone();
        let done = self.ledger.modify(&id, &change, &Actor::System, &by(self.now));
        if self.tokens[at].token.kind != TokenKind::User {
            assert!(matches!(done, Err(LedgerError::NotModifiable { .. })));
        } else if !self.tokens[at].is_good(self.now) || self.tokens[at].rotated {
            assert!(matches!(done, Err(LedgerError::Over { .. })));
        } else {
            done.unwrap();
            self.tokens[at].expires = end;
            self.shorten(at, end);
        }
    }

    fn shorten(&mut self, parent: usize, end: i64) {
        for at in 0..self.tokens.len() {
            if self.tokens[at].parent == Some(parent) {
                self.tokens[at].expires = self.tokens[at].expires.min(end);
                self.shorten(at, end);
            }
        }
    }

    fn rotate_or_revoke(&mut self) {
        let Some(at) = self.any() else { return };
        let (id, good) =
            (self.tokens[at].token.id.clone(), !self.tokens[at].closed && self.now < self.tokens[at].expires);
        if self.tokens[at].token.kind == TokenKind::User && self.below(2) == 0 {
            let grace = [0, 100][usize::from(self.below(2) == 0)];
            let overlap = Overlap::of(Lifetime::seconds(grace)).unwrap();
            let done = self.ledger.rotate(&id, overlap, &Actor::System, &by(self.now));
            if !good || self.tokens[at].rotated {
                assert!(matches!(done, Err(LedgerError::Over { .. })));
                return;
            }
            let name = self.tokens[at].name;
            let expires = done.as_ref().unwrap().token.expires.map_or(i64::MAX, Timestamp::epoch);
            assert_eq!(expires, self.tokens[at].expires);
            if grace == 0 {
                self.close(at);
            } else {
                let end = expires.min(self.now + i64::try_from(grace).unwrap());
                let old = &mut self.tokens[at];
                (old.name, old.expires, old.rotated) = (None, end, true);
                self.shorten(at, end);
            }
            self.add(done.unwrap(), None, name, None);
        } else {
            let done = self.ledger.revoke(&id, &Actor::System, &by(self.now)).unwrap();
            assert_eq!(matches!(done, Revoked::Now(_)), good);
            if good {
                self.close(at);
            }
        }
    }

    fn maintain(&mut self) {
        self.ledger.maintain(Lifetime::seconds(86_400), &by(self.now)).unwrap();
        for at in 0..self.tokens.len() {
            let token = &self.tokens[at];
            let swept = token.lease.is_some_and(|until| until + 3_600 <= self.now);
            if !token.closed && (self.now >= token.expires || swept) {
                self.close(at);
            }
        }
    }

    fn step(&mut self) {
        self.now += i64::try_from(self.below(50)).unwrap();
        match self.below(12) {
            0..=2 => self.job(),
            3 => self.end(),
            4 => self.renew(),
            5 | 6 => self.create(),
            7 | 8 => self.delegate(),
            9 => self.modify(),
            10 => self.rotate_or_revoke(),
            _ => self.maintain(),
        }
        self.compare();
    }

    /// Every token stands as the model says, and a check of one of them says the same.
    fn compare(&mut self) {
        let now = Timestamp::from_epoch(self.now);
        for token in &self.tokens {
            let found = token::by_id(&self.ledger.db, &token.token.id).unwrap().unwrap();
            assert_eq!(found.standing(now) == Standing::Good, token.is_good(self.now), "{found:?} at {now}");
        }
        let Some(at) = self.any() else { return };
        let shown = issued::read(&self.tokens[at].text).unwrap();
        let checked = self.ledger.check(&shown, &Demands::default(), &by(self.now));
        assert!(!matches!(checked, Err(Checked::Ledger(_))));
        assert_eq!(checked.is_ok(), self.tokens[at].is_good(self.now));
    }
}

fn key() -> IssueKey {
    Secret::new(Box::new([3; 32]))
}

#[test]
fn any_sequence_of_operations_leaves_what_a_plain_model_says() {
    for seed in 1..=12 {
        let mut world = World::new(seed);
        for step in 0..60 {
            world.step();
            assert!(world.now > step, "seed {seed}");
        }
        let alerts = world.ledger.audit(None, Fix::No, &by(world.now)).unwrap();
        assert!(alerts.is_empty(), "seed {seed}: {alerts:?}");
    }
}
