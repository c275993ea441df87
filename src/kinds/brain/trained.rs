//! Rows that entered training must not be scored: the port `trained` of every kind here that scores rows. What
//! models of the same workflow learned from is bound there by the planner.

use std::collections::HashSet;

use crate::kinds::{columns, words};
use crate::stage::{Complaint, Failure, InferContext, Io, Port, PortType, Role};
use crate::table;

const PORT: &str = "trained";
const ABOUT: &str = "Rows that entered training: none of them may be scored. What `model.train` before this \
stage learned from is bound by itself, if it and the scored rows come from a file in common (a script that commands \
read is one too); an empty list binds none.";
/// What to do where ids do not tell rows.
const NONE: &str = "`trained: []` under `in` scores rows without asking what entered training";

/// The port.
pub(super) fn port() -> Port {
    Port::new(PORT, PortType::Table, ABOUT).optional().many().role(Role::Learned)
}

/// Checks before a run that the tables bound there, and those at the port `scored`, name their rows.
///
/// # Errors
/// If one has no column `id`. Without rows that entered training nothing is asked of `scored`.
pub(super) fn check(context: &InferContext, id: &str, scored: &str) -> Result<(), Complaint> {
    let of = |port: &str| context.inputs.get(port).map(Vec::as_slice).unwrap_or_default();
    if of(PORT).is_empty() {
        return Ok(());
    }
    let tables = of(PORT).iter().chain(of(scored)).filter_map(|input| input.facts.table());
    let named = |complaint: Complaint| Complaint {
        message: format!("{}, and rows that entered training are told by it", complaint.message),
        hint: Some(complaint.hint.map_or(NONE.to_owned(), |hint| format!("{hint}; {NONE}"))),
        ..complaint
    };
    tables.into_iter().try_for_each(|table| columns::exists(table, id, "id").map_err(named))
}

/// Is a table of rows that entered training bound?
pub(super) fn bound(io: &Io) -> bool {
    !io.many(PORT).is_empty()
}

/// Refuses rows that entered training by their `ids`; the column `id` holds those of the tables bound.
///
/// # Errors
/// If one of them did, naming the rows.
pub(super) fn refuse(io: &Io, id: &str, ids: &[String]) -> Result<(), Failure> {
    for bound in io.many(PORT) {
        let seen = table::read(bound, Some(&[id]))?.strings(id)?;
        let seen: HashSet<&String> = seen.iter().collect();
        // A row that stands there for several models is one row.
        let mut named = HashSet::new();
        let leaked = ids.iter().filter(|id| seen.contains(id) && named.insert(*id));
        let leaked: Vec<&str> = leaked.map(String::as_str).collect();
        if !leaked.is_empty() {
            let text = format!(
                "{} rows entered training and cannot be scored: {}",
                leaked.len(),
                words::listed(&leaked)
            );
            return Err(Failure::new(text).hint(format!("score rows of another part of the split; {NONE}")));
        }
    }
    Ok(())
}
