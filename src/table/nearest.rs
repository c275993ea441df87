//! The name that was probably meant.

/// The candidate most like `name`, if one is close enough to be a likely slip.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .map(|c| (strsim::normalized_damerau_levenshtein(&wanted, &c.to_lowercase()), c))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, c)| c)
}

/// What to say about a column that is not there: the nearest name, else all names.
pub(crate) fn column_hint(name: &str, columns: &[&str]) -> String {
    match nearest(name, columns.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if columns.is_empty() => "the table has no columns".to_owned(),
        None => {
            let shown: Vec<String> = columns.iter().take(20).map(|c| format!("`{c}`")).collect();
            let more = columns.len().saturating_sub(20);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("the columns are {}{more}", shown.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_none() {
        let columns = ["island", "bill_length", "species"];
        assert_eq!(nearest("specis", columns), Some("species"));
        assert_eq!(nearest("Bill_Length", columns), Some("bill_length"));
        assert_eq!(nearest("zzz", columns), None);
        assert_eq!(column_hint("zzz", &columns), "the columns are `island`, `bill_length`, `species`");
    }
}
