//! The first form of an HTML page: where it goes and what it carries. Just enough for the login pages of the
//! providers here; no scripts, no styles.

/// An `<input>` or `<button>` that has a name.
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) kind: String,
}

/// Where a form goes and its named fields, in order.
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) fields: Vec<Field>,
}

impl Form {
    /// Finds the first form of a page that is posted.
    pub(crate) fn find(page: &str) -> Option<Self> {
        let mut tags = Tags(page);
        let action =
            tags.by_ref().find(|tag| tag.is("form") && tag.attribute("method").is_some())?.attribute("action")?;
        let fields = tags
            .take_while(|tag| !tag.is("/form"))
            .filter(|tag| tag.is("input") || tag.is("button"))
            .filter_map(Tag::field)
            .collect();
        Some(Self { action, fields })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }
}

/// What stands between `<` and `>`.
#[derive(Clone, Copy)]
struct Tag<'a>(&'a str);

impl Tag<'_> {
    fn is(self, name: &str) -> bool {
        self.0.split([' ', '\n', '\t', '\r', '/']).next().is_some_and(|first| first.eq_ignore_ascii_case(name))
            || (name.starts_with('/') && self.0.trim().eq_ignore_ascii_case(name))
    }

    fn field(self) -> Option<Field> {
        let kind =
            if self.is("button") { "submit".into() } else { self.attribute("type").unwrap_or_else(|| "text".into()) };
        Some(Field { name: self.attribute("name")?, value: self.attribute("value").unwrap_or_default(), kind })
    }

    /// The value of `name="..."`, entities resolved.
    fn attribute(self, name: &str) -> Option<String> {
        let wanted = format!("{name}=\"");
        self.0.match_indices(&wanted).find_map(|(at, _)| {
            let (before, after) = self.0.split_at(at);
            let starts_a_word = before.ends_with(char::is_whitespace);
            let value = after.get(wanted.len()..)?.split('"').next()?;
            starts_a_word.then(|| resolve(value))
        })
    }
}

/// The tags of a page, one after another.
struct Tags<'a>(&'a str);

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        let (_, rest) = self.0.split_once('<')?;
        let (tag, rest) = rest.split_once('>')?;
        self.0 = rest;
        Some(Tag(tag))
    }
}

/// The entities that the providers' templates write.
fn resolve(text: &str) -> String {
    [
        ("&#x2F;", "/"),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
}
