/* The document as graphs to draw: one shape for graphs of models and functions of plans.
 *
 * A drawn graph has nodes (inputs and outputs of the graph are nodes too) and edges between their indices:
 *     {name, nodes: [{index, op, name, group, origins, types, operands, attributes, facts, use: [node index]}], from, to, types}
 * An operand is {node} or {constant}, with its type. */
"use strict";

const typeText = v => `${v.dtype}[${v.dims.join(", ")}]`;
const lastPart = s => s.slice(Math.max(s.lastIndexOf("/"), s.lastIndexOf(".")) + 1) || s;

class DrawnGraph {
  constructor(name) {
    Object.assign(this, {name, nodes: [], from: [], to: [], edgeTypes: []});
  }

  add(op, name, fields) {
    const node = {index: this.nodes.length, op, name, group: "", origins: [], types: [], operands: [], attributes: {}, facts: [], use: []};
    this.nodes.push(Object.assign(node, fields));
    return node;
  }

  /* `node` reads what `from` computes. */
  link(from, node, type) {
    node.operands.push({node: from, type});
    this.from.push(from);
    this.to.push(node.index);
    this.edgeTypes.push(type);
    this.nodes[from].use.push(node.index);
  }
}

function factTexts(facts) {
  if (!facts) return [];
  if (facts.elements) return [`elements are ${facts.elements.join(", ")}`];
  const texts = facts.element ? [`element at i0, i1, … is ${facts.element}`] : [];
  if (facts.where) texts.push(`${facts.then} where ${facts.where}, ${facts.else} elsewhere`);
  return texts;
}

function graphOfModel(graph, constants) {
  const g = new DrawnGraph(graph.name), producer = new Map();
  const types = graph.values.map(typeText);
  const read = (node, v) => {
    const constant = graph.values[v].constant;
    if (constant !== undefined) node.operands.push({constant: constants.get(constant), type: types[v]});
    else g.link(producer.get(v), node, types[v]);
  };
  for (const port of graph.inputs) {
    const attributes = port.default ? {default: port.default} : {};
    producer.set(port.value, g.add("input", port.name, {types: [types[port.value]], attributes, names: [port.name]}).index);
  }
  graph.nodes.forEach((n, i) => {
    const node = g.add(n.op, n.origins.length ? lastPart(n.origins[0]) : "", {
      group: n.group, origins: n.origins, attributes: n.attributes, types: n.results.map(v => types[v]),
      results: n.results.map(v => "%" + v), names: n.results.map(v => graph.values[v].name || ""),
      facts: n.results.flatMap(v => factTexts(graph.values[v].facts)), number: i,
    });
    for (const v of n.operands) if (v !== null) read(node, v);
    for (const v of n.results) producer.set(v, node.index);
  });
  for (const port of graph.outputs) read(g.add("output", port.name, {types: [types[port.value]], names: [port.name]}), port.value);
  return g;
}

function graphOfFunction(f, constants) {
  const g = new DrawnGraph(f.name), inputs = [], first = f.instructions.length ? f.instructions[0].index : 0;
  for (const port of f.inputs) inputs.push(g.add("input", port.name, {types: [typeText(port.view)], names: [port.name]}).index);
  const read = (node, view) => {
    if (!view) return;
    const type = typeText(view), buffer = f.buffers[view.buffer];
    if (view.constant !== undefined) node.operands.push({constant: constants.get(view.constant), type});
    else if (buffer.kind === "input") g.link(inputs[buffer.index], node, type);
    for (const writer of view.from || []) g.link(inputs.length + writer - first, node, type);
  };
  f.instructions.forEach((n, i) => {
    const results = n.results.filter(v => v);
    const attributes = {instruction: n.index};
    for (const key of ["scalars", "then", "else", "body", "carried"]) if (key in n) attributes[key] = n[key];
    const node = g.add(n.op, n.origins.length ? lastPart(n.origins[0]) : "", {
      group: n.group, origins: n.origins, attributes, types: results.map(typeText), names: [], number: i,
      results: results.map(v => v.offset === "0" ? `buffer ${v.buffer}` : `buffer ${v.buffer} at ${v.offset}`),
    });
    for (const view of n.operands) read(node, view);
  });
  for (const port of f.outputs) read(g.add("output", port.name, {types: [typeText(port.view)], names: [port.name]}), port.view);
  return g;
}

/* The stages that can be shown, each with its graphs, which are built when asked for. */
function readStages(doc) {
  const constants = new Map(doc.constants.map(c => [c.id, c]));
  const stage = (name, note, sources, build) => {
    const graphs = [];
    return {name, note, names: sources.map(s => s.name), sources,
            graph: i => graphs[i] || (graphs[i] = build(sources[i], constants))};
  };
  if (doc.kind === "plan") return [stage("plan", "instructions of the plan", doc.functions, graphOfFunction)];
  const stages = [];
  for (const s of doc.stages) {
    const same = stages.find(x => x.name === s.same_as);
    const note = same ? `${s.purpose}: no change since ${s.same_as}` : s.purpose || "as the model says it";
    stages.push(same ? Object.assign({}, same, {name: s.after, note, same: true}) : stage(s.after, note, s.graphs, graphOfModel));
  }
  return stages;
}
