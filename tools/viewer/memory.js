/* The memory plan as a picture: time goes right, instruction by instruction, addresses go up. Below it the time of each instruction,
 * if a profile was given. */
"use strict";

const EDGE = {left: 78, right: 12, top: 18, bottom: 22, strip: 90};

class MemoryView {
  constructor(app, box) {
    this.app = app;
    this.functions = app.doc.functions.filter(f => f.memory);
    this.index = 0;
    this.note = element("span", {});
    this.choice = element("select", {onchange: () => { this.index = +this.choice.value; this.draw(); }},
      ...this.functions.map((f, i) => element("option", {value: i}, f.name)));
    this.choice.hidden = this.functions.length < 2;
    this.canvas = element("canvas", {});
    box.append(element("div", {className: "bar"}, this.choice, this.note), this.canvas);
    this.canvas.addEventListener("pointermove", e => this.hover(e));
    this.canvas.addEventListener("pointerleave", () => app.tip(null));
    this.canvas.addEventListener("click", e => this.click(e));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  get f() { return this.functions[this.index]; }

  place() {
    const {clientWidth: w, clientHeight: h} = this.canvas, m = this.f.memory;
    const strip = this.app.profile.size ? EDGE.strip : 0;
    const top = Math.max(1, ...(m.buffers || []).map(b => b.offset + b.bytes));
    const bottom = h - EDGE.bottom - strip;
    return {w, h, strip, top, bottom, n: Math.max(1, this.f.instructions.length),
            x: i => EDGE.left + i * (w - EDGE.left - EDGE.right) / Math.max(1, this.f.instructions.length),
            y: bytes => bottom - bytes * (bottom - EDGE.top) / top};
  }

  describe() {
    const m = this.f.memory, dims = Object.entries(m.dims).map(([k, v]) => `${k}=${v}`).join(" ");
    if (m.error) return `${dims}: ${m.error}`;
    const staged = m.stages ? `; first of ${m.stages} stages, later lengths depend on data` : "";
    return `${dims ? dims + ": " : ""}arena ${bytesText(m.arena)}, of it scratch ${bytesText(m.scratch)}; most live at once ${bytesText(m.live)}`
      + ` at instruction ${m.peak}${staged}`;
  }

  draw() {
    const c = this.canvas.getContext("2d"), ratio = window.devicePixelRatio || 1, p = this.place(), m = this.f.memory;
    this.note.textContent = this.describe();
    this.canvas.width = p.w * ratio;
    this.canvas.height = p.h * ratio;
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.font = FONT;
    c.textBaseline = "middle";
    if (m.error) return;
    for (const b of m.buffers) this.drawBuffer(c, p, b);
    this.drawAxes(c, p, m);
    if (p.strip) this.drawTimes(c, p);
  }

  drawBuffer(c, p, b) {
    const x = p.x(b.first), w = Math.max(1, p.x(b.last + 1) - x), y = p.y(b.offset + b.bytes), h = Math.max(1, p.y(b.offset) - y);
    const op = this.f.instructions[b.first].op;
    c.fillStyle = colourOf(op, 82);
    c.strokeStyle = colourOf(op, 55);
    c.lineWidth = 0.7;
    c.fillRect(x, y, w, h);
    c.strokeRect(x, y, w, h);
    if (w < 40 || h < 13) return;
    c.fillStyle = "#1d2433";
    c.fillText(fit(c, `${op} ${bytesText(b.bytes)}`, w - 6), x + 3, y + h / 2);
  }

  drawAxes(c, p, m) {
    c.strokeStyle = "#c0392b";
    c.setLineDash([5, 4]);
    c.strokeRect(EDGE.left, p.y(m.live), p.w - EDGE.left - EDGE.right, 0);
    c.setLineDash([]);
    c.strokeRect(p.x(m.peak), EDGE.top, Math.max(1.5, p.x(1) - p.x(0)), p.bottom - EDGE.top);
    c.fillStyle = "#c0392b";
    c.fillText("peak", p.x(m.peak), EDGE.top - 9);
    c.fillText("most live", 4, p.y(m.live) - 1);
    c.fillStyle = "#5b6578";
    for (let i = 0; i <= 4; i++) {
      const y = p.y(p.top * i / 4);
      if (Math.abs(y - p.y(m.live)) > 12) c.fillText(bytesText(Math.round(p.top * i / 4)), 4, y);
      c.fillRect(EDGE.left, y, p.w - EDGE.left - EDGE.right, 0.4);
    }
    const step = Math.max(1, Math.ceil(p.n / Math.max(2, (p.w - 100) / 60)));
    for (let i = 0; i < p.n; i += step) c.fillText(String(i), p.x(i), p.bottom + 10);
  }

  drawTimes(c, p) {
    const base = p.h - 6, most = Math.max(1e-9, ...this.f.instructions.map(n => this.timeOf(n)));
    c.fillStyle = "#5b6578";
    c.fillText(`${most.toFixed(0)} µs`, 4, base - p.strip + 32);
    this.f.instructions.forEach((n, i) => {
      const h = this.timeOf(n) / most * (p.strip - 28);
      c.fillStyle = colourOf(n.op, 60);
      c.fillRect(p.x(i), base - h, Math.max(1, p.x(i + 1) - p.x(i) - 0.5), h);
    });
  }

  timeOf(instruction) {
    const t = this.app.profile.get(instruction.index);
    return t ? t.us : 0;
  }

  /* The buffer, or only the instruction, under the mouse. */
  at(e) {
    const p = this.place(), m = this.f.memory;
    if (m.error || e.offsetX < EDGE.left) return null;
    const i = Math.floor((e.offsetX - EDGE.left) / (p.x(1) - p.x(0)));
    if (i >= this.f.instructions.length) return null;
    const buffer = m.buffers.find(b => b.first <= i && i <= b.last && e.offsetY <= p.y(b.offset) && e.offsetY >= p.y(b.offset + b.bytes));
    return {instruction: i, buffer};
  }

  hover(e) {
    const hit = this.at(e);
    if (!hit) { this.app.tip(null); return; }
    const n = this.f.instructions[hit.instruction], lines = [];
    if (hit.buffer) {
      const b = hit.buffer, by = this.f.instructions[b.first];
      lines.push(`buffer ${b.buffer}: ${bytesText(b.bytes)} at ${bytesText(b.offset)}`, `live from ${b.first} to ${b.last}`,
        `first written by ${by.op} ${by.origins[0] || ""}`);
    }
    lines.push(`instruction ${hit.instruction}: ${n.op} ${n.origins[0] || ""}`);
    if (this.app.profile.size) lines.push(`${this.timeOf(n).toFixed(1)} µs`);
    this.app.tip(lines.join("\n"), e);
  }

  /* To the instruction in the graph. */
  click(e) {
    const hit = this.at(e);
    if (!hit) return;
    this.app.showTab("graph");
    const pane = this.app.panes[0];
    pane.show(0, this.app.doc.functions.indexOf(this.f));
    pane.select(this.f.inputs.length + (hit.buffer ? hit.buffer.first : hit.instruction), true);
  }
}
