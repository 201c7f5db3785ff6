//! What a person is told to type, as a shell takes it.

/// Writes a word so that a shell takes it as it is, in one piece.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_one_word() {
        assert_eq!([quoted("a b"), quoted("it's"), quoted("")], ["'a b'", r"'it'\''s'", "''"]);
    }
}
