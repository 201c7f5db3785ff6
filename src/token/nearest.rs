//! Which word somebody probably meant who typed another one.

/// Finds the word that was probably meant, whatever its case.
pub(crate) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let typed = typed.to_lowercase();
    let close = known.map(|word| (likeness(&typed, &word.to_lowercase()), word));
    let best = close.filter(|(likeness, _)| *likeness > 0.75).max_by(|one, other| one.0.total_cmp(&other.0));
    best.map(|(_, word)| word.to_owned())
}

/// Says how much two words are alike: up to 1 by their letters, and more if one slip of a finger leads from one to the other.
fn likeness(typed: &str, word: &str) -> f64 {
    let letters = strsim::jaro_winkler(typed, word);
    let is_slip = typed.len() > 2 && strsim::osa_distance(typed, word) <= 1;
    match (is_slip, typed.len() == word.len()) {
        // two letters in each other's place are a likelier slip than one too many
        (true, true) => 2.0 + letters,
        (true, false) => 1.0 + letters,
        (false, _) => letters,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_in_short_words_and_whatever_the_case() {
        let meant = |typed| nearest(typed, ["get", "stats", "status", "list", "generate"].into_iter());
        for (typed, word) in
            [("gte", "get"), ("stauts", "status"), ("stat", "stats"), ("LIST", "list"), ("genrate", "generate")]
        {
            assert_eq!(meant(typed).as_deref(), Some(word), "{typed}");
        }
        assert_eq!((meant("x"), meant("frobnicate")), (None, None));
    }
}
