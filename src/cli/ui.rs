//! The only printer. Messages and progress go to standard error, data to standard output.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{CliError, Exit, Global};
use crate::exec::{Event, Observer};
use crate::plan::{Plan, StepId};

const GREEN: Style = AnsiColor::Green.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// Prints for one command.
pub struct Ui {
    quiet: bool,
    verbose: bool,
    json: bool,
    live: bool,
}

impl Ui {
    /// A printer as the flags ask for.
    pub fn new(global: &Global) -> Self {
        match global.color {
            clap::ColorChoice::Auto => anstream::ColorChoice::Auto.write_global(),
            clap::ColorChoice::Always => anstream::ColorChoice::Always.write_global(),
            clap::ColorChoice::Never => anstream::ColorChoice::Never.write_global(),
        }
        let live = std::io::stderr().is_terminal() && !global.quiet && !global.json;
        Ui { quiet: global.quiet, verbose: global.verbose, json: global.json, live }
    }

    /// Whether JSON is wanted.
    pub fn json(&self) -> bool {
        self.json
    }

    /// A line of data, or several.
    pub fn data(&self, text: &str) {
        let mut out = anstream::stdout().lock();
        // A reader that went away (`| head`) is no error.
        let _ = writeln!(out, "{}", harmless(text));
    }

    /// Lines of data with their columns aligned.
    pub fn grid(&self, rows: &[Vec<String>]) {
        if !rows.is_empty() {
            self.data(&grid(rows));
        }
    }

    /// A value as one line of JSON.
    pub fn data_json(&self, value: &Value) {
        self.data(&value.to_string());
    }

    /// `verb` right-aligned in green, then what it is about.
    pub fn say(&self, verb: &str, text: &str) {
        self.line(GREEN, verb, text);
    }

    /// The same in yellow.
    pub fn warn(&self, verb: &str, text: &str) {
        self.line(YELLOW, verb, text);
    }

    fn line(&self, style: Style, verb: &str, text: &str) {
        if !self.quiet && !self.json {
            let _ = writeln!(anstream::stderr(), "{style}{verb:>12}{style:#} {text}");
        }
    }

    /// Prints an error and says how the process ends. With `--json` each mistake is a line of data, too.
    pub fn error(&self, error: &CliError) -> Exit {
        for mistake in &error.mistakes {
            let _ = writeln!(anstream::stderr(), "{RED}error{RED:#}: {}", harmless(&mistake.text));
            if self.json {
                self.data_json(&mistake.json());
            }
        }
        if error.mistakes.len() > 1 {
            let _ = writeln!(anstream::stderr(), "{} mistakes found; nothing was run", error.mistakes.len());
        }
        error.exit
    }

    /// Shows the run of `plan`.
    pub fn watch<'a>(&'a self, plan: &'a Plan, total: usize) -> Watch<'a> {
        let bars = self.live.then(MultiProgress::new);
        let overall = bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(total as u64));
            if let Ok(style) =
                ProgressStyle::with_template("{prefix:>12.cyan.bold} [{bar:27}] {pos}/{len} steps")
            {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_prefix("Running");
            bar
        });
        Watch { ui: self, plan, bars, overall, running: Mutex::default() }
    }
}

/// Control characters of hostile names and outputs do not reach the terminal.
pub fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// Rows as lines whose columns begin at the same place; the last column is as wide as it likes.
fn grid(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let wide =
        |at: usize| rows.iter().filter_map(|r| r.get(at)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(wide).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// `512 B`, `1.5 kB`, `2.1 GB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// `0.4s`, `12s`, `3m 05s`, `2h 10m`.
pub fn seconds(value: f64) -> String {
    let whole = value as u64;
    match whole {
        0..10 => format!("{value:.2}s"),
        10..60 => format!("{value:.1}s"),
        60..3600 => format!("{}m {:02}s", whole / 60, whole % 60),
        _ => format!("{}h {:02}m", whole / 3600, whole / 60 % 60),
    }
}

/// Shows a run: live lines on a terminal, plain lines elsewhere, events as JSON if asked for.
pub struct Watch<'a> {
    ui: &'a Ui,
    plan: &'a Plan,
    bars: Option<MultiProgress>,
    overall: Option<ProgressBar>,
    running: Mutex<HashMap<StepId, Shown>>,
}

struct Shown {
    bar: Option<ProgressBar>,
    metrics: Vec<(String, f64)>,
    progress: String,
    printed: Instant,
}

/// Without a terminal a running step says how far it is this often.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

impl Watch<'_> {
    /// Takes the live lines away.
    pub fn finish(&self) {
        if let Some(bar) = &self.overall {
            bar.finish_and_clear();
        }
        if let Some(bars) = &self.bars {
            let _ = bars.clear();
        }
    }

    fn print(&self, style: Style, verb: &str, text: &str) {
        if self.ui.quiet || self.ui.json {
            return;
        }
        let line = format!("{style}{verb:>12}{style:#} {}", harmless_line(text));
        match &self.bars {
            Some(bars) => drop(bars.println(line)),
            None => drop(writeln!(anstream::stderr(), "{line}")),
        }
    }

    fn begin(&self, id: StepId) {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner:>12} {msg} {elapsed:.dim}") {
                bar.set_style(style);
            }
            bar.set_message(self.plan.steps[id].name.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let shown = Shown { bar, metrics: Vec::new(), progress: String::new(), printed: Instant::now() };
        self.lock().insert(id, shown);
    }

    fn update(&self, id: StepId, change: impl FnOnce(&mut Shown)) {
        let mut running = self.lock();
        let Some(shown) = running.get_mut(&id) else { return };
        change(shown);
        let metrics: String =
            shown.metrics.iter().map(|(name, value)| format!("  {name} {value:.4}")).collect();
        let text = format!("{}  {}{metrics}", self.plan.steps[id].name, shown.progress);
        match &shown.bar {
            Some(bar) => bar.set_message(text),
            None if shown.printed.elapsed() >= PLAIN_EVERY => {
                shown.printed = Instant::now();
                drop(running);
                self.print(CYAN, "Running", &text);
            }
            None => {}
        }
    }

    fn end(&self, id: StepId) {
        if let Some(bar) = self.lock().remove(&id).and_then(|s| s.bar) {
            bar.finish_and_clear();
        }
        if let Some(bar) = &self.overall {
            bar.inc(1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<StepId, Shown>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn emit(&self, name: &str, id: StepId, mut fields: Value) {
        if self.ui.json {
            fields["event"] = json!(name);
            fields["step"] = json!(self.plan.steps[id].name);
            self.ui.data_json(&fields);
        }
    }

    fn failed(&self, id: StepId, message: &str, hint: Option<&str>, log: &str) {
        self.emit("failed", id, json!({"message": message, "hint": hint}));
        let name = &self.plan.steps[id].name;
        let mut text = format!("{RED}error{RED:#}: stage `{name}` failed: {}", harmless(message));
        if let Some(hint) = hint {
            text.push_str(&format!("\n  hint: {}", harmless(hint)));
        }
        let lines: Vec<&str> = log.lines().collect();
        if !lines.is_empty() {
            let shown = &lines[lines.len().saturating_sub(20)..];
            text.push_str(&format!("\n  {DIM}last lines of its output{DIM:#}"));
            shown.iter().for_each(|line| text.push_str(&format!("\n  | {}", harmless(line))));
            if shown.len() < lines.len() {
                text.push_str(&format!("\n  … {} lines before", lines.len() - shown.len()));
            }
        }
        match &self.bars {
            Some(bars) => drop(bars.println(text)),
            None => drop(writeln!(anstream::stderr(), "{text}")),
        }
    }
}

fn harmless_line(text: &str) -> String {
    harmless(text).replace('\n', " ")
}

impl Observer for Watch<'_> {
    fn event(&self, event: Event) {
        let name = |id: StepId| self.plan.steps[id].name.as_str();
        match event {
            Event::Started(id) => {
                self.emit("started", id, json!({}));
                self.begin(id);
            }
            Event::Advanced { step, unit, done, total } => {
                self.emit("progress", step, json!({"unit": unit, "done": done, "total": total}));
                let progress =
                    total.map_or(format!("{done} {unit}"), |total| format!("{done}/{total} {unit}"));
                self.update(step, |shown| shown.progress = progress);
            }
            Event::Metric { step, name, value } => {
                self.emit("metric", step, json!({"name": name, "value": value}));
                self.update(step, |shown| match shown.metrics.iter_mut().find(|(n, _)| n == name) {
                    Some(slot) => slot.1 = value,
                    None => shown.metrics.push((name.to_owned(), value)),
                });
            }
            Event::Said { step, line } => {
                self.emit("said", step, json!({"line": line}));
                if self.ui.verbose {
                    self.print(DIM, name(step), line);
                }
            }
            Event::Waiting(id, holder) => {
                self.emit("waiting", id, json!({"pid": holder.pid}));
                self.print(YELLOW, "Waiting", &format!("{} is being executed by {holder}", name(id)));
            }
            Event::Cached(id) => {
                self.emit("cached", id, json!({}));
                if self.ui.verbose {
                    self.print(GREEN, "Cached", name(id));
                }
                if let Some(bar) = &self.overall {
                    bar.inc(1);
                }
            }
            Event::Executed { step, seconds: taken, unchanged } => {
                self.emit("executed", step, json!({"seconds": taken, "unchanged": unchanged}));
                let more = if unchanged { ", output unchanged" } else { "" };
                self.end(step);
                self.print(GREEN, "Executed", &format!("{} in {}{more}", name(step), seconds(taken)));
            }
            Event::Damaged { step, what } => {
                self.emit("damaged", step, json!({"what": what}));
                self.print(YELLOW, "Damaged", &format!("{}: {what}; the step runs again", name(step)));
            }
            Event::Retrying { step, attempt, message } => {
                self.emit("retrying", step, json!({"attempt": attempt, "message": message}));
                self.print(YELLOW, "Retrying", &format!("{} (try {attempt}): {message}", name(step)));
            }
            Event::Failed { step, message, hint, log } => {
                self.end(step);
                self.failed(step, message, hint, log);
            }
            Event::Blocked(id) => {
                self.emit("blocked", id, json!({}));
                if self.ui.verbose {
                    self.print(YELLOW, "Blocked", name(id));
                }
            }
            Event::Stopped(id) => {
                self.emit("stopped", id, json!({}));
                self.end(id);
                self.print(YELLOW, "Stopped", name(id));
            }
        }
    }
}
