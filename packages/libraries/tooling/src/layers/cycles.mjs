/** Circles in a directed graph. */

/**
 * Tarjan's strongly connected components, without recursion.
 *
 * @param {Map<string, Iterable<string>>} graph node → the nodes it points to; unknown targets are ignored
 * @returns {string[][]} one circle for each component that has one, as a path: `[a, b, a]`
 */
export function findCycles(graph) {
  const index = new Map();
  const low = new Map();
  const onStack = new Set();
  const stack = [];
  const cycles = [];
  for (const start of graph.keys()) {
    if (index.has(start)) continue;
    const work = [{ node: start, edges: enter(start) }];
    while (work.length > 0) {
      const frame = work[work.length - 1];
      const next = frame.edges.next();
      if (!next.done) {
        const target = next.value;
        if (!graph.has(target)) continue;
        if (!index.has(target)) work.push({ node: target, edges: enter(target) });
        else if (onStack.has(target)) low.set(frame.node, Math.min(low.get(frame.node), index.get(target)));
        continue;
      }
      work.pop();
      const parent = work[work.length - 1];
      if (parent !== undefined) low.set(parent.node, Math.min(low.get(parent.node), low.get(frame.node)));
      if (low.get(frame.node) === index.get(frame.node)) leave(frame.node);
    }
  }
  return cycles;

  function enter(node) {
    index.set(node, index.size);
    low.set(node, index.get(node));
    stack.push(node);
    onStack.add(node);
    return graph.get(node)[Symbol.iterator]();
  }

  function leave(node) {
    const members = stack.splice(stack.indexOf(node));
    for (const member of members) onStack.delete(member);
    const selfish = members.length === 1 && [...graph.get(node)].includes(node);
    if (members.length > 1 || selfish) cycles.push(shortestCircle(graph, new Set(members), members[0]));
  }
}

/** The shortest way from `start` back to itself inside its component. */
function shortestCircle(graph, members, start) {
  const from = new Map();
  const queue = [start];
  for (const node of queue) {
    for (const target of graph.get(node)) {
      if (target === start) {
        const path = [start];
        for (let at = node; at !== start; at = from.get(at)) path.unshift(at);
        return [start, ...path];
      }
      if (members.has(target) && !from.has(target)) {
        from.set(target, node);
        queue.push(target);
      }
    }
  }
  return [start];
}
