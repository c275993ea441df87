//! The nearest known name, for hints.

/// `did you mean `x`?` for the candidate nearest to `name`, if one is near.
pub fn did_you_mean<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, candidates).map(|near| format!("did you mean `{near}`?"))
}

/// The hint for an unknown name: the candidate nearest to it, else the names that there are.
pub fn hint<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    did_you_mean(name, candidates.clone()).unwrap_or_else(|| known(candidates))
}

/// The candidate nearest to `name`, upper and lower case alike, within a third of its length.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).max(1);
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= limit || candidate.ends_with(&format!(".{name}")))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `known: a, b, c`, cut after 12 names.
pub fn known<'a>(candidates: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = candidates.into_iter().collect();
    if names.is_empty() {
        return "there are none".to_owned();
    }
    let shown = names.iter().take(12).copied().collect::<Vec<_>>().join(", ");
    if names.len() > 12 { format!("known: {shown}, …") } else { format!("known: {shown}") }
}
