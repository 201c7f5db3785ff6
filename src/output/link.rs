//! Showing a person where to log in: the link, the code, a QR code, and a browser if there is one.

use std::process::Stdio;

use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use url::Url;

use crate::host::{Environment, process};
use crate::profile::is_secure;

/// When a QR code is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Qr {
    /// On a terminal that is wide enough.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Draws a link as a QR code, if it is wanted and there is room for it.
pub(crate) fn qr_code(link: &str, when: Qr, columns: Option<u16>) -> Option<String> {
    if when == Qr::Never {
        return None;
    }
    let code = QrCode::new(link).ok()?;
    let quiet_zone = 8;
    let fits = columns.is_some_and(|columns| usize::from(columns) >= code.width() + quiet_zone);
    if when == Qr::Auto && !fits {
        return None;
    }
    Some(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

/// Opens a link in a browser: https and loopback http alone, as one argument, with no shell.
pub(crate) fn open_browser(link: &str, env: &Environment) -> bool {
    let has_display = cfg!(target_os = "macos") || env.raw("DISPLAY").is_some() || env.raw("WAYLAND_DISPLAY").is_some();
    let Some(url) = Url::parse(link).ok().filter(|url| has_display && is_secure(url)) else { return false };
    open::commands(url.as_str()).into_iter().any(|mut command| {
        command.env_remove("TOKENKEEP_IDENTITY").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        process::start_foreign(&mut command).is_ok()
    })
}
