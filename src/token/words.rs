//! Closed sets of words: an enum whose variants each have one word in the database, in JSON and on the command line.

/// Defines such an enum.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident $word:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum $name { $($(#[$about])* $variant,)* }

        impl $name {
            /// Returns the word for it.
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::token::words::NotAWord;

            /// Reads the word.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err($crate::token::words::NotAWord { known: &[$($word),*] }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.word())
            }
        }
    };
}
pub(crate) use words;

/// A text is none of the words. It is not repeated: it may be a token in the wrong place.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not one of {}", known.join(", "))]
pub(crate) struct NotAWord {
    /// The words there are.
    pub(crate) known: &'static [&'static str],
}
