//! Effects that are there and such that are not.

use serde_json::json;

use super::*;
use crate::kinds::testing::run_tables;

fn units(gap: f64) -> Frame {
    let mut frame = Frame::new();
    let group = |i: usize| if i.is_multiple_of(2) { "face" } else { "object" };
    frame.push_strings("kind", &(0..40).map(group).collect::<Vec<_>>()).unwrap();
    let value = |i: usize| 1.0 + ((i * 7) % 11) as f64 / 11.0 + if i.is_multiple_of(2) { gap } else { 0.0 };
    frame.push_f64s("unit", (0..40).map(value).collect()).unwrap();
    frame
}

#[test]
fn an_effect_that_is_there_is_found_and_its_absence_too() {
    let with = json!({"columns": ["unit"], "group": "kind", "order": ["object", "face"], "draws": 200});
    let tables = [("tables", units(1.0), &[][..]), ("tables", units(0.0), &[][..])];
    let run = run_tables(&Effect, with, &tables).unwrap();
    let effects = run.table("effects");
    assert_eq!(effects.i64s("found").unwrap(), [1, 0]);
    assert!(effects.f64s("p").unwrap()[0] < 0.01);
    for port in ["effects", "draws", "permutations"] {
        assert_eq!(run.inferred(port).columns, run.table(port).facts().columns);
    }
}

/// The p value is what the stored permutations say.
#[test]
fn permutations_are_stored_and_give_the_p_value() {
    let with = json!({"columns": ["unit"], "group": "kind", "order": ["object", "face"], "draws": 50, "size": "difference"});
    let run = run_tables(&Effect, with, &[("tables", units(0.2), &[])]).unwrap();
    let permutations = run.table("permutations");
    let (rows, places) = (permutations.i64s("row").unwrap(), permutations.i64s("position").unwrap());
    let unit = units(0.2).f64s("unit").unwrap();
    let effect = |row_at: &dyn Fn(usize) -> usize| {
        let mean = |group: usize| (0..20).map(|i| unit[row_at(2 * i + group)]).sum::<f64>() / 20.0;
        mean(0) - mean(1)
    };
    let found = effect(&|i| i);
    let more = (0..50).filter(|n| {
        let own = &rows[40 * n..40 * (n + 1)];
        let mut sorted = own.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..40).collect::<Vec<i64>>(), "permutation {n}");
        assert_eq!(places[40 * n..40 * (n + 1)], (0..40).collect::<Vec<i64>>());
        effect(&|i| own[i] as usize) >= found
    });
    let p = (more.count() as f64 + 1.0) / 51.0;
    assert!((run.table("effects").f64s("p").unwrap()[0] - p).abs() < 1e-12);
}

#[test]
fn rows_of_the_groups_that_entered_training_are_named() {
    let with = json!({"columns": ["unit"], "group": "kind", "order": ["object", "face"], "draws": 20});
    let run = |with: &serde_json::Value, trained: Vec<i64>| {
        let mut values = units(1.0);
        values.push_i64s("id", (0..40).collect()).unwrap();
        let mut seen = Frame::new();
        seen.push_i64s("id", trained).unwrap();
        run_tables(&Effect, with.clone(), &[("tables", values, &[]), ("trained", seen, &[])])
    };
    let text = run(&with, vec![7, 50, 3]).err().unwrap();
    assert!(text.contains("2 rows entered training and cannot be scored: 3, 7"), "{text}");
    assert!(run(&with, vec![40, 41]).is_ok());
    let mut named = with;
    named["id"] = json!("row");
    assert!(run(&named, vec![40]).err().unwrap().contains("no column `row`"));
    // Without rows that entered training no id is needed.
    let plain = [("tables", units(1.0), &[][..])];
    assert!(run_tables(&Effect, named, &plain).is_ok());
}

#[test]
fn groups_that_do_not_fit_are_named() {
    let text = |order: &[&str]| {
        let with = json!({"columns": ["unit"], "group": "kind", "order": order});
        run_tables(&Effect, with, &[("tables", units(0.0), &[])]).err().unwrap()
    };
    assert!(text(&["object", "hand"]).contains("group `hand` of `kind` has 0 rows"));
    assert!(text(&["a", "b", "c"]).starts_with("3 groups: two are compared"));
    assert!(text(&["a", "a"]).starts_with("a group stands twice"));
}
