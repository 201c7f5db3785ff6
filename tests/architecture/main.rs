//! Holds the source tree to its design: who may use whom, where secrets are opened, and how large things grow.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// The rooms, and which rooms each may use.
const MAY_USE: [(&str, &[&str]); 18] = [
    ("lib", &["cli", "commands", "error", "host", "keeper", "output"]),
    ("main", &[]),
    ("cli", &["commands", "error", "output", "token"]),
    (
        "commands",
        &[
            "backend",
            "error",
            "host",
            "idp",
            "keeper",
            "ledger",
            "migration",
            "output",
            "profile",
            "secret",
            "settings",
            "token",
            "vault",
        ],
    ),
    ("error", &["host", "idp", "keeper", "ledger", "output", "profile", "settings", "token", "vault"]),
    ("output", &["host", "profile", "secret", "token"]),
    ("keeper", &["backend", "host", "idp", "profile", "secret", "token", "vault"]),
    ("vault", &["backend", "host", "profile", "secret", "token"]),
    ("idp", &["host", "profile", "secret", "token"]),
    ("ledger", &["host", "profile", "secret", "token"]),
    ("migration", &["profile", "secret", "token"]),
    ("settings", &["backend", "host", "profile", "token"]),
    ("backend", &["token"]),
    ("profile", &["token"]),
    ("token", &["secret"]),
    ("host", &[]),
    // not in the program: what is fuzzed, and what must hold of it
    ("fuzzing", &["idp", "migration", "output", "profile", "secret", "settings", "token", "vault"]),
    ("secret", &[]),
];

/// Where secrets are opened, and how often at most. A new place is a decision, made here.
const EXPOSES: [(&str, usize); 8] = [
    // an age identity, the client's secret and tokens in a form
    ("idp", 10),
    // the request to the detached child, the spent journal
    ("keeper", 6),
    // the password of another tool's file, to derive its key
    ("migration", 1),
    // what the printer was asked to show, in each of its forms, and a token's file
    ("output", 6),
    // reading the text of tokens and admin keys; making and digesting those of our own
    ("token", 9),
    // sealing, unlocking, slots; what a person types for a plugin of age
    ("vault", 11),
    // the environment of the command that is run
    ("commands/exec/mod.rs", 2),
    ("commands/job_token/run.rs", 1),
];

/// Names that say nothing about what may be inside.
const NAMELESS: [&str; 6] = ["utils", "util", "helpers", "common", "types", "models"];

/// The longest a file may grow, without its tests.
const LONGEST_FILE: usize = 600;

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for item in std::fs::read_dir(folder).unwrap() {
            let path = item.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push((path.clone(), std::fs::read_to_string(path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &mut found);
    found.sort();
    assert!(found.len() > 30, "only {} source files were found", found.len());
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The room of a file: the first part of its path.
fn room_of(path: &Path) -> String {
    let below = path.strip_prefix(root()).unwrap();
    below.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// How deep a file's module lies: `a.rs` and `a/mod.rs` are 1, `a/b.rs` is 2.
fn depth_of(path: &Path) -> usize {
    let below = path.strip_prefix(root()).unwrap();
    below.iter().count() - usize::from(path.ends_with("mod.rs"))
}

/// Collects the rooms that a file's paths lead to, in `use` and in code.
struct Paths {
    depth: usize,
    rooms: BTreeSet<String>,
}

impl Paths {
    fn see(&mut self, segments: &[String]) {
        let supers = segments.iter().take_while(|segment| *segment == "super").count();
        let room = match segments.first().map(String::as_str) {
            Some("crate") => segments.get(1),
            Some("super") if supers >= self.depth => segments.get(supers),
            _ => None,
        };
        self.rooms.extend(room.cloned());
    }

    fn see_tree(&mut self, tree: &syn::UseTree, before: &[String]) {
        match tree {
            syn::UseTree::Path(path) => {
                let segments = [before, &[path.ident.to_string()]].concat();
                self.see_tree(&path.tree, &segments);
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.see_tree(item, before)),
            syn::UseTree::Name(name) => self.see(&[before, &[name.ident.to_string()]].concat()),
            syn::UseTree::Rename(name) => self.see(&[before, &[name.ident.to_string()]].concat()),
            syn::UseTree::Glob(_) => self.see(before),
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.see_tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.see(&path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>());
        syn::visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        // a module of tests inside a file lies one deeper
        self.depth += 1;
        syn::visit::visit_item_mod(self, module);
        self.depth -= 1;
    }
}

#[test]
fn every_room_uses_only_the_rooms_it_may() {
    let may_use: BTreeMap<&str, BTreeSet<&str>> =
        MAY_USE.iter().map(|(room, rooms)| (*room, rooms.iter().copied().collect())).collect();
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for (path, text) in sources() {
        let room = room_of(&path);
        let mut paths = Paths { depth: depth_of(&path), rooms: BTreeSet::new() };
        paths.visit_file(&syn::parse_file(&text).unwrap());
        let allowed = may_use.get(room.as_str()).unwrap_or_else(|| panic!("{room} is no room of the design"));
        for other in paths.rooms.into_iter().filter(|other| may_use.contains_key(other.as_str()) && *other != room) {
            if !allowed.contains(other.as_str()) {
                wrong.push(format!("{}: {room} may not use {other}", path.display()));
            }
            used.insert((room.clone(), other));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(used.contains(&("keeper".to_owned(), "vault".to_owned())), "the test sees no paths: {used:?}");
}

#[test]
fn secrets_are_opened_in_few_places() {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut elsewhere = Vec::new();
    for (path, text) in sources() {
        let code = text.split("#[cfg(test)]").next().unwrap();
        let count = code.matches(".expose()").count() + code.matches("::expose)").count();
        let below = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        if below == "secret.rs" {
            continue;
        }
        match EXPOSES.iter().find(|(place, _)| below.starts_with(place)) {
            Some((place, _)) => *counts.entry(place).or_default() += count,
            None if count > 0 => elsewhere.push(below),
            None => {}
        }
    }
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
    for (place, most) in EXPOSES {
        let count = counts.get(place).copied().unwrap_or(0);
        assert!(count <= most, "{place} opens secrets in {count} places, more than the {most} it may");
    }
}

/// A type of ours: what it derives, and the names of all types in its fields.
struct Type {
    derives: BTreeSet<String>,
    fields: BTreeSet<String>,
}

/// Collects types, and who writes `Debug` by hand.
#[derive(Default)]
struct Types {
    all: BTreeMap<String, Type>,
    debug_by_hand: BTreeSet<String>,
}

/// Collects the names in a type, those of its parameters included.
struct Names(BTreeSet<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        self.0.insert(segment.ident.to_string());
        syn::visit::visit_path_segment(self, segment);
    }
}

impl Types {
    fn see(&mut self, name: &syn::Ident, attributes: &[syn::Attribute], fields: impl IntoIterator<Item = syn::Type>) {
        let mut derives = BTreeSet::new();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
            let paths =
                attribute.parse_args_with(syn::punctuated::Punctuated::<syn::Path, syn::Token![,]>::parse_terminated);
            derives.extend(paths.unwrap().iter().map(|path| path.segments.last().unwrap().ident.to_string()));
        }
        let mut names = Names(BTreeSet::new());
        fields.into_iter().for_each(|field| names.visit_type(&field));
        self.all.insert(name.to_string(), Type { derives, fields: names.0 });
    }

    /// The types that hold a secret, be it deep inside.
    fn holding_secrets(&self) -> BTreeSet<String> {
        let mut holding: BTreeSet<String> = SECRETS.iter().map(|name| (*name).to_owned()).collect();
        loop {
            let more = self.all.iter().filter(|(_, found)| !found.fields.is_disjoint(&holding));
            let more: BTreeSet<String> = more.map(|(name, _)| name.clone()).chain(holding.clone()).collect();
            if more == holding {
                return holding;
            }
            holding = more;
        }
    }
}

impl<'ast> Visit<'ast> for Types {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.see(&item.ident, &item.attrs, item.fields.iter().map(|field| field.ty.clone()));
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        let fields = item.variants.iter().flat_map(|variant| variant.fields.iter().map(|field| field.ty.clone()));
        self.see(&item.ident, &item.attrs, fields);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.see(&item.ident, &[], [item.ty.as_ref().clone()]);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of_debug = item.trait_.as_ref().is_some_and(|(_, path, _)| path.segments.last().unwrap().ident == "Debug");
        if let (true, syn::Type::Path(own)) = (of_debug, item.self_ty.as_ref()) {
            self.debug_by_hand.insert(own.path.segments.last().unwrap().ident.to_string());
        }
    }
}

/// What is redacted by itself.
const SECRETS: [&str; 8] =
    ["Secret", "AccessToken", "RefreshToken", "IdToken", "ClientSecret", "DeviceCode", "Passphrase", "StoredSecret"];

/// What is wiped and not redacted: its `Debug` shows all.
const BARE: [&str; 2] = ["Zeroizing", "Environment"];

#[test]
fn no_type_that_holds_a_secret_shows_it_in_debug() {
    let mut types = Types::default();
    for (_, text) in sources() {
        types.visit_file(&syn::parse_file(&text).unwrap());
    }
    let holding = types.holding_secrets();
    for known in ["TokenSet", "Entry", "Sealer", "Sources", "TokenAnswer", "Grant", "Client", "Handout", "Key"] {
        assert!(holding.contains(known), "the test does not see that {known} holds a secret");
    }
    // derived, it is made of what is redacted
    let by_hand: Vec<&String> = types.debug_by_hand.intersection(&holding).filter(|name| *name != "Secret").collect();
    assert!(by_hand.is_empty(), "{by_hand:?} write Debug by hand");
    let shows = |found: &Type| found.derives.contains("Debug") && BARE.iter().any(|bare| found.fields.contains(*bare));
    let showing: Vec<&String> = types.all.iter().filter(|(_, found)| shows(found)).map(|(name, _)| name).collect();
    assert!(showing.is_empty(), "Debug of {showing:?} shows what is wiped");
}

#[test]
fn no_module_has_a_name_without_a_bound() {
    for (path, _) in sources() {
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(!NAMELESS.contains(&stem.as_str()), "{}", path.display());
    }
}

#[test]
fn no_file_holds_two_concepts() {
    for (path, text) in sources() {
        let lines = text.split("#[cfg(test)]\nmod tests").next().unwrap().lines().count();
        assert!(lines <= LONGEST_FILE, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_file_opens_with_what_it_owns() {
    for (path, text) in sources() {
        assert!(text.starts_with("//! "), "{} does not say what it owns", path.display());
        assert!(!text.starts_with("//! STUB"), "{}", path.display());
    }
}

#[test]
fn no_variant_hides_the_help_of_its_arguments() {
    let is_doc = |attr: &syn::Attribute| attr.path().is_ident("doc");
    let derives_subcommand = |attr: &syn::Attribute| {
        let mut found = false;
        let parsed = attr.parse_nested_meta(|meta| {
            found |= meta.path.segments.last().is_some_and(|last| last.ident == "Subcommand");
            Ok(())
        });
        attr.path().is_ident("derive") && parsed.is_ok() && found
    };
    for (path, text) in sources() {
        let file = syn::parse_file(&text).unwrap();
        let enums =
            file.items.iter().filter_map(|item| if let syn::Item::Enum(item) = item { Some(item) } else { None });
        for variant in enums.filter(|item| item.attrs.iter().any(derives_subcommand)).flat_map(|item| &item.variants) {
            let is_described = variant.attrs.iter().any(is_doc) && !variant.fields.is_empty();
            assert!(!is_described, "{}: describe {} where its arguments are", path.display(), variant.ident);
        }
    }
}
