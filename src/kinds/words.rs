//! Names in messages and tables.

use crate::stage::Axes;

/// What a gathered artefact is called: the values of its matrix axes, else its number.
pub(super) fn label(axes: &Axes, index: usize, what: &str) -> String {
    if axes.is_empty() {
        return format!("{what} {}", index + 1);
    }
    let text = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    axes.iter().map(|(_, v)| text(v)).collect::<Vec<_>>().join("/")
}

/// The first of many names in words: `a, b, c and 4 more`.
pub(super) fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
