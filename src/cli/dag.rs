//! `sulcus dag`: the graph as a drawing, or in words for other programs.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::context::Context;
use super::draw::draw;
use super::ui::Ui;
use super::{CliError, Exit, Global, WorkflowArgs};
use crate::plan::{Plan, StepId, ancestors, select};

/// Arguments of `sulcus dag`.
#[derive(Args, Debug)]
pub struct DagArgs {
    #[command(flatten)]
    workflow: WorkflowArgs,
    /// How to write the graph
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Show every cell of a matrix, not one node for all of them
    #[arg(long)]
    cells: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A drawing for the terminal
    Text,
    /// For Markdown pages and https://mermaid.live
    Mermaid,
    /// For graphviz
    Dot,
    /// Nodes and edges
    Json,
}

/// Stages (or steps) and who reads whom.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    /// For every node those that it reads; each stands before it.
    pub(super) upstream: Vec<Vec<usize>>,
}

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) cells: usize,
}

impl Node {
    /// `train ×3`.
    pub(super) fn label(&self) -> String {
        if self.cells == 1 { self.name.clone() } else { format!("{} ×{}", self.name, self.cells) }
    }
}

/// Runs the command.
pub fn dag(global: &Global, args: &DagArgs, ui: &Ui) -> Result<Exit, CliError> {
    let context = Context::new(global, &args.workflow)?;
    let plan = context.plan()?;
    let steps = ancestors(&plan, &select(&plan, &context.targets)?);
    let collapsed = if args.cells { None } else { by_stage(&plan, &steps) };
    let graph = collapsed.unwrap_or_else(|| by_step(&plan, &steps));
    let format = if ui.json() { Format::Json } else { args.format };
    let text = match format {
        Format::Text => draw(&graph),
        Format::Mermaid => mermaid(&graph),
        Format::Dot => dot(&graph),
        Format::Json => json(&graph),
    };
    ui.data(text.trim_end());
    Ok(Exit::Done)
}

fn by_step(plan: &Plan, steps: &[StepId]) -> Graph {
    let mut place = vec![usize::MAX; plan.steps.len()];
    let mut graph = Graph::default();
    for (at, &id) in steps.iter().enumerate() {
        let step = &plan.steps[id];
        place[id] = at;
        graph.nodes.push(Node { name: step.name.clone(), kind: step.kind.name(), cells: 1 });
        graph.upstream.push(step.upstream.iter().map(|source| place[*source]).collect());
    }
    graph
}

/// One node a stage; `None` if cells of two stages read each other, so that the stages have no order.
fn by_stage(plan: &Plan, steps: &[StepId]) -> Option<Graph> {
    let mut wanted: Vec<usize> = steps.iter().map(|id| plan.steps[*id].stage).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut reads = vec![Vec::new(); plan.workflow.stages.len()];
    let mut cells = vec![0; plan.workflow.stages.len()];
    for &id in steps {
        let step = &plan.steps[id];
        cells[step.stage] += 1;
        for source in step.upstream.iter().map(|source| plan.steps[*source].stage) {
            if !reads[step.stage].contains(&source) {
                reads[step.stage].push(source);
            }
        }
    }
    let mut place = vec![None; reads.len()];
    let mut graph = Graph::default();
    while graph.nodes.len() < wanted.len() {
        let ready =
            |stage: &&usize| place[**stage].is_none() && reads[**stage].iter().all(|s| place[*s].is_some());
        let stage = *wanted.iter().find(ready)?;
        place[stage] = Some(graph.nodes.len());
        let id = steps.iter().find(|id| plan.steps[**id].stage == stage)?;
        let name = plan.workflow.stages[stage].name.name.clone();
        graph.nodes.push(Node { name, kind: plan.steps[*id].kind.name(), cells: cells[stage] });
        graph.upstream.push(reads[stage].iter().filter_map(|source| place[*source]).collect());
    }
    Some(graph)
}

fn edges(graph: &Graph) -> impl Iterator<Item = (usize, usize)> {
    graph.upstream.iter().enumerate().flat_map(|(to, from)| from.iter().map(move |from| (*from, to)))
}

fn mermaid(graph: &Graph) -> String {
    let mut out = "flowchart TD\n".to_owned();
    for (at, node) in graph.nodes.iter().enumerate() {
        out.push_str(&format!("    n{at}[\"{}\"]\n", entities(&node.label())));
    }
    for (from, to) in edges(graph) {
        out.push_str(&format!("    n{from} --> n{to}\n"));
    }
    out
}

/// Mermaid takes everything but letters, digits and harmless signs as an entity.
fn entities(text: &str) -> String {
    let plain =
        |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | '=' | ',' | '[' | ']' | '×');
    text.chars().map(|c| if plain(c) { c.to_string() } else { format!("#{};", c as u32) }).collect()
}

fn dot(graph: &Graph) -> String {
    let mut out = "digraph {\n    node [shape=box]\n".to_owned();
    for (at, node) in graph.nodes.iter().enumerate() {
        let label = node.label().replace('\\', "\\\\").replace('"', "\\\"");
        out.push_str(&format!("    n{at} [label=\"{}\"]\n", label.replace(char::is_control, " ")));
    }
    for (from, to) in edges(graph) {
        out.push_str(&format!("    n{from} -> n{to}\n"));
    }
    out.push_str("}\n");
    out
}

fn json(graph: &Graph) -> String {
    let name = |at: usize| graph.nodes[at].name.as_str();
    let nodes: Vec<_> =
        graph.nodes.iter().map(|n| json!({"name": n.name, "kind": n.kind, "cells": n.cells})).collect();
    let edges: Vec<_> = edges(graph).map(|(from, to)| json!([name(from), name(to)])).collect();
    json!({"nodes": nodes, "edges": edges}).to_string()
}
