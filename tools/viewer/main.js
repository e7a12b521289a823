/* The page: reads the document, makes panes, tabs and search, and keeps what they share. */
"use strict";

class App {
  constructor(doc) {
    this.doc = doc;
    this.stages = readStages(doc);
    this.open = new Set(); /* paths of open groups, the same in all panes */
    this.panes = [];
    this.profile = new Map((doc.profile || []).map(p => [p.instruction, p]));
    this.totalTime = (doc.profile || []).reduce((sum, p) => sum + p.us, 0) || 1;
    this.panel = document.getElementById("panel");
    this.tipBox = document.getElementById("tip");
    const title = (doc.metadata.source || doc.kind).replace(/^.*\//, "");
    document.title = `${title} — tenon`;
    document.getElementById("title").textContent = title;
    this.addPane(doc.kind === "plan" ? 0 : this.stages.length - 1, this.firstGraph());
    this.openFirst();
    this.makeTabs();
    this.listen();
    this.summary();
    this.overview();
  }

  /* The first that users of the model call. */
  firstGraph() {
    const graphs = this.doc.functions || this.doc.stages[this.stages.length - 1].graphs || [];
    return Math.max(0, graphs.findIndex(g => !g.internal));
  }

  summary() {
    const n = this.panes[0].tree.graph.nodes.length;
    const parts = [`${this.doc.kind}, ${n} nodes`, ...Object.entries(this.doc.metadata).filter(([k]) => k !== "source").map(([k, v]) => `${k} ${v}`)];
    document.getElementById("summary").textContent = parts.join(" · ");
  }

  /* --- panes --- */

  addPane(stage, graph) {
    const pane = new Pane(this, stage);
    this.panes.push(pane);
    document.getElementById("panes").append(pane.box);
    this.active = pane;
    pane.show(stage, graph);
    return pane;
  }

  /* Groups are closed at first, but for those that are all there is on the way. */
  openFirst() {
    const pane = this.panes[0];
    for (let level = [pane.tree.root]; level.length === 1 && level[0].groups.length;) {
      const groups = level[0].groups.filter(g => g.count > 1);
      if (groups.length > 1) break;
      groups.forEach(g => this.open.add(g.path));
      level = groups;
    }
    pane.syncOpen(null);
    pane.fit();
  }

  compare() {
    if (this.panes.length > 1) {
      const gone = this.panes.pop();
      gone.box.remove();
      this.active = this.panes[0];
    } else {
      const pane = this.panes[0];
      const other = this.addPane(this.stages.length > 1 && pane.stage === 0 ? this.stages.length - 1 : 0, pane.graphIndex);
      document.getElementById("panes").prepend(other.box); /* the earlier stage at the left */
    }
    document.getElementById("compare").classList.toggle("on", this.panes.length > 1);
    requestAnimationFrame(() => { for (const p of this.panes) p.fit(); });
    this.overview();
  }

  /* --- selection --- */

  selectionChanged(pane) {
    if (!this.panel || !this.panes.includes(pane)) return;
    for (const p of this.panes) p.marked = new Set();
    if (pane.selected === null) { this.overview(); return; }
    this.panel.replaceChildren(...nodePanel(this, pane, pane.selected));
    for (const other of this.panes) if (other !== pane) this.follow(pane, other);
    for (const p of this.panes) p.draw();
  }

  /* In the other pane, the nodes that came from the same source nodes. */
  follow(pane, other) {
    const origins = new Set(pane.tree.graph.nodes[pane.selected].origins);
    other.selected = null;
    for (const n of other.tree.graph.nodes) if (n.origins.some(o => origins.has(o))) other.marked.add(n.index);
    const first = other.marked.values().next();
    if (!first.done) other.centre(visible(other.tree.leaves[first.value]));
  }

  showGroup(pane, group) {
    this.panel.replaceChildren(...groupPanel(this, pane, group));
  }

  overview() {
    for (const p of this.panes) { p.selected = null; p.marked = new Set(); p.draw(); }
    this.panel.replaceChildren(...overviewPanel(this));
  }

  /* --- search --- */

  search(query) {
    const pane = this.active, found = findNodes(pane.tree.graph, query);
    document.getElementById("search").value = query;
    this.found = found;
    this.foundAt = -1;
    pane.marked = new Set(found.map(n => n.index));
    if (query) this.panel.replaceChildren(...searchPanel(pane, query, found));
    else this.overview();
    pane.draw();
    return found.length;
  }

  /* Goes to the next result and keeps the list. */
  nextFound() {
    if (!this.found || !this.found.length) return;
    this.foundAt = (this.foundAt + 1) % this.found.length;
    this.active.select(this.found[this.foundAt].index, true);
  }

  /* --- times --- */

  timeOf(node) {
    return this.profile.get(node.attributes.instruction);
  }

  slowest() {
    const pane = this.panes[0], rows = [];
    for (const n of pane.tree.graph.nodes) if (this.timeOf(n)) rows.push([this.timeOf(n).us, n.index]);
    rows.sort((a, b) => b[0] - a[0]);
    return element("table", {}, ...rows.slice(0, 12).map(([us, i]) => row(nodeLink(pane, i), `${us.toFixed(1)} µs`)));
  }

  /* --- tabs, keys, tips --- */

  makeTabs() {
    if (this.doc.kind !== "plan" || !this.doc.functions.some(f => f.memory)) return;
    this.memory = new MemoryView(this, document.getElementById("memory"));
    for (const name of ["graph", "memory"])
      document.getElementById("tabs").append(element("button", {id: `tab-${name}`, onclick: () => this.showTab(name)}, name));
    this.showTab("graph");
  }

  showTab(name) {
    for (const [tab, box] of [["graph", "panes"], ["memory", "memory"]]) {
      document.getElementById(box).hidden = tab !== name;
      document.getElementById(`tab-${tab}`).classList.toggle("on", tab === name);
    }
    if (name === "memory") this.memory.draw();
  }

  tip(text, e) {
    this.tipBox.hidden = !text;
    if (!text) return;
    this.tipBox.textContent = text;
    this.tipBox.style.left = Math.min(e.clientX + 14, window.innerWidth - 320) + "px";
    this.tipBox.style.top = Math.min(e.clientY + 14, window.innerHeight - 90) + "px";
  }

  listen() {
    const search = document.getElementById("search"), by = {"/": () => search.focus(), f: () => this.active.fit(), c: () => this.compare()};
    search.addEventListener("input", () => this.search(search.value));
    search.addEventListener("keydown", e => { if (e.key === "Enter") this.nextFound(); });
    document.getElementById("fit").addEventListener("click", () => this.active.fit());
    const compare = document.getElementById("compare");
    compare.addEventListener("click", () => this.compare());
    compare.hidden = this.stages.length < 2;
    document.addEventListener("keydown", e => {
      if (e.key === "Escape") { search.value = ""; search.blur(); this.overview(); }
      else if (!/^(INPUT|SELECT)$/.test(e.target.tagName) && !e.ctrlKey && !e.metaKey && by[e.key]) { e.preventDefault(); by[e.key](); }
    });
  }
}

window.tenon = new App(JSON.parse(document.getElementById("data").textContent));
