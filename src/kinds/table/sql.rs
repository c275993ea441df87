//! `table.sql`

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::query::{self, Name, Names};
use crate::kinds::artefacts::put_table;
use crate::spec::suggest::nearest;
use crate::stage::{
    Bound, Complaint, Facts, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads,
};
use crate::table::{self, Frame};

/// `table.sql`: one SELECT over the tables bound to its ports.
pub struct Sql;

/// Parameters of `table.sql`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The query. Its tables are the input ports.
    pub query: String,
}

const QUERY: &str = "query";

fn read_names(params: &Params) -> Result<Names, Complaint> {
    query::names(&params.query).map_err(|mistake| Complaint {
        message: mistake.message,
        at: Some(QUERY.to_owned()),
        within: mistake.place,
        hint: None,
    })
}

/// A complaint about a name in the query.
fn about(name: &Name, message: String) -> Complaint {
    Complaint { message, at: Some(QUERY.to_owned()), within: name.place.clone(), hint: None }
}

/// Every table of the query is a port, and the other way round.
fn check_tables(names: &Names, ports: &[&str]) -> Result<(), Complaint> {
    let unbound = names.bound().find(|t| !ports.contains(&t.text.as_str()));
    if let Some(table) = unbound {
        let complaint = about(table, format!("there is no input port `{}`", table.text));
        let hint = match nearest(&table.text, ports.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if ports.is_empty() => format!("bind a table with `in: {{ {}: … }}`", table.text),
            None => format!("the ports are `{}`", ports.join("`, `")),
        };
        return Err(complaint.hint(hint));
    }
    for port in ports {
        if !names.bound().any(|t| t.text == *port) {
            let text = format!("the query does not use the port `{port}`");
            return Err(Complaint::port(port, text).hint("leave it out, or name it in FROM or JOIN"));
        }
    }
    Ok(())
}

/// The name that the engine could not find, with the nearest column.
fn locate(names: &Names, tables: &[(String, Frame)], said: &Failure) -> Complaint {
    let columns: Vec<&str> = tables.iter().flat_map(|(_, frame)| frame.names()).collect();
    let ports: Vec<&str> = tables.iter().map(|(name, _)| name.as_str()).collect();
    let unknown = |name: &&Name| {
        !columns.contains(&name.text.as_str())
            && !names.makes(&name.text)
            && !ports.contains(&name.text.as_str())
    };
    let quoted = |name: &&Name| {
        let text = &name.text;
        [format!("'{text}'"), format!("\"{text}\""), format!("`{text}`")]
            .iter()
            .any(|q| said.message.contains(q.as_str()))
    };
    let mut names = names.columns.iter().chain(&names.qualifiers);
    let candidates: Vec<&Name> = names.clone().filter(unknown).collect();
    let missing = candidates.iter().copied().find(quoted).or(candidates.first().copied());
    if let Some(name) = missing {
        let text = format!("there is no column `{}`", name.text);
        return about(name, text).hint(table::column_hint(&name.text, &columns));
    }
    Complaint {
        message: said.message.clone(),
        at: Some(QUERY.to_owned()),
        within: names.find(quoted).and_then(|n| n.place.clone()),
        hint: said.hint.clone(),
    }
}

/// The columns of a bound table that a query may read, at least one so that rows can be counted.
fn columns<'a>(bound: &'a Bound, reads: Option<&BTreeSet<String>>) -> Option<Vec<&'a str>> {
    let (facts, reads) = (bound.facts.table()?, reads?);
    let names = facts.names();
    let mut kept: Vec<&str> = names.iter().copied().filter(|n| reads.contains(*n)).collect();
    if kept.is_empty() {
        kept.extend(names.first());
    }
    Some(kept)
}

impl Kind for Sql {
    type Params = Params;

    const NAME: &'static str = "table.sql";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "\
Runs one SELECT over the tables bound to its input ports, whose names are the names of the tables.

Joins, groups, window functions, common tables (`WITH`) and set operations are there; the dialect is that \
of polars, near PostgreSQL. A query reads its ports and nothing else: functions that read files are \
refused. Columns are checked before anything runs. Where a port gathers a matrix, its cells are stacked \
and the axes are columns.

Only the columns that the query names count as read, so another column may change upstream without \
running it again; `*` reads all.

Without ORDER BY, rows keep the order of the input: groups and distinct rows come in the order of their \
first row, joins in the order of the left table, then the right one. The result is the same on every run \
and for every number of threads.";
    const EXAMPLE: &'static str = "\
summary:
  uses: table.sql
  in: { scores: \"evaluate[*].metrics\" }
  with:
    query: >
      SELECT seed, value AS accuracy FROM scores WHERE metric = 'accuracy' ORDER BY seed
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            any_input: Some(PortType::Table),
            outputs: vec![Port::new("table", PortType::Table, "The result of the query.")],
            ..Ports::default()
        }
    }

    fn reads(params: &Params, context: &InferContext) -> BTreeMap<String, Reads> {
        let Ok(names) = query::names(&params.query) else {
            return BTreeMap::new();
        };
        let reads = names.reads();
        let of = |port: &String| {
            let reads = reads.clone().map_or(Reads::All, Reads::Columns);
            (port.clone(), reads)
        };
        context.inputs.keys().map(of).collect()
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        let names = read_names(params)?;
        let ports: Vec<&str> = context.inputs.keys().map(String::as_str).collect();
        check_tables(&names, &ports)?;
        let mut tables = Vec::new();
        for (port, inputs) in &context.inputs {
            let facts = table::gather_facts(inputs).map_err(|text| Complaint::port(port, text))?;
            let Some(frame) = facts.as_ref().and_then(Frame::empty) else {
                return Ok(Outputs::new());
            };
            tables.push((port.clone(), frame));
        }
        let schema =
            table::sql_schema(&tables, &params.query).map_err(|failure| locate(&names, &tables, &failure))?;
        let mut facts = schema.facts();
        facts.rows = None;
        Ok(Outputs::from([("table".to_owned(), Facts::Table(facts))]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let names = read_names(params).map_err(|c| Failure::new(c.message))?;
        let reads = names.reads();
        let mut tables = Vec::new();
        for (port, bounds) in &io.inputs {
            let kept = bounds.first().and_then(|b| columns(b, reads.as_ref()));
            let frame =
                table::gather(bounds, kept.as_deref()).map_err(|f| f.context(format!("port `{port}`")))?;
            tables.push((port.clone(), frame));
        }
        let frame = table::sql(&tables, &params.query)?;
        io.check_cancelled()?;
        put_table(io, "table", frame)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::testing::{Input, Run, run_tables};
    use crate::stage::{Axes, InputFacts, Stage};
    use crate::table::Tensor;

    fn penguins() -> Frame {
        let mut frame = Frame::new();
        frame.push_i64s("id", vec![1, 2, 3, 4]).unwrap();
        frame.push_strings("species", &["gentoo", "adelie", "gentoo", "chinstrap"]).unwrap();
        frame.push_f64s("mass", vec![5.0, 3.5, 5.5, f64::NAN]).unwrap();
        let values = (0..16).map(|v| v as f32).collect();
        frame.push_tensor_f32("image", Tensor { row_shape: vec![2, 2], values }).unwrap();
        frame
    }

    fn run(query: &str, inputs: &[Input]) -> Result<Run, String> {
        run_tables(&Sql, json!({ "query": query }), inputs)
    }

    fn complaint(query: &str) -> Complaint {
        let facts = Facts::Table(penguins().facts());
        let inputs = vec![InputFacts { facts, axes: Axes::new() }];
        let inputs = BTreeMap::from([("penguins".to_owned(), inputs)]);
        let context = InferContext { inputs, ..InferContext::default() };
        Stage::infer(&Sql, &json!({ "query": query }), &context).unwrap_err()
    }

    #[test]
    fn groups_come_in_the_order_of_their_first_row_and_the_schema_was_known() {
        let query = "SELECT species, COUNT(*) AS n, MAX(id) AS last FROM penguins GROUP BY species";
        let run = run(query, &[("penguins", penguins(), &[])]).unwrap();
        let frame = run.table("table");
        assert_eq!(frame.strings("species").unwrap(), ["gentoo", "adelie", "chinstrap"]);
        assert_eq!(frame.i64s("last").unwrap(), [3, 2, 4]);
        let mut facts = frame.facts();
        facts.rows = None;
        assert_eq!(run.inferred("table"), facts);
    }

    #[test]
    fn tensors_keep_their_shape_under_another_name() {
        let query = "SELECT id, image AS pixels FROM penguins WHERE species = 'gentoo'";
        let run = run(query, &[("penguins", penguins(), &[])]).unwrap();
        let pixels = run.table("table").tensor_f32("pixels").unwrap();
        assert_eq!(pixels.row_shape, [2, 2]);
        assert_eq!(pixels.values, [0., 1., 2., 3., 8., 9., 10., 11.]);
        assert_eq!(run.inferred("table").columns[1].shape, Some(vec![2, 2]));
    }

    #[test]
    fn joins_and_unions_keep_the_order_of_the_left_table() {
        let mut islands = Frame::new();
        islands.push_strings("species", &["adelie", "gentoo", "gentoo"]).unwrap();
        islands.push_strings("island", &["dream", "biscoe", "torgersen"]).unwrap();
        let query = "SELECT id, island FROM penguins JOIN islands USING (species)";
        let inputs = [("penguins", penguins(), &[][..]), ("islands", islands, &[][..])];
        let frame = run(query, &inputs).unwrap().table("table");
        assert_eq!(frame.i64s("id").unwrap(), [1, 1, 2, 3, 3]);
        assert_eq!(frame.strings("island").unwrap(), ["biscoe", "torgersen", "dream", "biscoe", "torgersen"]);
        let query = "SELECT species FROM penguins UNION SELECT species FROM islands";
        let frame = run(query, &inputs).unwrap().table("table");
        assert_eq!(frame.strings("species").unwrap(), ["gentoo", "adelie", "chinstrap"]);
    }

    #[test]
    fn a_gathered_port_is_stacked_with_its_axes() {
        let cell = |value: f64| {
            let mut frame = Frame::new();
            frame.push_f64s("value", vec![value]).unwrap();
            frame
        };
        let axes: Vec<[(&str, Value); 1]> = vec![[("seed", json!(3))], [("seed", json!(4))]];
        let inputs = [("scores", cell(0.5), &axes[0][..]), ("scores", cell(0.75), &axes[1][..])];
        let frame = run("SELECT seed FROM scores WHERE value > 0.6", &inputs).unwrap().table("table");
        assert_eq!(frame.i64s("seed").unwrap(), [4]);
    }

    #[test]
    fn a_wrong_column_has_its_place_and_the_nearest_name() {
        let query = "SELECT species, AVG(mas) AS m FROM penguins GROUP BY species";
        let found = complaint(query);
        assert_eq!(found.message, "there is no column `mas`");
        assert_eq!(found.hint.as_deref(), Some("did you mean `mass`?"));
        assert_eq!(&query[found.within.unwrap()], "mas");
        assert_eq!(found.at.as_deref(), Some("query"));

        let query = "SELECT id FROM penguin";
        let found = complaint(query);
        assert_eq!(found.message, "there is no input port `penguin`");
        assert_eq!(&query[found.within.unwrap()], "penguin");
        assert_eq!(complaint("SELECT 1 AS a").message, "the query does not use the port `penguins`");
        let types = complaint("SELECT species - 1 AS x FROM penguins");
        assert!(types.message.contains("arithmetic"), "{}", types.message);
    }

    #[test]
    fn only_named_columns_are_read() {
        let inputs = BTreeMap::from([("t".to_owned(), Vec::new())]);
        let context = InferContext { inputs, ..InferContext::default() };
        let reads = |query: &str| Stage::reads(&Sql, &json!({ "query": query }), &context)["t"].clone();
        assert_eq!(reads("SELECT a FROM t WHERE b > 1"), Reads::columns(["a", "b"]));
        assert_eq!(reads("SELECT COUNT(*) FROM t"), Reads::columns([""; 0]));
        assert_eq!(reads("SELECT * FROM t"), Reads::All);
        let query = "SELECT COUNT(*) AS n FROM penguins";
        let run = run(query, &[("penguins", penguins(), &[])]).unwrap();
        assert_eq!(run.table("table").i64s("n").unwrap(), [4]);
    }

    #[test]
    fn the_result_is_the_same_on_every_run() {
        let mut frame = Frame::new();
        let count = 50_000_i64;
        frame.push_i64s("k", (0..count).map(|i| (i * 7919) % 997).collect()).unwrap();
        frame.push_f64s("v", (0..count).map(|i| (i as f64).sin()).collect()).unwrap();
        let query = "SELECT a.k, SUM(a.v) AS s, AVG(b.v) AS m FROM t AS a \
                     JOIN (SELECT DISTINCT k, v FROM t WHERE v > 0.999) AS b ON a.k = b.k GROUP BY a.k";
        let bytes = || run(query, &[("t", frame.clone(), &[])]).unwrap().bytes("table");
        let first = bytes();
        for _ in 0..5 {
            assert!(first == bytes(), "the bytes differ between runs");
        }
    }
}
