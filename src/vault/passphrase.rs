//! How easily a passphrase is guessed: no more than can be said honestly without a dictionary.

use crate::secret::Passphrase;

/// Why a passphrase may be guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weakness {
    /// It is short.
    Short,
    /// It is made of few different characters.
    Monotonous,
    /// It is made of digits alone.
    Digits,
    /// It looks like one word.
    OneWord,
}

impl Weakness {
    /// Finds what is weak in a passphrase; `None` does not mean that it is good.
    pub(crate) fn of(passphrase: &Passphrase) -> Option<Self> {
        Self::of_text(passphrase.expose())
    }

    /// Finds what is weak in a text; nothing of it is copied.
    fn of_text(text: &str) -> Option<Self> {
        let count = text.chars().count();
        let is_new = |(at, character): &(usize, char)| !text.chars().take(*at).any(|before| before == *character);
        let different = text.chars().enumerate().filter(is_new).take(FEWEST_DIFFERENT).count();
        if count < FEWEST {
            Some(Self::Short)
        } else if different < FEWEST_DIFFERENT {
            Some(Self::Monotonous)
        } else if count < FEWEST_DIGITS && text.chars().all(|character| character.is_ascii_digit()) {
            Some(Self::Digits)
        } else if count < FEWEST_LETTERS && text.chars().all(char::is_alphabetic) {
            Some(Self::OneWord)
        } else {
            None
        }
    }

    /// Says it.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Short => "it is short",
            Self::Monotonous => "it has few different characters",
            Self::Digits => "it is made of digits alone",
            Self::OneWord => "it looks like one word",
        }
    }
}

/// The fewest characters: of random small letters 12 are worth 56 bits; at a second a guess that is two thousand million
/// years of one core.
const FEWEST: usize = 12;

/// The fewest different characters: what repeats itself has fewer.
const FEWEST_DIFFERENT: usize = 6;

/// The fewest digits, where there is nothing else: 18 are worth 60 bits, and no date or telephone number is as long.
const FEWEST_DIGITS: usize = 18;

/// The fewest letters, where there is nothing else: most words of a dictionary are shorter.
const FEWEST_LETTERS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_soon_guessed_is_weak() {
        for (text, weakness) in [
            ("x", Weakness::Short),
            ("Tr0ub4dor&3", Weakness::Short),
            ("aaaaaaaaaaaaaaaaaaaaaaaa", Weakness::Monotonous),
            ("121212121212121212121212", Weakness::Monotonous),
            ("314159265358979", Weakness::Digits),
            ("antidisestabl", Weakness::OneWord),
            ("Donaudampfsch\u{fc}", Weakness::OneWord),
        ] {
            assert_eq!(Weakness::of_text(text), Some(weakness), "{text}");
        }
    }

    #[test]
    fn four_words_and_random_characters_are_not() {
        for text in [
            "correct horse battery staple",
            "correcthorsebatterystaple",
            "k7#Qz!p2Vx9w",
            "\u{6b63}\u{78ba} 8431 horse x",
        ] {
            assert_eq!(Weakness::of_text(text), None, "{text}");
        }
    }
}
