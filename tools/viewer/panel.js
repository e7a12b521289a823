/* The panel at the side: a node, a group, the results of a search, or an overview. Names come from models, which may say anything:
 * they only ever become text nodes. */
"use strict";

function element(tag, properties, ...children) {
  const e = document.createElement(tag);
  Object.assign(e, properties);
  e.append(...children);
  return e;
}

const MOST = 200; /* entries of a list */

const heading = text => element("h3", {}, text);
const row = (...cells) => element("tr", {}, ...cells.map(x => element("td", {className: typeof x === "number" ? "n" : ""}, x)));

function list(items, make) {
  const ul = element("ul", {}, ...items.slice(0, MOST).map(x => element("li", {}, ...[make(x)].flat())));
  if (items.length > MOST) ul.append(element("li", {className: "dim"}, `and ${items.length - MOST} more`));
  return ul;
}

function bytesText(n) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  for (; n >= 1024 && i < 4; i++) n /= 1024;
  return `${i ? n.toFixed(n < 10 ? 2 : 1) : n} ${units[i]}`;
}

function nodeLink(pane, index) {
  const n = pane.tree.graph.nodes[index];
  return element("a", {onclick: () => pane.select(index, true)}, n.name ? `${n.op} ${n.name}` : n.op);
}

const typeSpan = type => element("span", {className: "type"}, " " + type);

function constantText(c) {
  const figures = [bytesText(c.bytes)];
  if ("min" in c) figures.push(`${c.min} … ${c.max}`);
  if ("mean" in c) figures.push(`mean ${c.mean}`);
  if (c.nans) figures.push(`${c.nans} NaN`);
  if (c.first && c.first.length) figures.push(`first ${c.first.slice(0, 4).join(", ")}`);
  if (c.layout === "panels16") figures.push("packed");
  if (c.layout === "records8") figures.push("packed in 8 bits");
  if (c.layout === "records4") figures.push("packed in 4 bits");
  if (c.hash) figures.push(`#${c.hash}`);
  return figures.join("; ");
}

const attributeText = v => Array.isArray(v) ? `[${v.join(", ")}]` : String(v);

function nodePanel(app, pane, index) {
  const n = pane.tree.graph.nodes[index], parts = [element("h2", {}, n.op)];
  if (n.name) parts.push(element("div", {}, n.name));
  const time = app.timeOf(n);
  if (time) parts.push(element("div", {className: "dim"}, `${time.us.toFixed(1)} µs, ${(100 * time.us / app.totalTime).toFixed(1)} % of the run`));
  if (n.types.length) parts.push(heading("Results"), list(n.types, t => {
    const i = n.types.indexOf(t);
    return [n.results ? n.results[i] : "", typeSpan(t)];
  }));
  if (n.operands.length) parts.push(heading("Operands, producers"), list(n.operands, o => o.constant
    ? [element("span", {}, o.constant.name || "constant"), typeSpan(o.type), element("div", {className: "dim"}, constantText(o.constant))]
    : [nodeLink(pane, o.node), typeSpan(o.type)]));
  if (n.use.length) parts.push(heading("Consumers"), list([...new Set(n.use)], i => nodeLink(pane, i)));
  const attributes = Object.entries(n.attributes);
  if (attributes.length) parts.push(heading("Attributes"), element("table", {}, ...attributes.map(([k, v]) => row(k, attributeText(v)))));
  if (n.facts.length) parts.push(heading("Known of it"), list(n.facts, f => f));
  if (n.origins.length) parts.push(heading("Origin"), list(n.origins, o => o));
  if (n.group) parts.push(heading("Part of"), element("div", {}, n.group));
  return parts;
}

/* How often each operator occurs, in the panes side by side. */
function countTable(app, graphs) {
  const counts = new Map();
  graphs.forEach((nodes, i) => nodes.forEach(n => {
    if (!counts.has(n.op)) counts.set(n.op, graphs.map(() => 0));
    counts.get(n.op)[i]++;
  }));
  const rows = [...counts].sort((a, b) => Math.max(...b[1]) - Math.max(...a[1]));
  return element("table", {}, ...rows.map(([op, n]) => row(element("a", {onclick: () => app.search(op)}, op), ...n)));
}

function groupPanel(app, pane, group) {
  const nodes = [];
  const collect = g => { g.leaves.forEach(l => nodes.push(l.node)); g.groups.forEach(collect); };
  collect(group);
  return [element("h2", {}, group.name), element("div", {className: "dim"}, `${group.path}: ${group.count} nodes`), heading("Operators"),
          countTable(app, [nodes])];
}

function overviewPanel(app) {
  const doc = app.doc, parts = [heading("Model")];
  parts.push(element("table", {}, ...Object.entries(doc.metadata).map(([k, v]) => row(k, v)),
    row("constants", `${doc.constants.length}, ${bytesText(doc.constants.reduce((s, c) => s + Number(c.bytes), 0))}`)));
  if (doc.symbols.length) parts.push(heading("Lengths"), list(doc.symbols, s => `${s.name}: ${s.min} … ${"max" in s ? s.max : "∞"}`));
  const requirements = doc.requirements || doc.functions.flatMap(f => f.requirements.map(r => `${r.text} (${r.origin})`));
  if (requirements.length) parts.push(heading("Requirements"), list(requirements, r => r));
  if (app.profile.size) parts.push(heading("Slowest instructions"), app.slowest());
  const stages = app.panes.map(p => app.stages[p.stage].name).join(" | ");
  parts.push(heading(`Operators: ${stages}`), countTable(app, app.panes.map(p => p.tree.graph.nodes)));
  parts.push(element("p", {className: "dim"}, "Click a group to open it and its head to close it; drag to move, turn the wheel to zoom. "
    + "Keys: / search, f fit, c compare, Escape back here."));
  return parts;
}

/* Nodes whose operator, names, origins, types or group have all words of the query. */
function findNodes(graph, query) {
  const words = query.toLowerCase().split(/\s+/).filter(w => w);
  if (!words.length) return [];
  return graph.nodes.filter(n => {
    const constants = n.operands.flatMap(o => o.constant ? [o.constant.name || "", o.type] : []);
    const text = [n.op, n.name, n.group, ...n.origins, ...n.types, ...(n.names || []), ...(n.results || []), ...constants].join("\n").toLowerCase();
    return words.every(w => text.includes(w));
  });
}

function searchPanel(pane, query, found) {
  return [element("h2", {}, `${found.length} found`), element("div", {className: "dim"}, query),
          list(found, n => [nodeLink(pane, n.index), element("span", {className: "dim"}, " " + n.group), ...n.types.slice(0, 1).map(typeSpan)])];
}
