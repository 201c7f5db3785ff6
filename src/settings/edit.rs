//! Changes to `config.toml` that keep its comments and order, and replace the file in one step.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

use super::SettingsError;
use crate::host::{files, process};

/// How long a change waits for another one; each takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// A configuration file that is about to be changed.
pub(crate) struct Edit {
    /// The real file, behind any symbolic link.
    path: PathBuf,
    /// Its content with comments and order.
    document: DocumentMut,
    /// The lock of its folder, so that of two changes at once none is lost; none if there is no folder yet.
    _lock: Option<File>,
}

impl Edit {
    /// Opens a configuration file, or begins a new one.
    pub(crate) fn open(path: &Path) -> Result<Self, SettingsError> {
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let lock = lock_folder(&path)?;
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(files::fault("read", &path)(error).into()),
        };
        let document = text.parse().map_err(|error: toml_edit::TomlError| SettingsError::Unchangeable {
            path: path.clone(),
            reason: error.message().to_owned(),
        })?;
        Ok(Self { path, document, _lock: lock })
    }

    /// Sets a key in a table like `profiles.prod`, which is made if it is not there.
    pub(crate) fn set(&mut self, table: &[&str], key: &str, value: impl Into<Value>) -> Result<(), SettingsError> {
        let path = self.path.clone();
        let mut current = self.document.as_table_mut();
        for (depth, name) in table.iter().enumerate() {
            let item = current.entry(name).or_insert_with(|| {
                let mut new = Table::new();
                // `[profiles]` itself is not written when only `[profiles.prod]` has content
                new.set_implicit(depth + 1 < table.len());
                Item::Table(new)
            });
            current = item.as_table_mut().ok_or_else(|| SettingsError::Unchangeable {
                path: path.clone(),
                reason: format!("`{name}` is not written as a [table]"),
            })?;
        }
        match current.get_mut(key) {
            Some(Item::Value(old)) => {
                // a comment behind the old value stays behind the new one
                let decor = old.decor().clone();
                *old = value.into();
                *old.decor_mut() = decor;
            }
            Some(_) | None => {
                current.insert(key, Item::Value(value.into()));
            }
        }
        Ok(())
    }

    /// Removes all keys but these from a table like `profiles.prod`, if it is there.
    pub(crate) fn retain(&mut self, table: &[&str], keys: &[&str]) {
        let mut current: &mut dyn TableLike = self.document.as_table_mut();
        for name in table {
            let Some(inner) = current.get_mut(name).and_then(Item::as_table_like_mut) else { return };
            current = inner;
        }
        let others = current.iter().map(|(key, _)| key.to_owned()).filter(|key| !keys.contains(&key.as_str()));
        for key in others.collect::<Vec<_>>() {
            current.remove(&key);
        }
    }

    /// Removes a table; tells whether it was there. The comment right above it goes, too; what stands above that stays.
    pub(crate) fn remove(&mut self, parent: &str, name: &str) -> bool {
        let before = self.document.to_string();
        let table = self.document.get_mut(parent).and_then(Item::as_table_like_mut);
        let Some(removed) = table.and_then(|table| table.remove(name)) else { return false };
        let above = removed.as_table().and_then(|table| table.decor().prefix()?.as_str()).unwrap_or_default();
        let stays = above.rfind("\n\n").and_then(|end| above.get(..=end)).unwrap_or_default();
        let mut after = self.document.to_string();
        if let Some(at) = before.find(above).filter(|&at| !stays.is_empty() && after.is_char_boundary(at)) {
            after.insert_str(at, stays);
            // what cannot be read any more was put into the wrong place, and then the comment is the smaller loss
            self.document = after.parse().unwrap_or_else(|_| std::mem::take(&mut self.document));
        }
        true
    }

    /// Replaces the file. Its mode stays; a new one is for its owner alone.
    pub(crate) fn save(self) -> Result<(), SettingsError> {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&self.path).map_or(0o600, |found| found.permissions().mode() & 0o777);
        self.make_folder()?;
        Ok(files::replace(&self.path, self.document.to_string().as_bytes(), mode)?)
    }

    /// Proves that the file could be replaced, for who must know before doing what the change is to record.
    pub(crate) fn rehearse(self) -> Result<(), SettingsError> {
        self.make_folder()?;
        Ok(files::rehearse(&self.path)?)
    }

    /// Makes the folder of the file if there is none.
    fn make_folder(&self) -> Result<(), SettingsError> {
        match self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => Ok(files::make_folder(folder)?),
            None => Ok(()),
        }
    }
}

/// Takes the lock of a file's folder. The file itself is replaced, so it cannot hold one.
fn lock_folder(path: &Path) -> Result<Option<File>, SettingsError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(file) = File::open(folder) else { return Ok(None) };
    match process::lock_within(file, PATIENCE).map_err(files::fault("lock", folder))? {
        Some(locked) => Ok(Some(locked.file)),
        None => Err(files::fault("lock", folder)(io::Error::from(io::ErrorKind::TimedOut)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes a text as if it stood in a file.
    fn changed(text: &str, change: impl FnOnce(&mut Edit)) -> String {
        let mut edit = Edit { path: PathBuf::new(), document: text.parse().unwrap(), _lock: None };
        change(&mut edit);
        edit.document.to_string()
    }

    const FILE: &str = "# mine\n\n# the first\n[profiles.a]\nissuer = \"x\" # why\n\n[profiles.b]\nissuer = \"y\"\n";

    #[test]
    fn a_changed_value_keeps_the_comments_around_it() {
        let text = changed(FILE, |edit| edit.set(&["profiles", "a"], "issuer", "z").unwrap());
        assert_eq!(text, FILE.replace("\"x\"", "\"z\""));
    }

    #[test]
    fn a_removed_table_takes_only_its_own_comment_along() {
        let text = changed(FILE, |edit| assert!(edit.remove("profiles", "a")));
        assert_eq!(text, "# mine\n\n[profiles.b]\nissuer = \"y\"\n");
        let text = changed(FILE, |edit| assert!(edit.remove("profiles", "b")));
        assert_eq!(text, "# mine\n\n# the first\n[profiles.a]\nissuer = \"x\" # why\n");
        assert_eq!(changed(FILE, |edit| assert!(!edit.remove("profiles", "c"))), FILE);
    }

    #[test]
    fn only_named_keys_are_retained() {
        let text = "[profiles.a]\nissuer = \"x\"\nvar = \"V\" # why\n[profiles.a.groups]\ng = []\n";
        let text = changed(text, |edit| edit.retain(&["profiles", "a"], &["issuer"]));
        assert_eq!(text, "[profiles.a]\nissuer = \"x\"\n");
    }
}
