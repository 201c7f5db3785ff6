//! A person at a browser: opens the link of a device login, logs in, and agrees or refuses, by the provider's own
//! HTML forms.

use url::Url;

use crate::html::{Field, Form};
use crate::http::{Browser, Wire};

/// More pages than any provider here shows.
const PAGES: usize = 6;

/// What the person does when asked whether the client may.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Agree,
    Refuse,
}

/// A user of the provider, as its configuration knows him.
#[derive(Clone, Copy)]
pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) password: &'static str,
}

impl Person {
    /// Follows the link to the last page, or to the question that is answered with no, in a browser session of its own.
    pub(crate) fn visit(&self, wire: &Wire, link: &str, decision: Decision) {
        let browser = Browser::new(wire);
        let mut page = browser.get(Url::parse(link).unwrap());
        for _ in 0..PAGES {
            let Some(form) = Form::find(&page.body) else { return };
            let target = page.url.join(&form.action).unwrap();
            page = browser.post(target, &self.fill(&form, decision));
            if decision == Decision::Refuse && (form.has("confirm") || form.has("cancel")) {
                return;
            }
        }
        panic!("the login did not end: still a form at {}", page.url.path());
    }

    fn fill(&self, form: &Form, decision: Decision) -> Vec<(String, String)> {
        let mut filled: Vec<(String, String)> =
            form.fields.iter().filter_map(|field| Some((field.name.clone(), self.value(field, decision)?))).collect();
        if form.has("confirm") && decision == Decision::Refuse {
            filled.push(("abort".into(), "yes".into()));
        }
        filled
    }

    /// What goes into a field; nothing for a button that is not pressed.
    fn value(&self, field: &Field, decision: Decision) -> Option<String> {
        match (field.kind.as_str(), field.name.as_str()) {
            ("hidden", _) => Some(field.value.clone()),
            ("password", _) => Some(self.password.into()),
            (_, "username" | "login") if field.kind != "submit" => Some(self.name.into()),
            ("text", _) => Some(field.value.clone()),
            ("submit", "accept") if decision == Decision::Agree => Some(String::new()),
            ("submit", "cancel") if decision == Decision::Refuse => Some(String::new()),
            _ => None,
        }
    }
}
