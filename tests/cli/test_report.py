"""report.html: one self-contained file, for runs in every state."""
import html.parser
import json
import os
import re
import shutil
import subprocess
import unittest

from PIL import Image

import support

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(html.parser.HTMLParser):
    """Every element is closed in order; nothing is loaded from the network."""

    def __init__(self, text):
        super().__init__()
        self.open, self.faults, self.seen, self.words = [], [], [], []
        self.feed(text)
        self.faults += [f"<{name}> is not closed" for name in self.open]

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        for name, value in attrs:
            if name in ("src", "srcset", "action", "data") or (name == "href" and tag != "a") or name.startswith("on"):
                if not value.startswith("data:"):
                    self.faults.append(f"<{tag} {name}={value[:60]}>")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)


def screenshot(page, folder, scheme):
    """Of a file in a browser without a network that prefers a colour scheme, "0" dark or "1" light; fails where its script says anything."""
    shot = folder / "shot.png"
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr", "--window-size=1300,2400",
         f"--user-data-dir={folder}/browser", f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={shot}", "--host-resolver-rules=MAP * ~NOTFOUND",
         page.as_uri()], capture_output=True, text=True, timeout=120, env={**os.environ, "HOME": str(folder)})
    assert "CONSOLE" not in done.stderr, done.stderr
    return Image.open(shot).convert("RGB")


class Report(support.Folder):
    def page(self, path="run/report.html"):
        text = (self.folder / path).read_text()
        page = Page(text)
        self.assertEqual(page.faults, [])
        self.assertEqual(re.findall(r"url\(|@import|fetch\(|import\(|https?://(?!www\.w3\.org/2000/svg)", text), [])
        page.text = " ".join(" ".join(page.words).split())
        page.curves = {curve["name"]: curve["points"] for tag, attrs in page.seen if "data-curves" in attrs for curve in json.loads(attrs["data-curves"])}
        page.links = [attrs["href"] for tag, attrs in page.seen if tag == "a"]
        return page

    def made_up(self, lines, **files):
        """A run directory with these metrics."""
        run = self.folder / "run"
        run.mkdir()
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" if isinstance(line, dict) else line for line in lines))
        for name, value in files.items():
            (run / name.replace("_json", ".json").replace("_jsonl", ".jsonl")).write_text(json.dumps(value) + "\n")
        self.flowrun("report", "run")
        return self.page()

    def trained(self):
        pipeline = support.training_pipeline()
        pipeline["about"] = "Says <b>\"what\"</b> & why"
        pipeline["nodes"].update(support.frozen_streams())
        pipeline["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "at": ["start", "1 epoch"]}
        pipeline["nodes"]["sheet"] = {"type": "report.contact_sheet", "in": {"image": "batch", "mask": "mask"}}
        self.write(pipeline)
        self.flowrun("pipeline.json", "--out", "run", "--quiet")
        return pipeline

    def test_a_run_writes_it(self):
        pipeline = self.trained()
        page = self.page()
        self.assertIn('Says <b>"what"</b> & why', page.text)
        for words in ("done", "seed 3", "version", "Loss", "Images a second", "Learning rate", "Evaluations", "Samples", "Where the time went", "Checkpoints"):
            self.assertIn(words, page.text)
        losses = [(line["step"], line["loss"]) for line in self.metrics("run")]
        self.assertEqual(len(page.curves["loss"]), len(losses))
        for (step, loss), point in zip(losses, page.curves["loss"]):
            self.assertEqual(point[0], step)
            self.assertAlmostEqual(point[1], loss, delta=1e-4 * loss)
        self.assertEqual(len(page.curves["knn accuracy"]), 4)
        boxes = [attrs for tag, attrs in page.seen if tag == "rect" and attrs.get("class") == "box"]
        self.assertEqual(len(boxes), len(pipeline["nodes"]))
        self.assertEqual(sum(tag == "img" for tag, _ in page.seen), 1)
        # The masks are those of mask-report: the picture is the same to the last byte.
        title = self.flowrun("mask-report", "pipeline.json", "--groups", 32, "-o", "masks.svg").stdout.splitlines()[0]
        self.assertIn("Masks " + title, page.text)
        self.assertIn((self.folder / "masks.svg").read_text(), (self.folder / "run/report.html").read_text())
        for link in page.links:
            self.assertTrue(link.startswith("#") or (self.folder / "run" / link).exists(), link)
        # Elsewhere its links still lead to the run.
        self.flowrun("report", "run", "-o", "page.html")
        for link in self.page("page.html").links:
            self.assertTrue(link.startswith("#") or (self.folder / link).exists(), link)

    def test_the_verdict_and_the_table_tell_what_happened(self):
        rows = [("knn", 0, 0.5), ("knn", 10, 0.8), ("knn", 20, 0.7), ("bare", 0, 0.6), ("other", 0, 0.4), ("other", 20, 0.401)]
        run = self.folder / "run"
        run.mkdir()
        (run / "evaluations.jsonl").write_text("".join(json.dumps({"node": n, "step": s, "epoch": s / 10, "accuracy": a}) + "\n" for n, s, a in rows)
                                               + '{"node": "likelihood", "step": 10, "loss": 3}\n{"node": "likelihood", "step": 20, "loss": 2}\n')
        (run / "metrics.jsonl").write_text("".join(json.dumps({"step": s, "loss": 1000 / s**2, "health_ok": float(s < 15)}) + "\n" for s in range(1, 21)))
        nodes = {"files": {"type": "source.folder"}, "seen": {"type": "eval.features", "in": {"image": "files.x"}, "model": "teacher"},
                 "raw": {"type": "eval.pixels", "in": "files"}, "knn": {"type": "eval.knn", "in": {"train": "seen", "test": "seen.y"}},
                 "bare": {"type": "eval.knn", "in": {"train": "raw", "test": "raw"}}, "other": {"type": "eval.linear", "in": {"train": "seen"}}}
        (run / "pipeline.resolved.json").write_text(json.dumps({"nodes": nodes}))
        self.flowrun("report", "run")
        page = self.page()
        for words in ("knn accuracy rose from 50.0 % before training to 70.0 %, better than bare pixels (60.0 %); it was 80.0 % after step 10",
                      "other accuracy stayed at 40.1 % (before training: 40.0 %)",
                      "health sees collapsed features since about step 15",
                      "the loss fell from 1000 to 2.5",
                      "knn accuracy 50.0 % 70.0 % +20.0 80.0 % step 10 60.0 %",
                      "Loss (logarithmic)"):
            self.assertIn(words, page.text)
        titles = re.findall(r"<figcaption>([^<]*)</figcaption>", (run / "report.html").read_text())
        self.assertEqual([title for title in titles if title in ("Evaluations", "likelihood loss")], ["Evaluations", "likelihood loss"], "a loss has another axis than shares")
        moods = [attrs["class"] for tag, attrs in page.seen if tag == "li" and "class" in attrs]
        self.assertEqual(moods, ["doubtful", "bad", "bad", "good"])
        levels = [attrs for tag, attrs in page.seen if tag == "line" and attrs.get("class") == "level c0"]
        self.assertEqual(len(levels), 1)
        sections = {attrs["id"] for tag, attrs in page.seen if tag == "section"}
        self.assertEqual({link[1:] for link in page.links if link.startswith("#")}, sections)

    def test_labels_of_the_graph_never_collide(self):
        for pipeline in ("pretrain.json", "quickstart.json", "methods/multi_crop/dinov2_l.json", "distill/relations/crd.json"):
            self.flowrun("draw", support.ROOT / "pipelines" / pipeline, "-o", "graph.svg")
            boxes = []
            for kind, size, anchor, place, words in re.findall(r'<text class="(port|title)"[^>]*font-size="([\d.]+)"([^>]*?)x="([\d.]+" y="[\d.]+)"[^>]*>([^<]*)<', (self.folder / "graph.svg").read_text()):
                x, y = map(float, place.split('" y="'))
                width = float(size) * 0.5 * len(words)
                boxes.append((x - width / 2 if "middle" in anchor else x, y, width, words))
            self.assertGreater(len(boxes), 8)
            for i, (x, y, width, words) in enumerate(boxes):
                for other_x, other_y, other_width, others in boxes[:i]:
                    apart = abs(y - other_y) >= 9 or x >= other_x + other_width or other_x >= x + width
                    self.assertTrue(apart, f"{pipeline}: {words} and {others}")

    def test_a_report_that_never_ends_keeps_no_run_from_its_end(self):
        self.write(support.training_pipeline(steps=2))
        environment = {**os.environ, "LD_PRELOAD": str(self.preloaded("stuck_report")), "FLOWRUN_REPORT_SECONDS": "0.2"}
        done = self.flowrun("pipeline.json", "--out", "run", env=environment)
        self.assertIn("report.html is not ready after 0.2 s, and the run ends without it; flowrun report run makes it", done.stderr)
        self.assertEqual(self.result("run")["status"], "done")
        self.assertFalse((self.folder / "run/report.html").exists())
        self.flowrun("report", "run")
        self.assertIn("not ready after 0.2 s", self.page().text)

    @unittest.skipUnless(BROWSER, "no browser: chromium is not installed")
    def test_in_a_browser(self):
        self.trained()
        for scheme, paper in (("1", (255, 255, 255)), ("0", (0x17, 0x18, 0x1B))):
            picture = screenshot(self.folder / "run/report.html", self.folder, scheme)
            self.assertEqual(picture.getpixel((3, 3)), paper)
            colours = picture.getcolors(1 << 24)
            self.assertGreater(len(colours), 500)
            covered = 1 - max(colours)[0] / (picture.width * picture.height)
            self.assertGreater(covered, 0.1)
            self.assertIn((0x3B, 0x7D, 0xC4), {colour for _, colour in colours}, "no curve was drawn")

    def test_a_failed_run(self):
        pipeline = support.training_pipeline()
        pipeline["nodes"]["update"]["lr"] = {"start": 1e30, "max": 1e30, "final": 1e30}
        self.write(pipeline)
        self.flowrun("pipeline.json", "--out", "run", "--quiet", status=1)
        page = self.page()
        self.assertIn("failed", page.text)
        self.assertIn(self.result("run")["error"].splitlines()[0], page.text)
        self.assertTrue([link for link in page.links if link.startswith("failed-step-")])

    def test_one_that_goes_on(self):
        page = self.made_up([{"step": 20, "epoch": 0.1, "loss": 0.5, "images_per_second": 10.0}, '{"step": 40, "los'])
        self.assertIn("the run goes on, or was killed", page.text)
        self.assertIn("20 reported", page.text)
        self.assertEqual(len(page.curves["loss"]), 1)

    def test_losses_that_are_not_finite(self):
        lines = [{"step": s, "loss": None if s in (3, 4) else 1 / s} for s in range(1, 7)]
        page = self.made_up(lines, result_json={"status": "done", "steps": 6})
        self.assertIn("not finite in 2 of the steps reported, first in step 3", page.text)
        self.assertEqual([point[0] for point in page.curves["loss"]], [1, 2, 5, 6])
        drawn = [attrs["d"] for tag, attrs in page.seen if tag == "path" and attrs.get("class") == "line c0"]
        self.assertEqual(drawn[0].count("M"), 2)
        page = self.only_null()
        self.assertIn("no value that is finite", page.text)

    def only_null(self):
        shutil.rmtree(self.folder / "run")
        return self.made_up([{"step": 1, "loss": None}, {"step": 2, "loss": None}])

    def test_many_lines_make_a_small_page(self):
        count = 300_000
        page = self.made_up(f'{{"step":{s},"loss":{1 + (s % 2)},"lr":{s}}}\n' for s in range(1, count + 1))
        self.assertLess((self.folder / "run/report.html").stat().st_size, 200_000)
        points = page.curves["lr"]
        self.assertLessEqual(len(points), 400)
        self.assertEqual(points[-1][0], count)
        self.assertTrue(all(abs(value - 1.5) < 0.01 for _, value, _, _ in page.curves["loss"]))
        bands = [attrs["d"] for tag, attrs in page.seen if tag == "path" and attrs.get("class") == "band c0"]
        self.assertEqual(len(bands), 2)

    def test_everything_is_escaped(self):
        evil = "<script>alert(1)</script>\"'&"
        run = self.folder / "run"
        page = self.made_up([{"step": 1, "loss": 1.0, evil: 2.0}], result_json={"status": "failed", "error": evil},
                            quarantine_jsonl={"step": 1, "sample": 3, "key": evil, "error": evil},
                            evaluations_jsonl={"node": evil, "step": 1, "accuracy": 0.5, evil: evil}, pipeline_resolved_json={"about": evil})
        self.assertEqual(sum(tag == "script" for tag, _ in page.seen), 1)
        self.assertIn(evil, page.curves)
        self.assertGreater(page.text.count(evil), 5)
        self.assertTrue(run.is_dir())

    def test_a_run_does_not_fail_for_it(self):
        (self.folder / "run/report.html/in-the-way").mkdir(parents=True)
        self.write(support.data_pipeline())
        done = self.flowrun("pipeline.json", "--out", "run", "--quiet")
        self.assertIn("warning: no report.html", done.stderr + done.stdout)
        self.assertEqual(self.result("run")["status"], "done")

    def test_no_run(self):
        self.assertIn("holds no run", self.flowrun("report", ".", status=1).stderr)


if __name__ == "__main__":
    support.main()
