/* A canvas that shows one graph of one stage: drawing, panning, zooming, clicking. */
"use strict";

const FONT = "12px system-ui, sans-serif";
const HUES = {input: 140, output: 140, matmul: 215, linear: 215, gemm: 215, qkv: 215, conv: 225, attention: 285, softmax: 300, layer_norm: 30,
              add_norm: 30, norm: 30, map: 175, gather: 55, view: 0, transpose: 0, copy: 0};

function hueOf(op) {
  if (op in HUES) return HUES[op];
  let h = 7;
  for (let i = 0; i < op.length; i++) h = (h * 31 + op.charCodeAt(i)) % 360;
  return h;
}
const colourOf = (op, light) => `hsl(${hueOf(op)} ${op === "view" || op === "copy" ? 8 : 55}% ${light}%)`;

/* Text cut to a width. */
function fit(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let n = Math.max(1, Math.floor(text.length * width / context.measureText(text).width) - 1);
  while (n > 1 && context.measureText(text.slice(0, n) + "…").width > width) n--;
  return text.slice(0, n) + "…";
}

class Pane {
  constructor(app, stage) {
    this.app = app;
    this.canvas = element("canvas", {tabIndex: 0});
    this.context = this.canvas.getContext("2d");
    this.stageList = element("select", {title: "stage", onchange: () => this.show(+this.stageList.value, this.graphIndex)});
    this.graphList = element("select", {title: "graph", onchange: () => this.show(this.stage, +this.graphList.value)});
    this.note = element("span", {});
    this.box = element("div", {className: "pane"}, element("div", {className: "bar"}, this.stageList, this.graphList, this.note), this.canvas);
    app.stages.forEach((s, i) => this.stageList.append(element("option", {value: i}, s.same ? `${s.name} (no change)` : s.name)));
    this.view = {x: 0, y: 0, k: 1};
    this.marked = new Set();
    this.listen();
    this.stage = stage;
  }

  /* --- what is shown --- */

  show(stage, graph) {
    const s = this.app.stages[stage];
    const changed = !this.tree || s.sources !== this.app.stages[this.stage].sources || graph !== this.graphIndex;
    this.stage = stage;
    this.graphIndex = Math.min(graph, s.names.length - 1);
    this.stageList.value = stage;
    this.graphList.replaceChildren(...s.names.map((name, i) => element("option", {value: i}, name)));
    this.graphList.value = this.graphIndex;
    this.graphList.hidden = s.names.length < 2;
    if (changed) {
      this.tree = buildTree(s.graph(this.graphIndex));
      for (const g of this.tree.groups.values()) g.open = g === this.tree.root || this.app.open.has(g.path);
      this.selected = null;
    }
    this.note.textContent = `${this.tree.graph.nodes.length} nodes — ${s.note}`;
    this.layout();
    if (changed) this.fit();
    this.app.selectionChanged(this);
  }

  layout() {
    layoutTree(this.tree);
    this.draw();
  }

  setOpen(group, open) {
    if (open) this.app.open.add(group.path);
    else this.app.open.delete(group.path);
    for (const pane of this.app.panes) pane.syncOpen(pane === this ? group : null);
  }

  /* Groups open and close in all panes; `still` keeps its place on the screen. */
  syncOpen(still) {
    const x = still ? still.ax : 0, y = still ? still.ay : 0;
    for (const g of this.tree.groups.values()) if (g.parent) g.open = this.app.open.has(g.path);
    layoutTree(this.tree);
    if (still) {
      this.view.x += (x - still.ax) * this.view.k;
      this.view.y += (y - still.ay) * this.view.k;
    }
    this.draw();
  }

  fit() {
    const {clientWidth: w, clientHeight: h} = this.canvas, root = this.tree.root;
    const k = Math.min(1.2, Math.max(0.02, Math.min(w / (root.w + 40), h / (root.h + 40))));
    this.view = {k, x: (w - root.w * k) / 2, y: Math.max(10, (h - root.h * k) / 2)};
    this.draw();
  }

  centre(item) {
    const {clientWidth: w, clientHeight: h} = this.canvas, k = Math.max(this.view.k, 0.8);
    this.view = {k, x: w / 2 - (item.ax + item.w / 2) * k, y: h / 2 - (item.ay + item.h / 2) * k};
    this.draw();
  }

  /* Opens what hides the node and moves there. */
  reveal(index) {
    for (let g = this.tree.leaves[index].parent; g.parent; g = g.parent) this.app.open.add(g.path);
    for (const pane of this.app.panes) pane.syncOpen(null);
    this.centre(this.tree.leaves[index]);
  }

  select(index, reveal) {
    this.selected = index;
    if (reveal) this.reveal(index);
    this.app.selectionChanged(this);
  }

  /* --- drawing --- */

  draw() {
    if (!this.pending) this.pending = requestAnimationFrame(() => { this.pending = 0; this.paint(); });
  }

  paint() {
    const c = this.context, ratio = window.devicePixelRatio || 1, {clientWidth: w, clientHeight: h} = this.canvas, v = this.view;
    if (!this.tree) return;
    if (this.canvas.width !== Math.round(w * ratio) || this.canvas.height !== Math.round(h * ratio)) {
      this.canvas.width = Math.round(w * ratio);
      this.canvas.height = Math.round(h * ratio);
    }
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.clearRect(0, 0, this.canvas.width, this.canvas.height);
    c.setTransform(v.k * ratio, 0, 0, v.k * ratio, v.x * ratio, v.y * ratio);
    this.window = {left: -v.x / v.k, top: -v.y / v.k, right: (w - v.x) / v.k, bottom: (h - v.y) / v.k};
    c.textBaseline = "middle";
    const shown = [];
    this.paintGroup(this.tree.root, shown);
    this.paintEdges(shown);
    for (const item of shown) this.paintItem(item);
    this.painted = shown.length;
  }

  isSeen(x, y, w, h) {
    const s = this.window;
    return x <= s.right && x + w >= s.left && y <= s.bottom && y + h >= s.top;
  }

  /* The open group's frame, those within it, and into `shown` what comes on top of the edges. */
  paintGroup(group, shown) {
    if (!this.isSeen(group.ax, group.ay, group.w, group.h)) return;
    if (!group.open) { shown.push(group); return; }
    const c = this.context;
    if (group.parent) {
      c.fillStyle = group.depth % 2 ? "#f1f4f9" : "#fafbfd";
      c.strokeStyle = "#b9c2d0";
      c.lineWidth = 1;
      c.beginPath();
      c.roundRect(group.ax, group.ay, group.w, group.h, 8);
      c.fill();
      c.stroke();
      if (this.view.k > 0.25) {
        c.font = "600 " + FONT;
        c.fillStyle = "#49546a";
        c.fillText(fit(c, "− " + group.name, group.w - 16), group.ax + 9, group.ay + HEAD / 2 + 2);
      }
    }
    for (const g of group.groups) this.paintGroup(g, shown);
    for (const leaf of group.leaves) if (this.isSeen(leaf.ax, leaf.ay, leaf.w, leaf.h)) shown.push(leaf);
  }

  paintItem(item) {
    const c = this.context, op = item.node ? item.node.op : "", x = item.ax, y = item.ay;
    const on = item.node && (this.selected === item.node.index), hit = item.node ? this.marked.has(item.node.index) : this.holdsMarked(item);
    c.fillStyle = item.node ? colourOf(op, 92) : "#dfe6f2";
    c.strokeStyle = on ? "#1648b0" : hit ? "#e0720f" : item.node ? colourOf(op, 62) : "#8b99b3";
    c.lineWidth = on || hit ? 3 : 1;
    c.beginPath();
    c.roundRect(x, y, item.w, item.h, item.node && /put$/.test(op) ? 16 : 5);
    c.fill();
    c.stroke();
    if (this.view.k < 0.3) return;
    c.textAlign = "center";
    c.fillStyle = "#1d2433";
    c.font = "600 " + FONT;
    c.fillText(fit(c, item.node ? op : "+ " + item.name, item.w - 10), x + item.w / 2, y + item.h * 0.33);
    c.font = "11px system-ui, sans-serif";
    c.fillStyle = "#5b6578";
    c.fillText(fit(c, item.node ? item.node.name : `${item.count} nodes`, item.w - 10), x + item.w / 2, y + item.h * 0.72);
    c.textAlign = "left";
  }

  holdsMarked(group) {
    for (const index of this.marked) if (visible(this.tree.leaves[index]) === group) return true;
    return false;
  }

  paintEdges(shown) {
    const c = this.context, chosen = this.selected === null ? null : visible(this.tree.leaves[this.selected]);
    const labels = [];
    c.font = "10.5px system-ui, sans-serif";
    for (const e of this.tree.edges) {
      const x1 = e.from.ax + e.from.w / 2, y1 = e.from.ay + e.from.h, x2 = e.to.ax + e.to.w / 2, y2 = e.to.ay;
      const long = y2 - y1 > 3 * GAP_Y && Math.abs(x2 - x1) < 60, up = y2 < y1;
      const side = long || up ? Math.max(e.from.w, e.to.w) / 2 + Math.min(140, Math.abs(y2 - y1) / 6) : 0;
      const left = Math.min(x1, x2), top = Math.min(y1, y2);
      if (!this.isSeen(left, top, Math.abs(x2 - x1) + side, Math.abs(y2 - y1) + 1)) continue;
      const near = chosen === e.from || chosen === e.to, bend = Math.max(18, Math.min(60, Math.abs(y2 - y1) / 2));
      c.strokeStyle = near ? (chosen === e.to ? "#2f6fde" : "#e0720f") : "#8e99ab";
      c.lineWidth = near ? 2.2 : 1.1;
      c.beginPath();
      c.moveTo(x1, y1);
      c.bezierCurveTo(x1 + side, y1 + bend, x2 + side, y2 - bend, x2, y2);
      c.moveTo(x2 - 3.5, y2 - 6);
      c.lineTo(x2, y2);
      c.lineTo(x2 + 3.5, y2 - 6);
      c.stroke();
      const t = e.fan > 1 ? 0.7 : 0.3; /* away from where edges meet */
      if (this.view.k > 0.55) labels.push([e, x1 + (x2 - x1) * t + side * 0.75, y1 + (y2 - y1) * t, near]);
    }
    this.paintLabels(labels, shown);
  }

  /* Those of the selection come first; one that would lie over another or under a box moves a little, or is left out. */
  paintLabels(labels, shown) {
    const c = this.context, taken = [];
    const boxes = shown.length < 1000 ? shown : [];
    const isFree = (x, y, w) => taken.every(t => Math.abs(t.x - x) * 2 >= t.w + w || Math.abs(t.y - y) >= 14) &&
      boxes.every(b => x + w / 2 <= b.ax || x - w / 2 >= b.ax + b.w || y + 6 <= b.ay || y - 6 >= b.ay + b.h);
    labels.sort((a, b) => b[3] - a[3]);
    c.textAlign = "center";
    for (const [e, x, y] of labels.slice(0, 400)) {
      const text = e.count === 1 ? e.type : e.type ? `${e.count} × ${e.type}` : `${e.count} tensors`;
      const w = c.measureText(text).width + 6, move = [0, -14, 14, -28, 28].find(d => isFree(x, y + d, w));
      if (move === undefined) continue;
      taken.push({x, y: y + move, w});
      c.fillStyle = "rgb(255 255 255 / 85%)";
      c.fillRect(x - w / 2, y + move - 7, w, 14);
      c.fillStyle = "#2e7d4f";
      c.fillText(text, x, y + move);
    }
    c.textAlign = "left";
  }

  /* --- mouse and keys --- */

  /* What is at a point of the canvas: a leaf, a closed group, the head of an open one, or nothing. */
  at(px, py) {
    const x = (px - this.view.x) / this.view.k, y = (py - this.view.y) / this.view.k;
    const inside = i => x >= i.ax && x <= i.ax + i.w && y >= i.ay && y <= i.ay + i.h;
    let group = this.tree.root;
    for (;;) {
      const leaf = group.leaves.find(inside), inner = group.groups.find(inside);
      if (leaf) return leaf;
      if (!inner) return group.parent && y <= group.ay + HEAD ? group : null;
      if (!inner.open) return inner;
      group = inner;
    }
  }

  click(px, py) {
    const item = this.at(px, py);
    if (!item) return;
    if (item.node) this.select(item.node.index, false);
    else { this.setOpen(item, !item.open); this.app.showGroup(this, item); }
  }

  zoom(factor, px, py) {
    const v = this.view, k = Math.min(4, Math.max(0.01, v.k * factor));
    this.view = {k, x: px - (px - v.x) * k / v.k, y: py - (py - v.y) * k / v.k};
    this.draw();
  }

  listen() {
    let drag = null;
    const c = this.canvas;
    c.addEventListener("pointerdown", e => {
      drag = {x: e.offsetX, y: e.offsetY, moved: false};
      c.setPointerCapture(e.pointerId);
      this.app.active = this;
    });
    c.addEventListener("pointermove", e => {
      if (!drag) { this.hover(e); return; }
      if (!drag.moved && Math.hypot(e.offsetX - drag.x, e.offsetY - drag.y) < 4) return;
      this.view.x += e.offsetX - drag.x;
      this.view.y += e.offsetY - drag.y;
      drag = {x: e.offsetX, y: e.offsetY, moved: true};
      this.draw();
    });
    c.addEventListener("pointerup", e => {
      if (drag && !drag.moved) this.click(e.offsetX, e.offsetY);
      drag = null;
    });
    c.addEventListener("pointerleave", () => this.app.tip(null));
    c.addEventListener("wheel", e => {
      e.preventDefault();
      this.zoom(Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0015)), e.offsetX, e.offsetY);
    }, {passive: false});
    new ResizeObserver(() => this.draw()).observe(c);
  }

  hover(e) {
    const item = this.at(e.offsetX, e.offsetY);
    this.canvas.style.cursor = item ? "pointer" : "grab";
    const lines = !item ? null : item.node ? [item.node.op, ...item.node.origins.slice(0, 4), ...item.node.types] : [item.path, `${item.count} nodes`];
    this.app.tip(lines && lines.join("\n"), e);
  }
}
