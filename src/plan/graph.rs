//! The DAG: order and cycles. Iterative throughout: a chain may be 100,000 steps long.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};

use super::StepId;

/// Builds the graph from every step's upstream steps.
pub(super) fn graph(upstream: &[Vec<StepId>]) -> DiGraph<StepId, ()> {
    let edges = upstream.iter().map(Vec::len).sum();
    let mut graph = DiGraph::with_capacity(upstream.len(), edges);
    for id in 0..upstream.len() {
        graph.add_node(id);
    }
    for (id, sources) in upstream.iter().enumerate() {
        for &source in sources {
            graph.add_edge(NodeIndex::new(source), NodeIndex::new(id), ());
        }
    }
    graph
}

/// The steps in an order where each follows those that it reads; among the ready ones in written order.
///
/// # Errors
/// The steps of a cycle, each reading the next, if there is one.
pub(super) fn order(graph: &DiGraph<StepId, ()>) -> Result<Vec<StepId>, Vec<StepId>> {
    let mut waiting: Vec<usize> =
        graph.node_indices().map(|n| graph.neighbors_directed(n, Direction::Incoming).count()).collect();
    let mut ready: BinaryHeap<Reverse<StepId>> =
        waiting.iter().enumerate().filter(|(_, n)| **n == 0).map(|(id, _)| Reverse(id)).collect();
    let mut order = Vec::with_capacity(waiting.len());
    while let Some(Reverse(id)) = ready.pop() {
        order.push(id);
        for next in graph.neighbors_directed(NodeIndex::new(id), Direction::Outgoing) {
            waiting[next.index()] -= 1;
            if waiting[next.index()] == 0 {
                ready.push(Reverse(next.index()));
            }
        }
    }
    if order.len() == waiting.len() { Ok(order) } else { Err(cycle(graph, &waiting)) }
}

/// Every step that still waits has an upstream step that still waits: walking up must close a cycle.
fn cycle(graph: &DiGraph<StepId, ()>, waiting: &[usize]) -> Vec<StepId> {
    let Some(start) = waiting.iter().position(|n| *n > 0) else {
        return Vec::new();
    };
    let mut seen = vec![usize::MAX; waiting.len()];
    let mut path: Vec<StepId> = Vec::new();
    let mut current = start;
    while seen[current] == usize::MAX {
        seen[current] = path.len();
        path.push(current);
        let above = graph
            .neighbors_directed(NodeIndex::new(current), Direction::Incoming)
            .map(NodeIndex::index)
            .find(|id| waiting[*id] > 0);
        match above {
            Some(id) => current = id,
            None => return path,
        }
    }
    path.split_off(seen[current])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_chain_is_ordered_without_recursion() {
        let upstream: Vec<Vec<StepId>> =
            (0..200_000usize).map(|i| i.checked_sub(1).into_iter().collect()).collect();
        assert_eq!(order(&graph(&upstream)).unwrap().len(), 200_000);
    }

    proptest! {
        #[test]
        fn either_an_order_or_a_real_cycle(edges in proptest::collection::vec((0usize..12, 0usize..12), 0..30)) {
            let mut upstream = vec![Vec::new(); 12];
            for (from, to) in edges {
                if !upstream[to].contains(&from) {
                    upstream[to].push(from);
                }
            }
            match order(&graph(&upstream)) {
                Ok(order) => {
                    let at: Vec<usize> = (0..12).map(|id| order.iter().position(|o| *o == id).unwrap()).collect();
                    for (id, sources) in upstream.iter().enumerate() {
                        for source in sources {
                            prop_assert!(at[*source] < at[id]);
                        }
                    }
                }
                Err(cycle) => {
                    for (i, id) in cycle.iter().enumerate() {
                        prop_assert!(upstream[*id].contains(&cycle[(i + 1) % cycle.len()]));
                    }
                }
            }
        }
    }
}
