//! Draws a graph in the terminal: a line for each node, rails at its left for what is still to be read.
//!
//! A node opens a rail at its own place; the rail runs down until the last node that reads it. At a
//! reader the rails of what it reads turn towards it: `├` and `┤` go on, `╰`, `╯` and `┴` end here,
//! `┼` joins and goes on; a rail that is only crossed stays `│`.

use super::dag::Graph;

/// The drawing, a line each.
pub(super) fn draw(graph: &Graph) -> String {
    let mut readers = vec![0usize; graph.nodes.len()];
    graph.upstream.iter().flatten().for_each(|source| readers[*source] += 1);
    // Which node's rail runs in each lane.
    let mut lanes: Vec<Option<usize>> = Vec::new();
    // Lanes in which the line above ended without a rail: a node right below would look joined to it.
    let mut ended: Vec<usize> = Vec::new();
    let mut rows: Vec<(String, Option<usize>)> = Vec::new();
    for (at, upstream) in graph.upstream.iter().enumerate() {
        let mut joins: Vec<Join> = Vec::new();
        for (lane, owner) in lanes.iter().enumerate() {
            if let Some(source) = owner.filter(|source| upstream.contains(source)) {
                readers[source] -= 1;
                joins.push(Join { lane, ends: readers[source] == 0 });
            }
        }
        let own = joins.iter().find(|join| join.ends).map(|join| join.lane);
        let lane = own.unwrap_or_else(|| {
            lanes.iter().position(Option::is_none).unwrap_or_else(|| {
                lanes.push(None);
                lanes.len() - 1
            })
        });
        if own.is_none() && ended.contains(&lane) {
            rows.push((rails(&lanes), None));
        }
        rows.push((line(&lanes, &joins, lane), Some(at)));
        ended.clear();
        for join in joins.iter().filter(|join| join.ends) {
            lanes[join.lane] = None;
        }
        if readers[at] > 0 {
            lanes[lane] = Some(at);
        } else {
            ended.push(lane);
        }
    }
    let width = rows.iter().map(|(rails, _)| rails.chars().count()).max().unwrap_or(0);
    let labels: Vec<String> = graph.nodes.iter().map(super::dag::Node::label).collect();
    let wide = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0).min(40);
    let shown = rows.iter().map(|(rails, node)| match node {
        Some(at) => format!("{rails:width$}  {:wide$}  {}\n", labels[*at], graph.nodes[*at].kind),
        None => format!("{rails}\n"),
    });
    shown.collect()
}

/// A rail that turns towards the node of this line.
struct Join {
    lane: usize,
    ends: bool,
}

fn rails(lanes: &[Option<usize>]) -> String {
    let row: Vec<&str> = lanes.iter().map(|owner| if owner.is_some() { "│" } else { " " }).collect();
    row.join(" ").trim_end().to_owned()
}

fn line(lanes: &[Option<usize>], joins: &[Join], node: usize) -> String {
    let first = joins.iter().map(|j| j.lane).chain([node]).min().unwrap_or(node);
    let last = joins.iter().map(|j| j.lane).chain([node]).max().unwrap_or(node);
    let mut out = String::new();
    for (lane, owner) in lanes.iter().enumerate() {
        let join = joins.iter().find(|join| join.lane == lane);
        let sign = match join {
            _ if lane == node => '●',
            Some(join) if lane == first => {
                if join.ends {
                    '╰'
                } else {
                    '├'
                }
            }
            Some(join) if lane == last => {
                if join.ends {
                    '╯'
                } else {
                    '┤'
                }
            }
            Some(join) => {
                if join.ends {
                    '┴'
                } else {
                    '┼'
                }
            }
            None if owner.is_some() => '│',
            None if first < lane && lane < last => '─',
            None => ' ',
        };
        out.push(sign);
        out.push(if first <= lane && lane < last { '─' } else { ' ' });
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::dag::Node;
    use super::*;

    fn graph(upstream: Vec<Vec<usize>>) -> Graph {
        let node = |at| Node { name: format!("n{at}"), kind: "k", cells: 1 };
        Graph { nodes: (0..upstream.len()).map(node).collect(), upstream }
    }

    /// Follows the rails of a drawing back to edges: from each node up and sideways to the nodes it reads.
    fn edges(drawing: &str) -> Vec<(usize, usize)> {
        let cells: Vec<Vec<char>> = drawing.lines().map(|l| l.chars().collect()).collect();
        let at = |row: usize, column: usize| cells[row].get(column).copied().unwrap_or(' ');
        let names: Vec<Option<usize>> = drawing
            .lines()
            .map(|l| l.split_whitespace().find_map(|w| w.strip_prefix('n')?.parse().ok()))
            .collect();
        let node = |row: usize| names[row].unwrap();
        let up = |mut row: usize, column: usize| loop {
            row = row.checked_sub(1)?;
            match at(row, column) {
                '●' => return Some(node(row)),
                '│' | '├' | '┤' | '┼' => {}
                _ => return None,
            }
        };
        let mut found = Vec::new();
        for (row, signs) in cells.iter().enumerate() {
            let Some(column) = signs.iter().position(|c| *c == '●') else { continue };
            found.extend(up(row, column).map(|from| (from, node(row))));
            for step in [-1isize, 1] {
                let mut place = column;
                loop {
                    let next = place.wrapping_add_signed(step);
                    let sign = if next == usize::MAX { ' ' } else { at(row, next) };
                    match sign {
                        '─' | '│' => {}
                        '├' | '╰' | '┤' | '╯' | '┴' | '┼' => {
                            found.extend(up(row, next).map(|from| (from, node(row))))
                        }
                        _ => break,
                    }
                    // A rail at the edge of the line is not crossed but only passed by.
                    if sign == '│' && at(row, next.wrapping_add_signed(step)) != '─' {
                        break;
                    }
                    place = next;
                }
            }
        }
        found.sort_unstable();
        found
    }

    #[test]
    fn a_diamond_with_a_stranger() {
        let drawing = draw(&graph(vec![vec![], vec![0], vec![0], vec![1, 2], vec![], vec![4]]));
        insta::assert_snapshot!(drawing, @"
        ●    n0  k
        ├─●  n1  k
        ● │  n2  k
        ●─╯  n3  k

        ●    n4  k
        ●    n5  k
        ");
    }

    proptest! {
        #[test]
        fn the_drawing_has_exactly_the_edges(reads in proptest::collection::vec(proptest::collection::vec(0usize..100, 0..4), 1..14)) {
            let upstream: Vec<Vec<usize>> = reads
                .iter()
                .enumerate()
                .map(|(at, sources)| {
                    let mut sources: Vec<usize> = if at == 0 { vec![] } else { sources.iter().map(|s| s % at).collect() };
                    sources.sort_unstable();
                    sources.dedup();
                    sources
                })
                .collect();
            let mut wanted: Vec<(usize, usize)> =
                upstream.iter().enumerate().flat_map(|(to, from)| from.iter().map(move |f| (*f, to))).collect();
            wanted.sort_unstable();
            let drawing = draw(&graph(upstream));
            prop_assert_eq!(edges(&drawing), wanted, "{}", drawing);
        }
    }
}
