//! What to say about a column that is not there.

use crate::spec::suggest::nearest;

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
    fn a_slip_finds_its_name_and_nonsense_all_names() {
        let columns = ["island", "bill_length", "species"];
        assert_eq!(column_hint("specis", &columns), "did you mean `species`?");
        assert_eq!(column_hint("BILL_LENGTH", &columns), "did you mean `bill_length`?");
        assert_eq!(column_hint("zzz", &columns), "the columns are `island`, `bill_length`, `species`");
    }
}
