//! A passphrase that is new: read from a descriptor, or typed twice; what is too weak is accepted, and called so.

use super::{Context, context::unanswered};
use crate::error::{Failure, Kind};
use crate::host::terminal::{self, Echo};
use crate::secret::Passphrase;
use crate::vault::passphrase::Weakness;
use crate::vault::unlock;

/// Takes a new passphrase from the descriptor that a flag names, or asks for it.
pub(crate) fn take(cx: &mut Context, flag: &'static str, number: Option<i32>) -> Result<Passphrase, Failure> {
    let Some(number) = number else { return ask(cx, flag) };
    let passphrase = unlock::read_passphrase(flag, number)?;
    judge(cx, &passphrase)?;
    Ok(passphrase)
}

/// Asks for a new passphrase, twice; `flag` is how it can be given where nobody can be asked.
fn ask(cx: &mut Context, flag: &str) -> Result<Passphrase, Failure> {
    if !cx.may_ask() {
        return Err(Failure::new(Kind::Locked, "a new passphrase is needed, and there is nobody to ask")
            .hint(format!("give it on a descriptor: `{flag} 3 3<FILE`")));
    }
    let typed = |question: &str| -> Result<Passphrase, Failure> {
        let line = terminal::ask(question, Echo::Hidden).map_err(|error| unanswered(&error))?;
        Ok(Passphrase::new(line.as_str().to_owned()))
    };
    let first = typed("New passphrase: ")?;
    // before it is typed again: who wants another one has not learned it yet
    judge(cx, &first)?;
    if !first.secret().is_same(typed("The same once more: ")?.secret()) {
        return Err(Failure::new(Kind::Usage, "the two passphrases differ").hint("type the command again"));
    }
    Ok(first)
}

/// Refuses a passphrase that is none, and says what is weak in any other.
fn judge(cx: &mut Context, passphrase: &Passphrase) -> Result<(), Failure> {
    if passphrase.secret().is_empty() {
        return Err(Failure::new(Kind::Usage, "the passphrase is empty").hint("four random words make a good one"));
    }
    if let Some(weakness) = Weakness::of(passphrase) {
        cx.printer.notice(&format!(
            "a weak passphrase: {}. Who gets a copy of the vault can try one a second on every core that can be had; four \
             random words make a good one",
            weakness.words()
        ));
    }
    Ok(())
}
