//! Why a step is not up to date, in words.

use std::collections::BTreeMap;

use super::CliError;
use super::look::{Look, Opened};
use crate::exec::Status;
use crate::key::{Change, Manifest, diff};
use crate::plan::{Plan, Source, Step, StepId};
use crate::stage::Digest;
use crate::store::Moment;

/// Longer values are cut to what differs.
const VALUE: usize = 48;

/// Why a step is not cached.
#[derive(Default)]
pub struct Why {
    /// One sentence each, the most telling first.
    pub reasons: Vec<String>,
    /// The lines of its manifest that differ.
    pub changes: Vec<Change>,
}

/// Why the step is not cached; nothing if it is.
///
/// # Errors
/// If a file that it reads cannot be read.
pub fn why(opened: &Opened, look: &Look, id: StepId) -> Result<Why, CliError> {
    let step = &opened.plan.steps[id];
    let mut out = Why::default();
    if look.seen.status.get(&id) == Some(&Status::Cached) {
        return Ok(out);
    }
    if step.options.cache == Some(false) {
        out.reasons.push("`cache: false`: it runs every time".to_owned());
        return Ok(out);
    }
    let unknown: Vec<&str> =
        step.upstream.iter().filter(|s| look.seen.outputs(**s).is_none()).map(|s| opened.name(*s)).collect();
    if !unknown.is_empty() {
        out.reasons.push(format!("{} first, for the first time", run(&unknown)));
        return Ok(out);
    }
    let resolved = look.resolver.resolve(id, Moment::First, &|s| look.seen.outputs(s))?;
    match (opened.past.key(&step.name), opened.past.record(&step.name)) {
        (_, Some(record)) => {
            let before = Manifest::parse(&record.manifest);
            out.changes = diff(&before, &resolved.manifest);
            out.reasons = words(opened.plan, step, &before, &resolved.manifest, &out.changes);
        }
        (None, None) => out.reasons.push("no earlier result of it is known".to_owned()),
        (Some(key), None) if key == resolved.key => {
            out.reasons.push("its result is not in the store".to_owned());
        }
        (Some(_), None) => {
            out.reasons.push("it changed, and the record to compare with is not in the store".to_owned());
        }
    }
    let open: Vec<&str> =
        step.upstream.iter().filter(|s| !look.seen.cached.contains_key(s)).map(|s| opened.name(*s)).collect();
    if !open.is_empty() {
        let then = if out.reasons.is_empty() { "may change what it reads" } else { "may change more" };
        out.reasons.push(format!("{} first and {then}", run(&open)));
    } else if out.reasons.is_empty() {
        out.reasons.push("its recorded result is missing or damaged".to_owned());
    }
    Ok(out)
}

/// ``` `a` and `b` run ```, at most three names.
fn run(names: &[&str]) -> String {
    const SHOWN: usize = 3;
    let mut shown: Vec<String> = names.iter().take(SHOWN).map(|n| format!("`{n}`")).collect();
    if names.len() > SHOWN {
        shown.push(format!("{} more", names.len() - SHOWN));
    }
    match shown.as_slice() {
        [one] => format!("{one} runs"),
        [first @ .., last] => format!("{} and {last} run", first.join(", ")),
        [] => String::new(),
    }
}

/// The differences of two manifests of `step`, a sentence each.
fn words(plan: &Plan, step: &Step, before: &Manifest, now: &Manifest, changes: &[Change]) -> Vec<String> {
    let mut out = Vec::new();
    let mut files_told = Vec::new();
    for change in changes {
        let field = change.field.as_str();
        if field.starts_with("file.") {
            if !files_told.contains(&field) {
                files_told.push(field);
                out.extend(files(step, field, before, now));
            }
        } else if let Some(rest) = field.strip_prefix("in.") {
            out.push(input(plan, step, rest, change));
        } else {
            out.push(value(change));
        }
    }
    out
}

fn value(change: &Change) -> String {
    let field = &change.field;
    match (&change.before, &change.now) {
        (Some(before), Some(now)) => {
            let (before, now) = focus(before, now);
            format!("{field} {before} → {now}")
        }
        (None, Some(now)) => format!("{field} is new: {}", cut(now)),
        (Some(before), None) => format!("{field} is gone (it was {})", cut(before)),
        (None, None) => field.clone(),
    }
}

fn input(plan: &Plan, step: &Step, rest: &str, change: &Change) -> String {
    let from = origin(plan, step, rest).map_or(String::new(), |from| format!(" (from {from})"));
    let plain = rest.ends_with(".rows") || rest.ends_with(".columns") || rest.contains(".axis.");
    match (&change.before, &change.now) {
        _ if plain => format!("{}{from}", value(change)),
        (Some(_), Some(_)) => format!("{} changed{from}", change.field),
        (None, _) => format!("{} is new{from}", change.field),
        (_, None) => format!("{} is gone", change.field),
    }
}

/// Where the artefact of a manifest's field `in.<rest>` comes from.
fn origin(plan: &Plan, step: &Step, rest: &str) -> Option<String> {
    let fits = |port: &str| rest.strip_prefix(port).filter(|r| r.is_empty() || r.starts_with('.'));
    let (_, bindings, rest) = step
        .inputs
        .iter()
        .filter_map(|(port, bindings)| Some((port.len(), bindings, fits(port)?)))
        .max_by_key(|(len, _, _)| *len)?;
    let index = rest.split('.').nth(1).and_then(|part| part.parse::<usize>().ok());
    let binding = if bindings.len() == 1 { bindings.first() } else { bindings.get(index?) };
    Some(match &binding?.from {
        Source::Step(source, port) => {
            let source = &plan.steps[*source];
            if source.outputs.len() == 1 { source.name.clone() } else { format!("{}.{port}", source.name) }
        }
        Source::File(path) => path.to_string(),
        Source::Url(url, _) => url.clone(),
    })
}

/// Which files of one parameter changed.
fn files(step: &Step, field: &str, before: &Manifest, now: &Manifest) -> Vec<String> {
    let lines = |manifest: &Manifest| {
        let of_field = manifest.lines().iter().filter(|(f, _)| f == field);
        of_field.filter_map(|(_, v)| v.rsplit_once(' ').map(split)).collect::<Vec<_>>()
    };
    let (old, new) = (lines(before), lines(now));
    let binding = step.files.iter().find(|b| field.strip_prefix("file.") == Some(&b.param));
    let path = |at: usize| {
        let found = binding.and_then(|b| b.found.get(at)).map(|f| f.path.to_string());
        found.unwrap_or_else(|| new[at].0.clone())
    };
    let names_matter = binding.is_some_and(|b| b.names_matter);
    let known: BTreeMap<&str, Option<Digest>> = old.iter().map(|(n, d)| (n.as_str(), *d)).collect();
    let mut told = Vec::new();
    for (at, (name, digest)) in new.iter().enumerate() {
        let same = old.iter().any(|(n, d)| d == digest && (n == name || !names_matter));
        if same {
            continue;
        }
        let is_new = names_matter && !known.contains_key(name.as_str());
        told.push(if is_new { format!("{} is new", path(at)) } else { format!("{} changed", path(at)) });
    }
    if names_matter {
        let gone = old.iter().filter(|(name, _)| !new.iter().any(|(n, _)| n == name));
        told.extend(gone.map(|(name, _)| format!("{name} is gone")));
    } else if new.len() < old.len() {
        told.push(format!("{} of {} files are gone", old.len() - new.len(), old.len()));
    }
    if told.is_empty() {
        told.push("the files stand in another order".to_owned());
    }
    const SHOWN: usize = 5;
    let more = told.len().saturating_sub(SHOWN);
    told.truncate(SHOWN);
    let mut out: Vec<String> = told.into_iter().map(|text| format!("{field}: {text}")).collect();
    if more > 0 {
        out.push(format!("{field}: {more} more files changed"));
    }
    out
}

/// Name and digest of a file's line.
fn split((name, digest): (&str, &str)) -> (String, Option<Digest>) {
    (serde_json::from_str(name).unwrap_or_else(|_| name.to_owned()), digest.parse().ok())
}

/// Two long values cut to the place where they differ.
fn focus(before: &str, now: &str) -> (String, String) {
    let (a, b): (Vec<char>, Vec<char>) = (before.chars().collect(), now.chars().collect());
    if a.len() <= VALUE && b.len() <= VALUE {
        return (before.to_owned(), now.to_owned());
    }
    let same = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let start = same.saturating_sub(12);
    let part = |text: &[char]| {
        let end = (start + VALUE).min(text.len());
        let middle: String = text.get(start..end).unwrap_or_default().iter().collect();
        let (head, tail) = (if start > 0 { "…" } else { "" }, if end < text.len() { "…" } else { "" });
        format!("{head}{middle}{tail}")
    };
    (part(&a), part(&b))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(VALUE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_to_what_differs() {
        let base = "x".repeat(200);
        let (before, now) = focus(&format!("{base}old"), &format!("{base}new"));
        assert_eq!((before.as_str(), now.as_str()), ("…xxxxxxxxxxxxold", "…xxxxxxxxxxxxnew"));
        assert_eq!(focus("1", "2"), ("1".to_owned(), "2".to_owned()));
        let shorter = focus(&base, "xx");
        assert!(shorter.1.chars().count() <= VALUE + 2);
    }
}
