//! How a stage runs: provider, threads, retries, timeout, condition, tags, resources.

use std::collections::BTreeMap;
use std::time::Duration;

use super::fields::{amount, check_keys, count, entries, flag, text, texts};
use super::{Diagnostic, Node, Yaml};

/// Options of a stage that are not parameters of its kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageOptions {
    /// Execution providers in order of preference.
    pub providers: Option<Vec<String>>,
    /// Threads that the step may use.
    pub threads: Option<u64>,
    /// How often a failed step is tried again.
    pub retries: Option<u64>,
    /// After this time a step is stopped and has failed.
    pub timeout: Option<Duration>,
    /// False: the stage and what depends on it are left out.
    pub when: Option<bool>,
    /// Words to select stages by (`sulcus run @tag`).
    pub tags: Vec<String>,
    /// Amounts taken of named resources while running.
    pub resources: BTreeMap<String, f64>,
    /// False: the result is not kept in the store and the stage runs every time.
    pub cache: Option<bool>,
}

/// The keys read here.
pub const OPTION_KEYS: &[&str] =
    &["provider", "threads", "retries", "timeout", "when", "tags", "resources", "cache"];

impl StageOptions {
    /// Reads the option `key`; other keys are none of this function's business.
    pub(super) fn read(&mut self, key: &str, node: &Node) -> Result<(), Diagnostic> {
        match key {
            "provider" => self.providers = Some(texts(node, "`provider`")?),
            "threads" => self.threads = Some(count(node, "`threads`", 1)?),
            "retries" => self.retries = Some(count(node, "`retries`", 0)?),
            "timeout" => self.timeout = Some(duration(node)?),
            "when" => self.when = Some(condition(node)?),
            "tags" => self.tags.extend(texts(node, "`tags`")?),
            "resources" => {
                for (name, value) in entries(node, "`resources`")? {
                    self.resources
                        .insert(name.name.clone(), amount(value, &format!("resource `{}`", name.name))?);
                }
            }
            "cache" => self.cache = Some(flag(node, "`cache`")?),
            _ => {}
        }
        Ok(())
    }

    /// Fills what is not said here from `defaults`; tags and resources are joined.
    pub(super) fn or(mut self, defaults: &StageOptions) -> Self {
        self.providers = self.providers.or_else(|| defaults.providers.clone());
        self.threads = self.threads.or(defaults.threads);
        self.retries = self.retries.or(defaults.retries);
        self.timeout = self.timeout.or(defaults.timeout);
        self.when = self.when.or(defaults.when);
        self.cache = self.cache.or(defaults.cache);
        self.tags.extend(defaults.tags.iter().cloned());
        for (name, value) in &defaults.resources {
            self.resources.entry(name.clone()).or_insert(*value);
        }
        self
    }
}

/// Reads the `defaults:` block.
pub(super) fn defaults(node: &Node, out: &mut Vec<Diagnostic>) -> StageOptions {
    let mut options = StageOptions::default();
    match entries(node, "`defaults`") {
        Ok(entries) => {
            check_keys(entries, OPTION_KEYS, "`defaults`", out);
            for (key, value) in entries {
                if let Err(diagnostic) = options.read(&key.name, value) {
                    out.push(diagnostic);
                }
            }
        }
        Err(diagnostic) => out.push(diagnostic),
    }
    options
}

/// `90`, `90s`, `15m`, `2h`, `1d`.
fn duration(node: &Node) -> Result<Duration, Diagnostic> {
    let wrong = || {
        let message = format!("`timeout` is a time such as 90s, 15m or 2h, not {}", node.describe());
        Diagnostic::at(node.span, message)
    };
    let seconds = match &node.value {
        Yaml::Int(_) | Yaml::Float(_) => amount(node, "`timeout`")?,
        Yaml::Str(text) => {
            let (number, unit) = text.split_at(text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len()));
            let factor = match unit {
                "" | "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                _ => return Err(wrong()),
            };
            number.trim().parse::<f64>().map_err(|_| wrong())? * factor
        }
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|d| !d.is_zero()).ok_or_else(wrong)
}

/// `true`, `false`, `a == b` or `a != b`, after templates were replaced.
fn condition(node: &Node) -> Result<bool, Diagnostic> {
    if let Yaml::Bool(value) = node.value {
        return Ok(value);
    }
    let written = text(node, "`when`")?;
    let compare = |operator: &str| written.split_once(operator).map(|(a, b)| unquote(a) == unquote(b));
    match (compare("=="), compare("!=")) {
        (Some(equal), None) => Ok(equal),
        (None, Some(equal)) => Ok(!equal),
        _ => Err(Diagnostic::at(
            node.span,
            format!("`when` is true, false, `a == b` or `a != b`, not \"{written}\""),
        )),
    }
}

fn unquote(text: &str) -> &str {
    text.trim().trim_matches(['"', '\''])
}
