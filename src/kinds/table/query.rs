//! What a query names: its tables, its columns and where they stand in the text.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};

use sqlparser::ast::{
    Expr, FunctionArguments, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName, Query, Select,
    SelectFlavor, SelectItem, SetExpr, Statement, TableAlias, TableFactor, Visit, Visitor,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserError, ParserOptions};
use sqlparser::tokenizer::{Location, Span};

/// A mistake in a query, with its place if it has one.
#[derive(Debug, PartialEq)]
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) place: Option<Range<usize>>,
}

/// A name in the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Name {
    pub(super) text: String,
    pub(super) place: Option<Range<usize>>,
}

/// What a query names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Tables read from.
    pub(super) tables: Vec<Name>,
    /// Names that stand for columns: every identifier that could be one.
    pub(super) columns: Vec<Name>,
    /// Names before a dot: of tables as a rule, or of nested columns.
    pub(super) qualifiers: Vec<Name>,
    /// Identifiers that stand alone.
    alone: BTreeSet<String>,
    /// Aliases of columns.
    made: BTreeSet<String>,
    /// Aliases of tables.
    aliases: BTreeSet<String>,
    /// Common tables.
    common: BTreeSet<String>,
    /// True if columns are read that are not named: `*`, `NATURAL JOIN`, `COLUMNS(…)`.
    all: bool,
}

impl Names {
    /// Tables that are not common tables of the query itself.
    pub(super) fn bound(&self) -> impl Iterator<Item = &Name> {
        self.tables.iter().filter(|t| !self.common.contains(&t.text))
    }

    /// Does the query make this name itself?
    pub(super) fn makes(&self, name: &str) -> bool {
        [&self.made, &self.aliases, &self.common].iter().any(|names| names.contains(name))
    }

    /// The names of the columns that can be read, `None` if that may be any column. A table's name
    /// that stands alone is its whole row.
    pub(super) fn reads(&self) -> Option<BTreeSet<String>> {
        let table = |name: &String| {
            let given = self.tables.iter().any(|t| t.text == *name);
            given || self.aliases.contains(name) || self.common.contains(name)
        };
        if self.all || self.alone.iter().any(table) {
            return None;
        }
        let names = self.columns.iter().chain(&self.qualifiers);
        Some(names.map(|n| n.text.clone()).collect())
    }
}

/// Reads a query: exactly one `SELECT`, from named tables.
pub(super) fn names(text: &str) -> Result<Names, Mistake> {
    let options = ParserOptions { trailing_commas: true, ..ParserOptions::default() };
    let parser = Parser::new(&GenericDialect).with_options(options).try_with_sql(text);
    let statements = parser.and_then(|mut parser| parser.parse_statements());
    let statements = statements.map_err(|error| syntax(text, &error))?;
    let [Statement::Query(query)] = statements.as_slice() else {
        let message = match statements.len() {
            1 => "only SELECT is allowed".to_owned(),
            count => format!("one SELECT is needed, there are {count} statements"),
        };
        return Err(Mistake { message, place: None });
    };
    let mut collector = Collector { text, names: Names::default() };
    match query.visit(&mut collector) {
        ControlFlow::Break(mistake) => Err(mistake),
        ControlFlow::Continue(()) => Ok(collector.names),
    }
}

/// The parser ends its messages with the place.
fn syntax(text: &str, error: &ParserError) -> Mistake {
    let said = match error {
        ParserError::TokenizerError(said) | ParserError::ParserError(said) => said.clone(),
        ParserError::RecursionLimitExceeded => "the query is nested too deeply".to_owned(),
    };
    let Some((message, place)) = said.rsplit_once(" at Line: ") else {
        return Mistake { message: said, place: None };
    };
    let place = place.split_once(", Column: ").and_then(|(line, column)| {
        let location = Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? };
        let start = offset(text, location)?;
        let end = text[start..].chars().next().map_or(start, |c| start + c.len_utf8());
        Some(start..end)
    });
    Mistake { message: message.to_owned(), place }
}

/// The byte at a line and a column, both from 1; columns count characters.
fn offset(text: &str, at: Location) -> Option<usize> {
    let line = usize::try_from(at.line).ok()?.checked_sub(1)?;
    let column = usize::try_from(at.column).ok()?.checked_sub(1)?;
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = text.get(start..)?;
    let within = rest.char_indices().nth(column).map_or(rest.len(), |(byte, _)| byte);
    Some(start + within)
}

struct Collector<'a> {
    text: &'a str,
    names: Names,
}

impl Collector<'_> {
    fn name(&self, ident: &Ident) -> Name {
        let span: Span = ident.span;
        let place = offset(self.text, span.start).zip(offset(self.text, span.end));
        Name {
            text: ident.value.clone(),
            // The end lies behind the last character.
            place: place.filter(|(a, b)| a < b).map(|(a, b)| a..b),
        }
    }

    fn refuse(&self, message: impl Into<String>, ident: Option<&Ident>) -> ControlFlow<Mistake> {
        ControlFlow::Break(Mistake { message: message.into(), place: ident.and_then(|i| self.name(i).place) })
    }

    fn alias(&mut self, alias: Option<&TableAlias>) {
        if let Some(alias) = alias {
            self.names.aliases.insert(alias.name.value.clone());
            let columns = alias.columns.iter().map(|c| c.name.value.clone());
            self.names.made.extend(columns);
        }
    }

    fn join_columns(&mut self, constraint: &JoinConstraint) {
        match constraint {
            JoinConstraint::Natural => self.names.all = true,
            JoinConstraint::Using(columns) => {
                for column in columns {
                    let last = column.0.last().and_then(|part| part.as_ident());
                    let found = last.map(|ident| self.name(ident));
                    self.names.columns.extend(found);
                }
            }
            JoinConstraint::On(_) | JoinConstraint::None => {}
        }
    }
}

impl Visitor for Collector<'_> {
    type Break = Mistake;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Mistake> {
        for common in query.with.iter().flat_map(|w| &w.cte_tables) {
            self.names.common.insert(common.alias.name.value.clone());
            self.alias(Some(&common.alias));
        }
        match &*query.body {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                self.refuse("only SELECT is allowed", None)
            }
            SetExpr::Table(_) => self.refuse("write SELECT * FROM …, not TABLE …", None),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Mistake> {
        if select.into.is_some() {
            return self.refuse("SELECT INTO is not allowed: the result is the step's output", None);
        }
        if select.flavor != SelectFlavor::Standard || matches!(select.group_by, GroupByExpr::All(_)) {
            self.names.all = true;
        }
        for item in &select.projection {
            match item {
                SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => self.names.all = true,
                SelectItem::ExprWithAlias { alias, .. } => {
                    self.names.made.insert(alias.value.clone());
                }
                SelectItem::ExprWithAliases { aliases, .. } => {
                    self.names.made.extend(aliases.iter().map(|a| a.value.clone()));
                }
                SelectItem::UnnamedExpr(_) => {}
            }
        }
        for join in select.from.iter().flat_map(|from| &from.joins) {
            if let Some(constraint) = constraint(&join.join_operator) {
                self.join_columns(constraint);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Mistake> {
        match factor {
            TableFactor::Table { name, alias, args, .. } => {
                let ident = name.0.last().and_then(|part| part.as_ident());
                if args.is_some() {
                    let text = format!("`{name}(…)` is not allowed: a query reads its input ports only");
                    return self.refuse(text, ident);
                }
                self.alias(alias.as_ref());
            }
            TableFactor::Derived { alias, .. } | TableFactor::NestedJoin { alias, .. } => {
                self.alias(alias.as_ref());
            }
            TableFactor::UNNEST { alias, .. } => self.alias(alias.as_ref()),
            _ => {
                return self.refuse("this kind of FROM is not supported: name an input port", None);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Mistake> {
        match relation.0.as_slice() {
            [part] => match part.as_ident() {
                Some(ident) => {
                    let name = self.name(ident);
                    self.names.tables.push(name);
                    ControlFlow::Continue(())
                }
                None => self.refuse(format!("`{relation}` is not the name of an input port"), None),
            },
            parts => {
                let first = parts.first().and_then(|part| part.as_ident());
                self.refuse(format!("`{relation}` is not the name of an input port"), first)
            }
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Mistake> {
        match expr {
            Expr::Identifier(ident) => {
                let name = self.name(ident);
                self.names.alone.insert(name.text.clone());
                self.names.columns.push(name);
            }
            Expr::CompoundIdentifier(parts) => {
                let mut parts = parts.iter().map(|ident| self.name(ident)).collect::<Vec<_>>();
                self.names.columns.extend(parts.split_off(1.min(parts.len())));
                self.names.qualifiers.extend(parts);
            }
            Expr::Function(function) => {
                let name = function.name.to_string().to_lowercase();
                if name == "columns" || matches!(function.args, FunctionArguments::Subquery(_)) {
                    self.names.all = true;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn constraint(join: &JoinOperator) -> Option<&JoinConstraint> {
    match join {
        JoinOperator::Join(c)
        | JoinOperator::Inner(c)
        | JoinOperator::Left(c)
        | JoinOperator::LeftOuter(c)
        | JoinOperator::Right(c)
        | JoinOperator::RightOuter(c)
        | JoinOperator::FullOuter(c)
        | JoinOperator::CrossJoin(c)
        | JoinOperator::Semi(c)
        | JoinOperator::LeftSemi(c)
        | JoinOperator::RightSemi(c)
        | JoinOperator::Anti(c)
        | JoinOperator::LeftAnti(c)
        | JoinOperator::RightAnti(c) => Some(c),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(names: &[Name]) -> Vec<&str> {
        names.iter().map(|n| n.text.as_str()).collect()
    }

    #[test]
    fn names_have_places_in_bytes() {
        let query = "SELECT 'ü' AS ü,\n  bill AS b FROM penguins AS p WHERE p.mass > 3";
        let names = names(query).unwrap();
        assert_eq!(texts(&names.tables), ["penguins"]);
        assert_eq!(texts(&names.columns), ["bill", "mass"]);
        assert_eq!(texts(&names.qualifiers), ["p"]);
        for name in names.tables.iter().chain(&names.columns).chain(&names.qualifiers) {
            assert_eq!(&query[name.place.clone().unwrap()], name.text);
        }
        assert!(names.makes("b") && names.makes("p") && !names.makes("bill"));
        let reads: Vec<String> = names.reads().unwrap().into_iter().collect();
        assert_eq!(reads, ["bill", "mass", "p"]);
    }

    #[test]
    fn wildcards_read_all_columns_but_counting_rows_does_not() {
        let all = |query| names(query).unwrap().reads().is_none();
        assert!(all("SELECT * FROM t"));
        assert!(all("SELECT a FROM (SELECT * EXCLUDE b FROM t) AS s"));
        assert!(all("SELECT t.* FROM t"));
        assert!(all("SELECT t FROM t"));
        assert!(all("SELECT s FROM t AS s"));
        assert!(all("SELECT a FROM t NATURAL JOIN u"));
        assert!(!all("SELECT COUNT(*) FROM t"));
        let joined = names("SELECT a FROM t JOIN u USING (k)").unwrap();
        assert_eq!(texts(&joined.columns), ["k", "a"]);
    }

    #[test]
    fn files_and_other_statements_are_refused() {
        let message = |query| names(query).unwrap_err().message;
        for query in [
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT * FROM t, READ_PARQUET('x')",
            "SELECT a FROM t WHERE a IN (SELECT a FROM read_ipc('x'))",
            "WITH c AS (SELECT * FROM read_json('x')) SELECT * FROM c",
        ] {
            assert!(message(query).contains("is not allowed"), "{query}");
        }
        assert_eq!(message("DROP TABLE t"), "only SELECT is allowed");
        assert_eq!(message("CREATE TABLE u AS SELECT 1"), "only SELECT is allowed");
        assert_eq!(message("SELECT 1; SELECT 2"), "one SELECT is needed, there are 2 statements");
        assert_eq!(message(""), "one SELECT is needed, there are 0 statements");
        assert!(message("SELECT a INTO u FROM t").starts_with("SELECT INTO is not allowed"));
        assert!(message("SELECT * FROM s.t").contains("is not the name of an input port"));
    }

    #[test]
    fn a_syntax_error_has_its_place() {
        let query = "SELECT a\nFROM t WHERE (b > 1";
        let mistake = names(query).unwrap_err();
        assert!(mistake.message.starts_with("Expected: )"), "{}", mistake.message);
        let mistake = names("SELECT a\nFROM t WHERE > 1").unwrap_err();
        assert_eq!(mistake.place, Some(22..23), "{}", mistake.message);
    }
}
