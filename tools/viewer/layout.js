/* Groups of a graph as a tree, and where its visible parts are drawn.
 *
 * A tree item is a group ({path, groups, nodes, parent, open}) or a leaf ({node}); both have x, y (relative to the group around
 * them), w, h. Only what is in open groups is laid out: layers by the longest path, order within a layer by barycentres. */
"use strict";

const CROWD = 300, CHUNK = 100; /* more nodes than CROWD at one level are put into groups of CHUNK */
const GAP_X = 24, GAP_Y = 44, PAD = 14, HEAD = 22, NODE_H = 36;

function newGroup(path, name, parent) {
  return {path, name, parent, groups: [], leaves: [], count: 0, first: Infinity, open: false, depth: parent ? parent.depth + 1 : 0};
}

function splitCrowd(group) {
  if (group.leaves.length <= CROWD) return;
  const all = group.leaves, size = Math.max(CHUNK, Math.ceil(all.length / CROWD * 1.5));
  group.leaves = [];
  for (let i = 0; i < all.length; i += size) {
    const last = Math.min(i + size, all.length), name = `nodes ${all[i].node.index}–${all[last - 1].node.index}`;
    const chunk = newGroup(`${group.path}/ ${name}`, name, group);
    chunk.leaves = all.slice(i, last);
    chunk.first = chunk.leaves[0].first;
    chunk.count = chunk.leaves.length;
    for (const leaf of chunk.leaves) { leaf.parent = chunk; leaf.depth = chunk.depth + 1; }
    group.groups.push(chunk);
    splitCrowd(chunk);
  }
}

/* The tree of a drawn graph: {root, leaves by node index, groups by path}. */
function buildTree(graph) {
  const root = newGroup("", graph.name, null), groups = new Map([["", root]]);
  const groupOf = path => {
    let g = groups.get(path);
    if (g) return g;
    const slash = path.lastIndexOf("/"), parent = groupOf(slash < 0 ? "" : path.slice(0, slash));
    g = newGroup(path, path.slice(slash + 1), parent);
    parent.groups.push(g);
    groups.set(path, g);
    return g;
  };
  const leaves = graph.nodes.map(node => {
    const parent = groupOf(node.group), leaf = {node, parent, first: node.index, depth: parent.depth + 1};
    for (let g = parent; g; g = g.parent) { g.count++; g.first = Math.min(g.first, node.index); }
    return leaf;
  });
  for (const leaf of leaves) { /* a group of one is no group */
    while (leaf.parent.count === 1 && leaf.parent !== root) leaf.parent = leaf.parent.parent;
    leaf.depth = leaf.parent.depth + 1;
  }
  for (const g of [...groups.values()]) {
    if (g.count === 1 && g !== root) { groups.delete(g.path); continue; }
    g.groups = g.groups.filter(x => x.count > 1);
    g.leaves = [];
  }
  for (const leaf of leaves) leaf.parent.leaves.push(leaf);
  for (const g of [...groups.values()]) {
    splitCrowd(g);
    for (const chunk of g.groups) groups.set(chunk.path, chunk);
  }
  root.open = true;
  return {graph, root, leaves, groups};
}

/* What is drawn for a leaf: itself, or the outermost closed group around it. */
function visible(item) {
  let shown = item;
  for (let g = item.parent; g; g = g.parent) if (!g.open) shown = g;
  return shown;
}

/* Edges between the items of each open group, and those that are drawn. */
function liftEdges(tree) {
  const {graph, leaves} = tree, levels = new Map(), drawn = new Map();
  const shown = leaves.map(visible);
  for (let e = 0; e < graph.from.length; e++) {
    let a = shown[graph.from[e]], b = shown[graph.to[e]];
    if (a === b) continue;
    let to = drawn.get(a);
    if (!to) drawn.set(a, to = new Map());
    const edge = to.get(b);
    if (!edge) to.set(b, {from: a, to: b, count: 1, type: graph.edgeTypes[e]});
    else { edge.count++; if (edge.type !== graph.edgeTypes[e]) edge.type = ""; }
    if (edge) continue;
    while (a.depth > b.depth) a = a.parent;
    while (b.depth > a.depth) b = b.parent;
    while (a.parent !== b.parent) { a = a.parent; b = b.parent; }
    if (!levels.has(a.parent)) levels.set(a.parent, []);
    levels.get(a.parent).push([a, b]);
  }
  const edges = [];
  for (const to of drawn.values()) for (const edge of to.values()) edges.push(Object.assign(edge, {fan: to.size}));
  return {levels, edges};
}

/* Items so that edges lead forward, as far as groups that feed each other allow; among those that may come next the earliest. */
function sortItems(items, edges) {
  items.sort((a, b) => a.first - b.first);
  items.forEach((item, i) => { item.order = i; item.waits = 0; item.feeds = []; item.done = false; });
  for (const [a, b] of edges) { a.feeds.push(b); b.waits++; }
  const ready = items.filter(item => !item.waits).reverse(), sorted = [];
  for (let oldest = 0; sorted.length < items.length;) {
    while (items[oldest].done) oldest++;
    const item = ready.pop() || items[oldest];
    if (item.done) continue;
    item.done = true;
    sorted.push(item);
    for (const next of item.feeds) {
      if (--next.waits || next.done) continue;
      let at = ready.length; /* the earliest is last */
      while (at > 0 && ready[at - 1].order < next.order) at--;
      ready.splice(at, 0, next);
    }
  }
  return sorted;
}

/* Layers: one more than the last of those before. Edges back, where groups feed each other, are ignored. */
function assignLayers(unsorted, edges) {
  const items = sortItems(unsorted, edges);
  items.forEach((item, i) => { item.order = i; item.layer = 0; item.before = []; item.after = []; });
  for (const [a, b] of edges) if (a.order < b.order) { a.after.push(b); b.before.push(a); }
  for (const item of items) for (const b of item.before) item.layer = Math.max(item.layer, b.layer + 1);
  for (const item of items) /* sources come close to what reads them */
    if (!item.before.length && item.after.length) item.layer = Math.max(0, Math.min(...item.after.map(x => x.layer)) - 1);
  const layers = [];
  for (const item of items) (layers[item.layer] = layers[item.layer] || []).push(item);
  return layers.filter(x => x);
}

function sortLayers(layers) {
  for (const layer of layers) layer.forEach((item, i) => { item.rank = i - (layer.length - 1) / 2; });
  for (let sweep = 0; sweep < 4; sweep++) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      if (layer.length < 2) continue;
      for (const item of layer) {
        const near = down ? item.before : item.after;
        item.pull = near.length ? near.reduce((sum, x) => sum + x.rank, 0) / near.length : item.rank;
      }
      layer.sort((a, b) => a.pull - b.pull || a.order - b.order);
      layer.forEach((item, i) => { item.rank = i - (layer.length - 1) / 2; });
    }
  }
}

/* x below what is read, as far as neighbours allow; gives the width. */
function placeLayers(layers) {
  let y = HEAD + PAD, min = 0, max = 0;
  for (const layer of layers) {
    let at = -Infinity, shift = 0;
    for (const item of layer) {
      const near = item.before, centre = near.length ? near.reduce((s, x) => s + x.x + x.w / 2, 0) / near.length : 0;
      const wish = centre - item.w / 2;
      item.x = Math.max(wish, at);
      shift += item.x - wish;
      at = item.x + item.w + GAP_X;
    }
    const height = Math.max(...layer.map(item => item.h));
    for (const item of layer) {
      item.x -= shift / layer.length;
      item.y = y + (height - item.h) / 2;
      min = Math.min(min, item.x);
      max = Math.max(max, item.x + item.w);
    }
    y += height + GAP_Y;
  }
  for (const layer of layers) for (const item of layer) item.x += PAD - min;
  return [max - min + 2 * PAD, y - GAP_Y + PAD];
}

const textWidth = s => Math.min(s.length, 34) * 6.4;

function measureLeaf(leaf) {
  const n = leaf.node;
  leaf.w = Math.round(Math.max(84, textWidth(n.op) + 26, textWidth(n.name) + 18));
  leaf.h = NODE_H;
}

function layoutGroup(group, levels) {
  if (!group.open) {
    group.w = Math.round(Math.max(110, textWidth(group.name) * 1.1 + 26));
    group.h = NODE_H + 4;
    return;
  }
  for (const g of group.groups) layoutGroup(g, levels);
  group.leaves.forEach(measureLeaf);
  const layers = assignLayers([...group.groups, ...group.leaves], levels.get(group) || []);
  sortLayers(layers);
  [group.w, group.h] = placeLayers(layers);
  group.w = Math.max(group.w, textWidth(group.name) + 40);
}

/* Absolute places from relative ones. */
function settle(item, x, y) {
  item.ax = x;
  item.ay = y;
  if (item.node || !item.open) return;
  for (const g of item.groups) settle(g, x + g.x, y + g.y);
  for (const l of item.leaves) settle(l, x + l.x, y + l.y);
}

function layoutTree(tree) {
  const {levels, edges} = liftEdges(tree);
  layoutGroup(tree.root, levels);
  settle(tree.root, 0, 0);
  tree.edges = edges;
}
