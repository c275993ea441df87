//! What differs between two manifests.

use super::Manifest;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The manifest's field: `with.learning_rate`, `in.table.column.label`, `file.path`.
    pub field: String,
    /// The value before; `None` if the field is new.
    pub before: Option<String>,
    /// The value now; `None` if the field is gone.
    pub now: Option<String>,
}

/// The differences between two manifests, field by field, in the order of the newer one.
pub fn diff(before: &Manifest, now: &Manifest) -> Vec<Change> {
    let mut old: Vec<Option<&(String, String)>> = before.lines().iter().map(Some).collect();
    let mut changes = Vec::new();
    let mut unmatched = Vec::new();
    for line in now.lines() {
        match old.iter_mut().find(|slot| slot.is_some_and(|o| o == line)) {
            Some(slot) => *slot = None,
            None => unmatched.push(line),
        }
    }
    for (field, value) in unmatched {
        let slot = old.iter_mut().find(|slot| slot.is_some_and(|(f, _)| f == field));
        let previous = slot.and_then(Option::take).map(|(_, v)| v.clone());
        changes.push(Change { field: field.clone(), before: previous, now: Some(value.clone()) });
    }
    for (field, value) in old.into_iter().flatten() {
        changes.push(Change { field: field.clone(), before: Some(value.clone()), now: None });
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_a_new_and_a_gone_line() {
        let before = Manifest::parse("kind a 1\nwith.x 1\nwith.y 2\n");
        let now = Manifest::parse("kind a 1\nwith.x 3\nwith.z 4\n");
        let shown: Vec<String> = diff(&before, &now)
            .iter()
            .map(|c| format!("{} {:?} {:?}", c.field, c.before.as_deref(), c.now.as_deref()))
            .collect();
        assert_eq!(
            shown,
            [r#"with.x Some("1") Some("3")"#, r#"with.z None Some("4")"#, r#"with.y Some("2") None"#]
        );
        assert!(diff(&now, &now).is_empty());
    }
}
