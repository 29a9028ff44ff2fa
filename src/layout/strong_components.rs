//! Strongly connected components of a graph, by Tarjan's algorithm without recursion.

/// The component of each of `count` nodes. A component's number is larger than those of the
/// components that it has edges to.
pub(crate) fn strongly_connected<'g>(
    count: usize,
    edges: impl Fn(usize) -> &'g [usize],
) -> Vec<u32> {
    const UNSEEN: u32 = u32::MAX;
    let mut order = vec![UNSEEN; count];
    let mut lowest = vec![0; count];
    let mut component = vec![UNSEEN; count];
    let mut open = Vec::new();
    let mut path: Vec<(usize, usize)> = Vec::new();
    let (mut next_order, mut next_component) = (0, 0);
    for root in 0..count {
        if order[root] != UNSEEN {
            continue;
        }
        path.push((root, 0));
        while let Some((node, position)) = path.last_mut() {
            let node = *node;
            if *position == 0 {
                order[node] = next_order;
                lowest[node] = next_order;
                next_order += 1;
                open.push(node);
            }
            if let Some(&target) = edges(node).get(*position) {
                *position += 1;
                if order[target] == UNSEEN {
                    path.push((target, 0));
                } else if component[target] == UNSEEN {
                    lowest[node] = lowest[node].min(order[target]);
                }
                // A second visit of `node` must not look like its first.
                continue;
            }
            path.pop();
            if let Some((parent, _)) = path.last() {
                lowest[*parent] = lowest[*parent].min(lowest[node]);
            }
            if lowest[node] == order[node] {
                loop {
                    let member = open.pop().expect("the node itself is open");
                    component[member] = next_component;
                    if member == node {
                        break;
                    }
                }
                next_component += 1;
            }
        }
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    fn components(edges: &[&[usize]]) -> Vec<u32> {
        strongly_connected(edges.len(), |node| edges[node])
    }

    #[test]
    fn cycles_are_one_component_and_callees_come_first() {
        // 0 → 1 ⇄ 2 → 3, 4 → 4, 0 → 4
        let found = components(&[&[1, 4], &[2], &[1, 3], &[], &[4]]);
        assert_eq!(found[1], found[2]);
        assert!(found[3] < found[2] && found[2] < found[0] && found[4] < found[0]);
        assert_eq!(found.iter().max(), Some(&3));
    }

    #[test]
    fn a_long_chain_does_not_recurse() {
        let edges: Vec<Vec<usize>> = (0..200_000).map(|n| vec![n + 1]).chain([vec![]]).collect();
        let found = strongly_connected(edges.len(), |node| &edges[node]);
        assert!(found.windows(2).all(|pair| pair[0] == pair[1] + 1));
    }

    #[test]
    fn a_node_without_edges_after_a_visited_one() {
        assert_eq!(components(&[&[], &[0], &[0, 1]]), [0, 1, 2]);
    }
}
