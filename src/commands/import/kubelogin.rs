//! `import kubelogin`: the cache of int128's kubelogin, and the kubeconfig that says what it is for.

use std::path::{Path, PathBuf};

use super::{Flags, Source, import, standard_input, unreadable, unreadable_content};
use crate::commands::{Context, Outcome};
use crate::error::{Failure, Kind};
use crate::host::files;
use crate::host::shred::Plaintext;
use crate::migration::kubelogin::{self, KubeUser};
use crate::migration::{Found, LARGEST};

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep import kubelogin --dry-run
  kubectl config view --raw --output json | tokenkeep import kubelogin --kubeconfig -
  tokenkeep import kubelogin ~/.kube/cache/oidc-login/0123... --name cluster --refresh
";

/// Take over the cache of kubelogin (kubectl oidc-login)
///
/// Provider and client are read in the ID token. The client's secret, its scopes and certificates, and the name stand in
/// the kubeconfig alone: hand it over as JSON.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Files of the cache, or its folder [default: $KUBECACHEDIR/oidc-login, or ~/.kube/cache/oidc-login]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A kubeconfig in JSON; `-` is standard input
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// Runs the command.
pub(super) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let users = users(args, cx)?;
    let paths = paths(args, cx, &users)?;
    let vault = cx.open_vault()?;
    let sources = paths.iter().map(|path| source(cx, path, &users)).collect();
    import(cx, &args.flags, &vault, sources)
}

/// Reads the users of the kubeconfig.
fn users(args: &Args, cx: &mut Context) -> Result<Vec<KubeUser>, Failure> {
    let Some(path) = &args.kubeconfig else { return Ok(Vec::new()) };
    let read = |bytes: &[u8]| {
        kubelogin::users(bytes).map_err(|fault| {
            Failure::new(Kind::Usage, format!("cannot read {}", path.display()))
                .because(fault.to_string())
                .hint("let kubectl write it: `kubectl config view --raw --output json`, piped into `--kubeconfig -`")
        })
    };
    if path == Path::new("-") {
        let bytes = standard_input(cx)?;
        return read(&bytes);
    }
    read(Plaintext::read(path, LARGEST).map_err(|fault| unreadable(&fault))?.bytes())
}

/// Returns the files of the cache that are meant.
fn paths(args: &Args, cx: &Context, users: &[KubeUser]) -> Result<Vec<PathBuf>, Failure> {
    let default = default_folder(cx)?;
    let named: Vec<PathBuf> = if args.files.is_empty() {
        default.iter().filter(|folder| folder.is_dir()).cloned().collect()
    } else {
        args.files.clone()
    };
    let mut paths = Vec::new();
    for path in &named {
        if path.is_dir() {
            let names = files::list(path).map_err(|fault| unreadable(&fault))?;
            let cached = names.iter().filter_map(|name| name.to_str()).filter(|name| kubelogin::is_cache_name(name));
            paths.extend(cached.map(|name| path.join(name)));
        } else {
            paths.push(path.clone());
        }
    }
    paths.sort();
    if !paths.is_empty() {
        return Ok(paths);
    }
    let is_in_keyring = users.iter().any(|user| user.is_in_keyring);
    let keyring = "kubelogin keeps its tokens in the OS keyring, which is not read";
    let looked = args.files.first().or(default.as_ref()).map(|folder| folder.display());
    let why = match looked {
        Some(folder) if !is_in_keyring => format!("kubelogin's cache in {folder} holds no tokens"),
        Some(_) | None => keyring.to_owned(),
    };
    Err(Failure::new(Kind::NotFound, why)
        .because("with `--token-cache-storage=keyring` its folder has nothing but locks: the OS keyring has the tokens")
        .hint("name the folder or its files, or log in anew: `tokenkeep generate PROFILE --issuer URL --client-id ID`"))
}

/// Returns the folder that kubelogin uses, be it there or not.
fn default_folder(cx: &Context) -> Result<Option<PathBuf>, Failure> {
    let named = cx.host.env.raw("KUBECACHEDIR").map(PathBuf::from);
    let home = cx.settings()?.folders.home.as_ref().map(|home| home.join(".kube/cache"));
    Ok(named.or(home).map(|cache| cache.join("oidc-login")))
}

/// Reads one file of the cache.
fn source(cx: &mut Context, path: &Path, users: &[KubeUser]) -> Source {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Source::read(cx, path, |shown, bytes| {
        let found = kubelogin::read(&name, bytes).map_err(|fault| unreadable_content(shown, &fault))?;
        Ok(vec![completed(found, users)])
    })
}

/// Adds what the kubeconfig says of a login.
fn completed(found: Found, users: &[KubeUser]) -> Found {
    match users.iter().find(|user| user.is_of(&found)) {
        Some(user) => user.complete(found),
        None => found,
    }
}
