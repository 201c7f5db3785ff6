//! `stats`: figures about the tokens that live.

use std::fmt::Write as _;

use serde_json::{Map, json};

use super::{Context, Outcome};
use crate::error::Failure;
use crate::ledger::stats::Stats;
use crate::output::Form;

/// Examples of the command.
const EXAMPLES: &str = "Examples:
  tokenkeep stats
  tokenkeep stats --json
  tokenkeep stats --prometheus > /var/lib/node_exporter/tokenkeep.prom
";

/// Show figures about the tokens that live
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Print them in the text format of Prometheus
    #[arg(long, conflicts_with = "json")]
    prometheus: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args, cx: &mut Context) -> Result<Outcome, Failure> {
    let by = cx.by();
    let stats = if let Some(ledger) = cx.present_ledger(&by)? {
        ledger.stats(by.at)?
    } else {
        let notice = cx.no_ledger_yet()?;
        cx.printer.notice(&notice);
        Stats::none()
    };
    if args.prometheus {
        cx.printer.raw(&prometheus(&stats))?;
    } else if cx.printer.form == Form::Json {
        let live: Map<_, _> = stats.live.iter().map(|(kind, count)| (kind.word().to_owned(), json!(count))).collect();
        let mut object = json!({ "live": live });
        for (name, _, value) in gauges(&stats) {
            if let Some(fields) = object.as_object_mut() {
                fields.insert(name.to_owned(), json!(value));
            }
        }
        cx.printer.object(object)?;
    } else {
        let mut facts: Vec<_> = stats.live.iter().map(|(kind, count)| ("live", format!("{count} {kind}"))).collect();
        facts.extend(gauges(&stats).map(|(name, about, value)| (name, format!("{value}  ({about})"))));
        cx.printer.facts(&facts)?;
    }
    Ok(Outcome::Done)
}

/// Names the single figures, and says what each is.
fn gauges(stats: &Stats) -> [(&'static str, &'static str, u64); 6] {
    [
        ("active_session_owners", "owners who have a live session", stats.active_session_owners),
        ("ending_soon", "user, service and session tokens that end within a week", stats.ending_soon),
        ("lapsed_jobs", "jobs whose runner is gone", stats.lapsed_jobs),
        ("history_records", "records of history", stats.records),
        ("denials_last_day", "tokens refused within a day", stats.denials),
        ("ledger_bytes", "bytes of the ledger", stats.bytes),
    ]
}

/// Writes the figures in the text format of Prometheus.
fn prometheus(stats: &Stats) -> String {
    let mut text =
        "# HELP tokenkeep_live_tokens Tokens that are good, by kind\n# TYPE tokenkeep_live_tokens gauge\n".to_owned();
    for (kind, count) in &stats.live {
        // writing to a String cannot fail
        writeln!(text, "tokenkeep_live_tokens{{kind=\"{kind}\"}} {count}").ok();
    }
    for (name, about, value) in gauges(stats) {
        writeln!(text, "# HELP tokenkeep_{name} {about}\n# TYPE tokenkeep_{name} gauge\ntokenkeep_{name} {value}").ok();
    }
    text
}
