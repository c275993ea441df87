//! SQL over tables. Which queries are allowed is decided by the caller: this module runs them.

use std::collections::BTreeMap;
use std::sync::Arc;

use polars::prelude::{
    DataFrame, DslPlan, Engine, IntoLazy, JoinOptions, LazyFrame, MaintainOrderJoin, UniqueKeepStrategy,
};
use polars::sql::SQLContext;

use super::failure;
use super::frame::Frame;
use super::guard::guarded_query;
use crate::stage::Failure;

/// Runs a query over named tables. Rows come in an order that depends on the tables and the query
/// alone: groups, joins and distinct rows keep the order of their input.
///
/// # Errors
/// What the engine has against the query.
pub fn sql(tables: &[(String, Frame)], query: &str) -> Result<Frame, Failure> {
    guarded_query(|| {
        let lazy = prepare(tables, query)?;
        let result = lazy.collect_with_engine(Engine::InMemory).map_err(failure)?;
        Frame::adopt(result.unwrap_single(), BTreeMap::new())
    })
}

/// The table of no rows that a query gives over tables with the columns of `tables`.
///
/// # Errors
/// What the engine has against the query.
pub fn sql_schema(tables: &[(String, Frame)], query: &str) -> Result<Frame, Failure> {
    guarded_query(|| {
        let mut lazy = prepare(tables, query)?;
        let schema = lazy.collect_schema().map_err(failure)?;
        // The optimiser checks that operators and functions fit the types.
        lazy.to_alp_optimized().map_err(failure)?;
        Frame::adopt(DataFrame::empty_with_schema(&schema), BTreeMap::new())
    })
}

fn prepare(tables: &[(String, Frame)], query: &str) -> Result<LazyFrame, Failure> {
    let mut context = SQLContext::new();
    for (name, frame) in tables {
        context.register(name, nested(frame)?.lazy());
    }
    let lazy = context.execute(query).map_err(failure)?;
    Ok(LazyFrame::from(ordered(lazy.logical_plan)))
}

/// Tensors as nested lists, so that their shape goes through the query with them.
fn nested(frame: &Frame) -> Result<DataFrame, Failure> {
    let mut columns = Vec::with_capacity(frame.data.width());
    for column in frame.data.columns() {
        match frame.shapes.get(column.name().as_str()) {
            Some(shape) if shape.len() > 1 => {
                columns.push(super::nest::nest(column.as_materialized_series(), shape)?.into());
            }
            _ => columns.push(column.clone()),
        }
    }
    DataFrame::new(frame.rows(), columns).map_err(failure)
}

/// The same plan, keeping the order of rows wherever the engine lets go of it for speed.
fn ordered(plan: DslPlan) -> DslPlan {
    let one = |input: Arc<DslPlan>| Arc::new(ordered(Arc::unwrap_or_clone(input)));
    let all = |inputs: Vec<DslPlan>| inputs.into_iter().map(ordered).collect();
    match plan {
        DslPlan::GroupBy { input, keys, predicates, aggs, maintain_order: _, options, apply } => {
            DslPlan::GroupBy {
                input: one(input),
                keys,
                predicates,
                aggs,
                maintain_order: true,
                options,
                apply,
            }
        }
        DslPlan::Distinct { input, mut options } => {
            options.maintain_order = true;
            if options.keep_strategy == UniqueKeepStrategy::Any {
                options.keep_strategy = UniqueKeepStrategy::First;
            }
            DslPlan::Distinct { input: one(input), options }
        }
        DslPlan::Join { input_left, input_right, left_on, right_on, predicates, options } => {
            let mut options: JoinOptions = Arc::unwrap_or_clone(options);
            options.args.maintain_order = match options.args.maintain_order {
                MaintainOrderJoin::None | MaintainOrderJoin::Left => MaintainOrderJoin::LeftRight,
                MaintainOrderJoin::Right => MaintainOrderJoin::RightLeft,
                kept => kept,
            };
            DslPlan::Join {
                input_left: one(input_left),
                input_right: one(input_right),
                left_on,
                right_on,
                predicates,
                options: Arc::new(options),
            }
        }
        DslPlan::Sort { input, by_column, slice, mut sort_options } => {
            sort_options.maintain_order = true;
            DslPlan::Sort { input: one(input), by_column, slice, sort_options }
        }
        DslPlan::Union { inputs, mut args } => {
            args.maintain_order = true;
            DslPlan::Union { inputs: all(inputs), args }
        }
        DslPlan::Filter { input, predicate } => DslPlan::Filter { input: one(input), predicate },
        DslPlan::Cache { input, id } => DslPlan::Cache { input: one(input), id },
        DslPlan::Select { expr, input, options } => DslPlan::Select { expr, input: one(input), options },
        DslPlan::HStack { input, exprs, options } => DslPlan::HStack { input: one(input), exprs, options },
        DslPlan::Slice { input, offset, len } => DslPlan::Slice { input: one(input), offset, len },
        DslPlan::MapFunction { input, function } => DslPlan::MapFunction { input: one(input), function },
        DslPlan::HConcat { inputs, options } => DslPlan::HConcat { inputs: all(inputs), options },
        DslPlan::ExtContext { input, contexts } => {
            DslPlan::ExtContext { input: one(input), contexts: all(contexts) }
        }
        DslPlan::PipeWithSchema { input, callback } => {
            DslPlan::PipeWithSchema { input: input.iter().cloned().map(ordered).collect(), callback }
        }
        DslPlan::IR { dsl, .. } => ordered(Arc::unwrap_or_clone(dsl)),
        other => other,
    }
}
