//! The text of tokens: which can be handed out, what a text looks like, and how foreign text is shown safely.

use std::fmt::Write as _;

use crate::secret::Secret;

/// The shortest run of token characters that is taken for a token: 20 characters of base64url are 120 bits.
const SHORTEST_TOKEN: usize = 20;

/// Parts shorter than this, between slashes and dots, are the words of a path or a host name.
const LONGEST_WORD: usize = 16;

/// Tells whether a token can be handed to a header or a shell: printable ASCII without spaces (RFC 6749 appendix A.12),
/// not empty.
pub(crate) fn is_usable(token: &Secret<String>) -> bool {
    let token = token.expose();
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What a text looks like, without asking anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Three parts of base64url, the first of them a JSON object with an `alg`: a signed JWT (RFC 7519).
    Jwt,
    /// Something long and random.
    Opaque,
    /// Nothing that anybody would call a token.
    Plain,
}

/// Says what a token looks like.
pub(crate) fn look(token: &Secret<String>) -> Look {
    classify(token.expose())
}

/// Says what a text looks like.
pub(crate) fn classify(text: &str) -> Look {
    if super::claims::header(text).is_some() {
        Look::Jwt
    } else if looks_secret(text) || super::issued::is_token(text) {
        Look::Opaque
    } else {
        Look::Plain
    }
}

/// Tells whether a run of token characters is long and mixed enough to be a secret.
fn looks_secret(run: &str) -> bool {
    let has = |test: fn(&u8) -> bool| run.as_bytes().iter().any(test);
    let plain_path = run.split(['/', '.']).all(|part| part.len() < LONGEST_WORD);
    run.len() >= SHORTEST_TOKEN
        && run.bytes().all(is_token_byte)
        && !plain_path
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
}

/// Tells whether a byte may stand in a bearer token (RFC 6750 section 2.1, `b64token`).
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// Makes foreign text fit to be shown: what looks like a token is taken out, control, bidirectional and format
/// characters are escaped, and a long text is cut.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut safe = String::new();
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let run = rest.find(|c: char| !c.is_ascii() || !is_token_byte(c as u8)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(if run == 0 { first.len_utf8() } else { run });
        if run > 0 && looks_secret(piece) {
            safe.push_str("[redacted]");
        } else if run > 0 {
            safe.push_str(piece);
        } else if is_deceptive(first) {
            // writing to a String cannot fail
            write!(safe, "\\u{{{:x}}}", first as u32).ok();
        } else {
            safe.push(first);
        }
        rest = after;
        if safe.len() > LONGEST {
            safe.push('…');
            break;
        }
    }
    safe
}

/// Escapes control, bidirectional and format characters and leaves all else as it is: for what is shown because somebody
/// asked for it, like the subject of a token.
pub(crate) fn escaped(text: &str) -> String {
    text.chars().map(|c| if is_deceptive(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// Tells whether a text is seen as it is written: nothing in it has to be escaped.
pub(crate) fn is_honest(text: &str) -> bool {
    !text.chars().any(is_deceptive)
}

/// Tells whether a character moves the cursor, changes the direction of writing or cannot be seen.
pub(super) fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_in_foreign_text_are_redacted() {
        let text = shown("token eyJhbGciOiJub25lIn0.e30.c2ln1234 is unknown");
        assert_eq!(text, "token [redacted] is unknown");
        assert_eq!(shown("Offline user session not found"), "Offline user session not found");
        assert_eq!(shown("code=Zm9vYmFyYmF6cXV4MTIzNDU2"), "[redacted]");
    }

    #[test]
    fn control_and_bidirectional_characters_are_escaped() {
        assert_eq!(shown("a\u{1b}[31mb\u{202e}c"), "a\\u{1b}[31mb\\u{202e}c");
        assert_eq!(shown("zwei\nZeilen"), "zwei\\u{a}Zeilen");
        assert_eq!(
            escaped("a\u{202e}b f81d4fae-7dec-11d0-a765-00a0c91e6bf6"),
            "a\\u{202e}b f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
        );
    }

    #[test]
    fn urls_stay_readable() {
        for url in ["https://auth.example.org/realms/main", "https://auth.dev1.example.org/realms/main"] {
            assert_eq!(shown(url), url);
        }
    }

    #[test]
    fn only_printable_ascii_without_spaces_is_usable() {
        let is_usable = |token: &str| is_usable(&Secret::new(token.to_owned()));
        assert!(is_usable("abc$(reboot)'"));
        for token in ["", "a b", "a\nb", "tökén", "a\u{7f}"] {
            assert!(!is_usable(token), "{token:?}");
        }
    }

    #[test]
    fn a_jwt_an_opaque_token_and_a_word_are_told_apart() {
        assert_eq!(classify("eyJhbGciOiJub25lIn0.e30."), Look::Jwt);
        assert_eq!(classify("gho_16C7e42F292c6912E7710c838347Ae178B4a"), Look::Opaque);
        assert_eq!(classify("prod"), Look::Plain);
    }
}
