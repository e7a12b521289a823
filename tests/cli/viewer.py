#!/usr/bin/env python3
"""The page of `tenon dump --format html`: what it is made of, and, where there is a Chromium, that it works.

    viewer.py TENON FIXTURES
"""
import html
import html.parser
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from onnx_bytes import node, onnx, value_info

TENON, FIXTURES = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
BERT = FIXTURES / "bert-sequence-cls"
HOSTILE = '</script><script>document.title="owned"</script><img src=x onerror="document.title=1">"\'\\\x01\u2028<!--'
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

# Runs before anything else of the page, and after everything.
WATCH = """<script>window.errors = []; addEventListener("error", e => errors.push(String(e.message)));
addEventListener("securitypolicyviolation", e => errors.push(e.violatedDirective + " " + e.blockedURI));
for (const k of ["error", "warn"]) console[k] = (...x) => errors.push(x.join(" "));</script>"""
PROBE = """<script>{
let result;
try { result = (function () { %s })(); } catch (e) { errors.push(e.stack); }
const pre = document.createElement("pre");
pre.id = "probe";
pre.textContent = JSON.stringify({errors, result, title: document.title, scripts: document.scripts.length, images: document.images.length});
document.body.append(pre);
}</script>"""
# What the probes use: clicks where an item is drawn; what there is to see; the panel's text.
TOOLS = """
const app = window.tenon, pane = app.panes[0], panel = () => document.getElementById("panel").textContent;
const click = item => {
  const v = pane.view, at = {bubbles: true, pointerId: 1, clientX: 0, clientY: 0}, box = pane.canvas.getBoundingClientRect();
  at.clientX = box.left + v.x + (item.ax + item.w / 2) * v.k;
  at.clientY = box.top + v.y + (item.ay + 6) * v.k;
  pane.canvas.setPointerCapture = () => {};
  pane.canvas.dispatchEvent(new PointerEvent("pointerdown", at));
  pane.canvas.dispatchEvent(new PointerEvent("pointerup", at));
};
const seen = () => { pane.paint(); return pane.painted; };
const type = text => { const s = document.getElementById("search"); s.value = text; s.dispatchEvent(new Event("input")); };
"""


class Elements(html.parser.HTMLParser):
    """Elements with their attributes, and the text of each script."""
    def __init__(self, text):
        super().__init__()
        self.found, self.scripts, self.inside = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data


class Viewer(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-viewer-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def tenon(self, *args, status=0):
        r = subprocess.run([TENON, *map(str, args)], capture_output=True, cwd=self.folder, timeout=120)
        self.assertEqual(r.returncode, status, f"tenon {args}: {r.stderr}")
        return r.stderr if status else r.stdout

    def page(self, *args):
        return self.tenon("dump", *args, "--format", "html").decode()

    def hostile(self):
        nodes = [node("Relu", f"/{HOSTILE}/a/Relu", ["x"], [HOSTILE]), node("Neg", f"/{HOSTILE}/a/Neg", [HOSTILE], ["m"]),
                 node("Tanh", f"/{HOSTILE}/b/Tanh", ["m"], [HOSTILE + "y"])]
        (self.folder / "hostile.onnx").write_bytes(onnx(nodes, [value_info("x", [2, 3])], [value_info(HOSTILE + "y", [2, 3])]))
        return "hostile.onnx"


class Structure(Viewer):
    def check(self, page):
        e = Elements(page)
        for tag, attributes in e.found:
            self.assertNotIn(tag, ("link", "img", "iframe", "object", "base", "form"))
            self.assertFalse({"src", "href", "action", "srcdoc"} & set(attributes), (tag, attributes))
            self.assertFalse([a for a in attributes if a.startswith("on")], (tag, attributes))
        self.assertEqual([t for t, _ in e.found].count("script"), 2)
        self.assertEqual(page.count("</script"), 2)
        self.assertIn("default-src 'none'", page)
        code = page.replace(e.scripts[0], "")
        self.assertNotRegex(code, r"https?://|//[a-z]+\.|@import|url\(|innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function")
        self.assertNotRegex(page, r"@[A-Z]+@")
        return json.loads(e.scripts[0])

    def test_model(self):
        document = self.check(self.page(BERT))
        stages = [s["after"] for s in document["stages"]]
        self.assertEqual((stages[0], len(stages)), ("import", 1 + len(self.tenon("dump", "--passes").splitlines())))
        document = self.check(self.page(BERT, "--after", "import,canon"))
        self.assertEqual([s["after"] for s in document["stages"]], ["import", "canon"])

    def test_plan(self):
        self.tenon("compile", BERT, "-o", "x.plan")
        self.tenon("bench", "x.plan", "--dim", "batch=1", "--dim", "sequence=4", "--runs", "1", "--profile", "--json", "p.json")
        document = self.check(self.page("x.plan", "--dim", "sequence=9", "--profile", "p.json"))
        self.assertEqual(document["functions"][0]["memory"]["dims"], {"batch": 1, "sequence": 9})
        self.assertEqual([p["instruction"] for p in document["profile"]], list(range(len(document["functions"][0]["instructions"]))))
        absolute = self.check(self.page("x.plan", "--dim", "sequence=9", "--profile", str(self.folder.resolve() / "p.json")))
        self.assertEqual(absolute["profile"], document["profile"])

    def test_wrong_profiles(self):
        self.tenon("compile", BERT, "-o", "x.plan")
        for text in ("", "[]", "{}", '{"profile":{}}', '{"profile":[{}]}', '{"profile":[{"instruction":0,"opcode":"gemm","us":"x"}]}',
                     '{"profile":[{"instruction":9999,"opcode":"gemm","us":1}]}', '{"profile":[{"instruction":0,"opcode":"loop","us":1}]}'):
            (self.folder / "p.json").write_text(text)
            self.assertIn(b"p.json", self.tenon("dump", "x.plan", "--format", "html", "--profile", "p.json", status=1))
        self.assertIn(b"--profile is for plans", self.tenon("dump", BERT, "--format", "html", "--profile", "p.json", status=2))

    def test_hostile_names(self):
        document = self.check(self.page(self.hostile(), "--after", "import"))
        self.assertIn(HOSTILE + "y", [p["name"] for p in document["stages"][0]["graphs"][0]["outputs"]])
        self.tenon("compile", "hostile.onnx", "-o", "h.plan")
        self.check(self.page("h.plan"))


@unittest.skipUnless(CHROMIUM, "NO CHROMIUM FOUND: the page was not tried in a browser")
class Browser(Viewer):
    def probe(self, page, steps):
        """Opens the page, takes the steps and gives what they return; nothing may have gone wrong on the way."""
        page = page.replace("<head>", "<head>" + WATCH, 1)
        at = page.rindex("</body>")
        (self.folder / "page.html").write_text(page[:at] + PROBE % (TOOLS + steps) + page[at:])
        profile = tempfile.mkdtemp(prefix="tenon-chromium-")
        self.addCleanup(shutil.rmtree, profile, ignore_errors=True)
        r = subprocess.run([CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,900", "--virtual-time-budget=3000",
                            f"--user-data-dir={profile}", "--dump-dom", (self.folder / "page.html").as_uri()],
                           capture_output=True, timeout=100)
        found = re.search(r'<pre id="probe">(.*?)</pre>', r.stdout.decode(errors="replace"), re.S)
        self.assertTrue(found, r.stderr[-2000:])
        result = json.loads(html.unescape(found[1]))
        self.assertEqual(result["errors"], [])
        return result

    def test_groups_open_and_close(self):
        r = self.probe(self.page(BERT / "model_ts.onnx"), """
            const before = seen(), group = pane.tree.groups.get("model/bert"), shut = group.open;
            pane.centre(group); click(group);
            const opened = [group.open, seen()];
            pane.centre(group); pane.view.y = 20 - group.ay * pane.view.k; click(group);
            return {before, shut, opened, after: [group.open, seen()]};""")["result"]
        self.assertFalse(r["shut"])
        self.assertTrue(r["opened"][0])
        self.assertGreater(r["opened"][1], 1)
        self.assertFalse(r["after"][0])

    def test_search_and_links(self):
        r = self.probe(self.page(BERT / "model_ts.onnx"), """
            type("attention f32[");
            const found = app.found.filter(n => n.op === "attention").length;
            type("op-that-is-not"); const none = app.found.length;
            type("f32[4]"); const constant = app.found.map(n => n.op);
            type("pooler linear"); app.nextFound();
            const text = panel(), first = pane.selected;
            const links = [...document.querySelectorAll("#panel a")];
            links[links.length - 1].onclick();
            return {found, none, constant, text, first, second: pane.selected, open: pane.tree.leaves[first].parent.open,
                    next: pane.tree.graph.nodes[first].use};""")["result"]
        self.assertEqual((r["found"], r["none"], r["constant"]), (3, 0, ["linear"]))
        for part in ("linear", "Operands, producers", "bert.pooler.dense.weight", "f32[36, 36]", "mean", "Consumers", "tanh", "Origin"):
            self.assertIn(part, r["text"])
        self.assertTrue(r["open"])
        self.assertEqual([r["second"]], r["next"])

    def test_stages_side_by_side(self):
        r = self.probe(self.page(BERT / "model_ts.onnx"), """
            document.getElementById("compare").click();
            const other = app.panes[1], counts = app.panes.map(p => p.tree.graph.nodes.filter(n => n.op === "softmax").length);
            const attention = pane.tree.graph.nodes.find(n => n.op === "attention");
            pane.select(attention.index, true);
            const marked = [...other.marked].map(i => other.tree.graph.nodes[i].op);
            pane.stageList.value = 1; pane.stageList.onchange();
            const canon = [app.stages[pane.stage].name, panel().includes("canon")];
            document.getElementById("compare").click();
            return {counts, marked, canon, panes: document.querySelectorAll(".pane").length};""")["result"]
        self.assertEqual(r["counts"], [0, 3])
        self.assertLessEqual({"matmul", "softmax"}, set(r["marked"]))
        self.assertEqual((r["canon"], r["panes"]), (["canon", True], 1))

    def test_memory(self):
        self.tenon("compile", BERT, "-o", "x.plan")
        self.tenon("bench", "x.plan", "--dim", "batch=1", "--dim", "sequence=4", "--runs", "1", "--profile", "--json", "p.json")
        r = self.probe(self.page("x.plan", "--profile", "p.json"), """
            document.getElementById("tab-memory").click();
            const m = app.memory, p = m.place(), b = m.f.memory.buffers.find(x => x.first > 3);
            const at = {bubbles: true}, box = m.canvas.getBoundingClientRect();
            at.clientX = box.left + p.x(b.first) + 2; at.clientY = box.top + p.y(b.offset + b.bytes / 2);
            m.canvas.dispatchEvent(new PointerEvent("pointermove", at));
            const tip = document.getElementById("tip").textContent, note = m.note.textContent;
            m.canvas.dispatchEvent(new PointerEvent("click", at));
            const n = pane.tree.graph.nodes[pane.selected];
            return {tip, note, want: b.buffer, first: b.first, selected: n.number, text: panel(), hidden: document.getElementById("panes").hidden};
            """)["result"]
        self.assertIn(f"buffer {r['want']}: ", r["tip"])
        self.assertIn("µs", r["tip"])
        self.assertIn("batch=1", r["note"])
        self.assertEqual(r["selected"], r["first"])
        self.assertIn("% of the run", r["text"])
        self.assertFalse(r["hidden"])

    def test_hostile_names(self):
        r = self.probe(self.page(self.hostile(), "--after", "import"), """
            for (const n of pane.tree.graph.nodes) { pane.select(n.index, true); seen(); }
            pane.hover({offsetX: 300, offsetY: 300, clientX: 1, clientY: 1});
            type("<script>");
            return {found: app.found.length, text: panel()};""")
        self.assertEqual((r["title"], r["scripts"], r["images"]), ("hostile.onnx — tenon", 4, 0))
        self.assertEqual(r["result"]["found"], 4)
        self.assertIn("</script><script>", r["result"]["text"])

    def test_large(self):
        """20,000 nodes: what is drawn stays small, with and without module paths."""
        ops = ("Relu", "Neg", "Sigmoid", "Tanh")
        for name in ("/encoder/layer.{0}/{1}_{2}", "n{2}"):
            nodes = [node(ops[i % 4], name.format(i // 50, ops[i % 4], i), [f"v{i}"], [f"v{i + 1}"]) for i in range(20000)]
            (self.folder / "large.onnx").write_bytes(onnx(nodes, [value_info("v0", [2, 3])], [value_info("v20000", [2, 3])]))
            r = self.probe(self.page("large.onnx", "--after", "import"), """
                const start = performance.now(), shown = [...pane.tree.groups.values()].filter(g => g.open).length;
                const found = app.search("tanh"); app.nextFound();
                return {found, shown, painted: seen(), ms: performance.now() - start};""")["result"]
            self.assertEqual(r["found"], 5000)
            self.assertLess(r["painted"], 500)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1 if CHROMIUM else 2)
