//! JSON with secrets in it: they are written where they belong, and nowhere else do they become text.

use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// A secret and the pointer (RFC 6901) to the null in whose place it stands.
type Placed<'a> = (String, &'a Secret<String>);

/// Writes a value and a line end for people and programs alike, with each secret in its place.
pub(super) fn pretty(value: &Value, secrets: &[Placed<'_>]) -> serde_json::Result<Zeroizing<Vec<u8>>> {
    // large enough for every escape, so that growing leaves no copy behind
    let room: usize = secrets.iter().map(|(_, secret)| 6 * secret.expose().len()).sum();
    let without = if secrets.is_empty() { 0 } else { serde_json::to_string_pretty(value)?.len() };
    let mut text = Zeroizing::new(Vec::with_capacity(without + room + 64));
    serde_json::to_writer_pretty(&mut *text, &Filled { value, pointer: String::new(), secrets })?;
    text.push(b'\n');
    Ok(text)
}

/// A part of a value, and the secrets of the whole.
struct Filled<'a> {
    /// The part.
    value: &'a Value,
    /// Where it is.
    pointer: String,
    /// The secrets.
    secrets: &'a [Placed<'a>],
}

impl Filled<'_> {
    /// Returns a part of this part.
    fn part<'a>(&'a self, name: &impl ToString, value: &'a Value) -> Filled<'a> {
        Filled { value, pointer: format!("{}/{}", self.pointer, name.to_string()), secrets: self.secrets }
    }
}

impl Serialize for Filled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.secrets.is_empty() {
            return self.value.serialize(serializer);
        }
        match self.value {
            Value::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, &self.part(name, value))?;
                }
                map.end()
            }
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for (index, item) in items.iter().enumerate() {
                    list.serialize_element(&self.part(&index, item))?;
                }
                list.end()
            }
            Value::Null => match self.secrets.iter().find(|(pointer, _)| *pointer == self.pointer) {
                Some((_, secret)) => serializer.serialize_str(secret.expose()),
                None => serializer.serialize_unit(),
            },
            Value::Bool(_) | Value::Number(_) | Value::String(_) => self.value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_stand_in_their_places() {
        let secret = Secret::new("a\"\nb".to_owned());
        let value = json!({"token": null, "other": null, "list": [{"text": null}, 1]});
        let text = pretty(&value, &[("/token".to_owned(), &secret), ("/list/0/text".to_owned(), &secret)]).unwrap();
        let read: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(read, json!({"token": "a\"\nb", "other": null, "list": [{"text": "a\"\nb"}, 1]}));
        assert_eq!(pretty(&json!({"a": [1]}), &[]).unwrap().as_slice(), b"{\n  \"a\": [\n    1\n  ]\n}\n");
    }
}
