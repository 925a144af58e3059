"""A run looked at afterwards: a sample becomes what it was in the run, ledgers are found again, and where they are not,
the reason is said."""
import json
import os
import shlex
import signal

from PIL import Image

import support


class Replay(support.Folder):
    def make_data(self, count=20):
        self.data = self.folder / "data"
        for index in range(count):
            path = self.data / f"class{index % 2}" / f"{index:02d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((40 + index, 30), 60).convert("RGB").save(path, quality=90)

    def folder_pipeline(self, size=10, kind="folder", path="data", **run):
        pipeline = support.data_pipeline(**run)
        pipeline["nodes"]["files"] = {"type": f"source.{kind}", "path": path}
        pipeline["nodes"]["batch"].update({"in": {"image": "flip", "label": "files"}, "size": size, "group": size // 2})
        return pipeline

    def run_pipeline(self, pipeline, out, *args, **options):
        self.write(pipeline, f"{out}.json")
        return self.flowrun(f"{out}.json", "--quiet", "--out", out, *args, **options)

    def replay(self, out, sample, epoch, *args, status=0):
        return json.loads(self.flowrun("replay", out, "--sample", sample, "--epoch", epoch, "--json", *args, status=status).stdout)

    def verify(self, out, *args, status=0):
        return json.loads(self.flowrun("verify", out, "--json", *args, status=status).stdout)

    def all_equal(self, out, *args, same_data=True):
        """Every reported ledger is found again."""
        steps = [(line["step"], line["ledger"]) for line in self.metrics(out)]
        result = self.verify(out, "--steps", f"1:{steps[-1][0]}", *args, status=0 if same_data else 1)
        self.assertEqual((result["equal"], result["same_data"]), (True, same_data))
        self.assertEqual([(step["step"], step["found"]) for step in result["steps"]], steps)

    def outputs(self, replayed):
        """{(node, port): (shape, hash)}"""
        return {(node["node"], output["port"]): (output["shape"], output["hash"]) for node in replayed["nodes"] for output in node["outputs"]}

    def differs(self, out, *reasons):
        """The steps whose ledgers differ now; every reason given contains one of these."""
        result = self.verify(out, "--steps", "1:1000000", status=1)
        wrong = [step for step in result["steps"] if not step["equal"]]
        for step in wrong:
            self.assertTrue(any(reason in step["reason"] for reason in reasons), step["reason"])
        first = self.flowrun("verify", out, "--steps", "1:1000000", status=1).stdout
        self.assertIn(f"step {wrong[0]['step']}: {wrong[0]['found']}, but the run had {wrong[0]['expected']}\n", first)
        self.assertIn(f"the first at step {wrong[0]['step']}\n  {wrong[0]['reason']}\n", first)
        return {step["step"] for step in wrong}

    # ---- what is equal

    def test_a_training_run_is_found_again(self):
        self.run_pipeline(support.training_pipeline(), "run")
        for threads in 1, 4:
            self.all_equal("run", "--threads", threads)
        self.assertEqual([step["step"] for step in self.verify("run")["steps"]], [1, 3, 6, 9, 12])
        self.assertEqual([step["step"] for step in self.verify("run", "--step", 7)["steps"]], [7])
        ledgers = {line["step"]: line["ledger"] for line in self.metrics("run")}
        for sample in range(0, 64, 7):
            first = self.replay("run", sample, 1, "--threads", 1)
            self.assertEqual(first["ledger"], {"step": first["step"], "found": ledgers[first["step"]], "expected": ledgers[first["step"]], "equal": True})
            if sample % 3 == 0:
                self.assertEqual(self.outputs(self.replay("run", sample, 1, "--threads", 4)), self.outputs(first))
            self.assertEqual(first["step"], 4 + first["position"] // 16 + 1)
            self.assertEqual((first["group"], first["place"]), (first["position"] % 16 // 8, first["position"] % 8))
            outputs = self.outputs(first)
            self.assertEqual(outputs["batch", "image"], outputs["flip", "image"])  # the stack holds the pixels of the flip

    def test_the_pictures_are_those_of_the_run_s_contact_sheet(self):
        """The run itself drew its first group: view, visible patches, target regions."""
        pipeline = support.training_pipeline()
        pipeline["nodes"]["sheet"] = {"type": "report.contact_sheet", "in": {"image": "batch", "mask": "mask"}, "side": 240}
        self.run_pipeline(pipeline, "run")
        sheet = Image.open(self.folder / "run/contact_sheet.png")
        found = sample = 0
        while found < 3:
            replayed = self.replay("run", sample, 0, "--png", "sample.png")
            with Image.open(self.folder / "sample.png") as opened:
                drawn = opened.convert("RGB")
            # Pictures of 48 pixels are drawn five times as large, views of 24 ten times, as in the sheet.
            self.assertEqual(drawn.size, (6 + 4 * 246, 6 + 246))
            if replayed["step"] == 1 and replayed["group"] == 0:
                found += 1
                left = 6 + 246 * replayed["place"]
                for part in range(3):
                    mine = drawn.crop((252 + 246 * part, 6, 492 + 246 * part, 246))
                    theirs = sheet.crop((left, 6 + 246 * part, left + 240, 246 + 246 * part))
                    self.assertEqual(mine.tobytes(), theirs.tobytes(), f"sample {sample}, part {part}")
            self.check_box(drawn, self.boxes(replayed)[0], (230, 159, 0))
            sample += 1

    def boxes(self, replayed):
        return next(output["boxes"] for node in replayed["nodes"] for output in node["outputs"] if "boxes" in output)

    def check_box(self, drawn, box, colour):
        """Outlined, and only outlined, five pixels for one."""
        left, top = 6 + 5 * box["x"], 6 + 5 * box["y"]
        right, bottom = left + 5 * box["width"] - 1, top + 5 * box["height"] - 1
        for x, y in (left, top), (right, top), (left, bottom), (right, bottom), ((left + right) // 2, top + 1), (right - 1, (top + bottom) // 2):
            self.assertEqual(drawn.getpixel((x, y)), colour)
        for x, y in (left + 2, top + 2), (right - 2, bottom - 2), (left - 1, top), (left, top - 1):
            self.assertNotEqual(drawn.getpixel((x, y)), colour)

    def test_masks_are_counted(self):
        self.run_pipeline(support.data_pipeline(), "run")
        replayed = self.replay("run", 3, 2)
        mask = replayed["nodes"][-1]
        self.assertEqual(mask["node"], "mask")
        counts = mask["outputs"][0]["masks"][0]
        self.assertEqual(mask["outputs"][0]["grid"], 6)
        self.assertEqual(mask["outputs"][0]["shape"], f"{counts['visible']} visible, {counts['targets']} targets of 36 patches")
        self.flowrun("replay", "run", "--sample", 3, "--epoch", 2, "--png", "sample.png")
        image = Image.open(self.folder / "sample.png").convert("RGB")
        view, seen = (image.crop((left, 6, left + 240, 246)) for left in (252, 498))
        same = sum(view.getpixel((x, y)) == seen.getpixel((x, y)) for x in range(5, 240, 40) for y in range(5, 240, 40))
        self.assertEqual(same, counts["visible"])

    def test_several_views_have_boxes_and_frames(self):
        pipeline = support.data_pipeline()
        pipeline["nodes"]["crop"].update(count=3, area=[0.1, 0.3])
        del pipeline["nodes"]["mask"], pipeline["nodes"]["sheet"]
        self.run_pipeline(pipeline, "run")
        self.all_equal("run")
        replayed = self.replay("run", 5, 1, "--png", "sample.png")
        self.assertEqual(self.outputs(replayed)["flip", "image"][0], "3 views of 24 x 24 x 3")
        image = Image.open(self.folder / "sample.png").convert("RGB")
        self.assertEqual(image.size, (6 + 2 * 246, 6 + 3 * 246))
        for view, (box, colour) in enumerate(zip(self.boxes(replayed), [(230, 159, 0), (86, 180, 233), (0, 158, 115)])):
            self.assertEqual(image.getpixel((250, 6 + 246 * view + 100)), colour)
            colours = [pixel for _, pixel in image.crop((6, 6, 246, 246)).getcolors(1 << 20)]
            self.assertIn(colour, colours)
        last = self.boxes(replayed)[2]  # drawn over the others
        self.check_box(image, last, (0, 158, 115))

    def test_after_a_stop_and_a_resume(self):
        pipeline = support.training_pipeline(epochs=8)
        self.write(pipeline, "run.json")
        process = self.start("run.json", "--quiet", "--out", "run")
        self.wait_until(lambda: (self.folder / "run/metrics.jsonl").exists() and self.metrics("run"), process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 75)
        self.assertLess(self.metrics("run")[-1]["step"], 32)
        self.all_equal("run")
        self.flowrun("run.json", "--quiet", "--resume", "--out", "run", "--threads", 3)
        self.assertEqual(len(self.metrics("run")), 32)
        self.all_equal("run")

    def test_shards_give_what_the_folder_gives(self):
        self.make_data()
        self.flowrun("pack", "data", "shards", "--quiet")
        self.run_pipeline(self.folder_pipeline(), "folder")
        self.run_pipeline(self.folder_pipeline(kind="shards", path="shards"), "shards-run")
        self.all_equal("folder")
        self.all_equal("shards-run", "--threads", 4)
        for sample in range(0, 20, 3):
            self.assertEqual(self.outputs(self.replay("folder", sample, 1)), self.outputs(self.replay("shards-run", sample, 1)))
        key = self.replay("shards-run", 4, 0)["key"]
        self.assertEqual(self.replay("shards-run", key, 0)["sample"], 4)

    def test_a_side_branch_is_run_when_it_is_asked_for(self):
        pipeline = support.training_pipeline()
        pipeline["nodes"]["aside"] = {"type": "image.grayscale", "in": "view", "p": 1}
        pipeline["nodes"]["aside_batch"] = {"type": "batch.stack", "in": "aside", "size": 16, "group": 8}
        pipeline["nodes"]["aside_sheet"] = {"type": "report.contact_sheet", "in": {"image": "aside_batch"}}
        self.run_pipeline(pipeline, "run")
        self.all_equal("run")
        self.assertNotIn("aside", [node["node"] for node in self.replay("run", 1, 0)["nodes"]])
        replayed = self.replay("run", 1, 0, "--node", "aside_batch")
        self.assertEqual([node["node"] for node in replayed["nodes"]], ["files", "crop", "decode", "view", "aside", "aside_batch"])
        self.assertTrue(replayed["ledger"]["equal"])
        self.assertEqual(self.outputs(replayed)["aside_batch", "image"], self.outputs(replayed)["aside", "image"])

    def test_device_nodes_that_draw_are_repeated(self):
        """Mixing adds its draws to the ledger, after the upload."""
        self.make_data(40)
        pipeline = self.folder_pipeline(epochs=2)
        del pipeline["nodes"]["mask"], pipeline["nodes"]["sheet"]
        pipeline["models"] = {
            "encoder": {"type": "model.vit", "image": 24, "patch": 4, "width": 24, "depth": 2, "heads": 2, "init": "mae"},
            "classifier": {"type": "model.classifier", "encoder": "encoder", "classes": 2},
        }
        pipeline["nodes"].update({
            "upload": {"type": "device.upload", "in": "batch.*"},
            "mix": {"type": "supervised.mix", "in": "upload.*", "classes": 2},
            "scores": {"type": "supervised.classify", "in": "mix", "encoder": "encoder", "classifier": "classifier"},
            "loss": {"type": "loss.cross_entropy", "in": {"logits": "scores", "soft_label": "mix"}},
            "update": {"type": "train.adamw", "in": "loss", "models": ["encoder", "classifier"], "lr": {"start": 0, "max": 1e-3, "final": 0}},
            "metrics": {"type": "report.metrics", "in": "loss", "every": "1 step", "tensorboard": False},
        })
        self.run_pipeline(pipeline, "run")
        self.all_equal("run")
        without = json.loads((self.folder / "run.json").read_text())
        without["nodes"]["mix"].update(mixup=0, cutmix=0)
        self.run_pipeline(without, "without")
        self.assertNotEqual(self.history("without")[0][1], self.history("run")[0][1])  # it does write

    # ---- samples that failed

    def test_replaced_samples(self):
        self.make_data()
        for index in range(4):
            (self.data / f"class0/bad{index}.jpg").write_bytes(b"no picture")
        self.run_pipeline(self.folder_pipeline(size=12, epochs=4, max_bad=100), "run")
        self.all_equal("run", "--threads", 1)
        self.all_equal("run", "--threads", 4)
        lines = [json.loads(line) for line in (self.folder / "run/quarantine.jsonl").read_text().splitlines()]
        self.assertGreaterEqual(len(lines), 16)
        stood = 0
        for line in lines[::2]:
            replayed = self.replay("run", line["sample"], line["epoch"], status=1)
            self.assertEqual([node["node"] for node in replayed["nodes"]], ["files"])
            self.assertTrue(replayed["error"].startswith("crop: "), replayed["error"])
            self.assertIn(line["error"], replayed["error"])
            self.assertTrue(replayed["ledger"]["equal"])
            self.assertTrue(replayed["fails_now"])
            other = replayed["replaced_by"]
            if replayed["position"] != line["position"] or "bad" in other["key"]:
                continue  # it failed in several places
            again = self.replay("run", other["sample"], line["epoch"])
            self.assertTrue(again["ledger"]["equal"])
            if "instead_of" in again:
                stood += 1
                self.assertEqual((again["position"], again["instead_of"]["key"]), (line["position"], line["key"]))
        text = self.flowrun("replay", "run", "--sample", lines[0]["key"], "--epoch", lines[0]["epoch"], status=1)
        self.assertIn("in the run it failed, and was replaced by sample ", text.stdout)
        self.assertIn(f"error: {lines[0]['error']}\n  sample {lines[0]['sample']} of files: {lines[0]['key']}\n  epoch 0, step 1\n", text.stderr)
        # It fails after the node that is asked for.
        self.replay("run", lines[0]["sample"], 0, "--node", "files")
        self.mend(lines[0])

    def mend(self, line):
        """Files that were repaired since: the replay still equals the run."""
        for path in self.data.glob("class0/bad*.jpg"):
            Image.effect_noise((50, 50), 60).convert("RGB").save(path)
        self.all_equal("run", same_data=False)
        replayed = self.replay("run", line["sample"], line["epoch"])
        self.assertFalse(replayed["fails_now"])
        self.assertIn("replaced_by", replayed)
        self.assertEqual([node["node"] for node in replayed["nodes"]], ["files", "crop", "decode", "view", "flip"])
        self.assertTrue(replayed["ledger"]["equal"])

    def test_substitutes_stand_where_the_run_had_them(self):
        """Few good samples for many bad ones: substitutes that are not in their own epoch, or fail themselves."""
        self.make_data(30)
        for index in range(20):
            (self.data / f"class0/bad{index}.jpg").write_bytes(b"no picture")
        self.run_pipeline(self.folder_pipeline(size=32, epochs=3, max_bad=1000), "run")
        self.all_equal("run")
        twice = instead = 0
        for sample in range(50):
            done = self.start("replay", "run", "--sample", sample, "--epoch", 1, "--json")
            out, err = done.communicate()
            if done.returncode == 2:
                self.assertRegex(err, rf"^error: sample {sample} is not in epoch 1: it is one of the 18 that are left over at its end")
                continue
            replayed = json.loads(out)
            self.assertTrue(replayed["ledger"]["equal"])
            self.assertEqual(done.returncode, int("bad" in replayed["key"]))
            instead += "instead_of" in replayed and "error" not in replayed
            twice += "instead_of" in replayed and "error" in replayed
        self.assertGreater(instead, 1)
        self.assertGreater(twice, 0)

    def test_a_failed_run_says_how_to_look_again(self):
        self.make_data()
        jpeg = (self.data / "class0/00.jpg").read_bytes()
        (self.data / "class0/cut.jpg").write_bytes(jpeg[: len(jpeg) * 6 // 10])
        self.write(self.folder_pipeline(size=20), "run.json")
        for out, args in ("one", ["--serial"]), ("four", ["--threads", 4]):
            err = self.flowrun("run.json", "--quiet", "--out", out, *args, status=1).stderr
            message, command = err[err.index("error: "):].strip().split("\n  replay: flowrun ")
            self.assertRegex(command, rf"^replay {out} --sample \d+ --epoch \d --node decode$")
            done = self.flowrun(*shlex.split(command), status=1)
            self.assertIn("crop             region", done.stdout)
            self.assertNotIn("decode  ", done.stdout)
            self.assertEqual(done.stderr.strip(), message.replace("\n  repair or delete the file, or set run.max_bad to let that many samples be replaced", ""))

    # ---- what is not equal

    def test_a_file_that_was_changed(self):
        self.make_data(40)
        self.run_pipeline(self.folder_pipeline(), "run")
        self.all_equal("run")
        steps = {self.replay("run", 6, epoch)["step"] for epoch in range(3)}
        path = self.folder / self.replay("run", 6, 0)["key"]
        with Image.open(path) as picture:
            turned = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        turned.save(path, quality=90)
        self.assertEqual(self.differs("run", f"{path.relative_to(self.folder)} was changed after the run began"), steps)
        replayed = self.replay("run", 6, 0, status=1)
        self.assertFalse(replayed["ledger"]["equal"])
        self.assertIn("was changed", replayed["ledger"]["note"])
        path.write_bytes(b"no picture")
        self.assertEqual(self.differs("run", f"{path.relative_to(self.folder)} could be read in the run and fails now: crop: "), steps)

    def test_files_that_came_or_went(self):
        self.make_data(40)
        self.run_pipeline(self.folder_pipeline(), "run")
        kept = (self.data / "class1/39.jpg").read_bytes()
        (self.data / "class1/39.jpg").unlink()
        # Other numbers of samples have other orders: nothing of the run can be repeated.
        for command in ("verify", "run"), ("replay", "run", "--sample", 0, "--epoch", 0):
            err = self.flowrun(*command, status=2).stderr
            self.assertRegex(err, r"error: the data differ from those of the run.*\n  files: 40 samples, \d+ bytes then; 39 samples, \d+ bytes now")
        (self.data / "class1/39.jpg").write_bytes(kept)
        self.assertEqual(self.flowrun("verify", "run").stderr, "")
        (self.data / "class1/39.jpg").rename(self.data / "class1/00.jpg")
        self.assertTrue(self.differs("run", "files of data/class1 were added, removed or renamed", "data/class1/00.jpg was changed"))

    def test_a_metrics_line_that_was_changed(self):
        self.run_pipeline(support.data_pipeline(), "run")
        lines = self.metrics("run")
        lines[4]["ledger"] = "0" * 15 + "1"
        (self.folder / "run/metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 13, "led')
        self.assertEqual(self.differs("run", "no file of the step is newer than the run: metrics.jsonl was changed"), {5})

    def test_a_pipeline_that_was_edited(self):
        self.run_pipeline(support.data_pipeline(), "run")
        path = self.folder / "run/pipeline.resolved.json"
        stored = json.loads(path.read_text())
        stored["nodes"]["flip"]["p"] = 0
        path.write_text(json.dumps(stored))
        self.assertEqual(len(self.differs("run", "pipeline.resolved.json was edited after the run began")), 12)

    # ---- what can't be asked

    def test_steps_that_were_not_reported(self):
        pipeline = support.data_pipeline()
        pipeline["nodes"]["metrics"]["every"] = "5 steps"
        self.run_pipeline(pipeline, "run")
        notes = {}
        for sample in range(6):
            for epoch in 0, 2:
                ledger = self.replay("run", sample, epoch)["ledger"]
                self.assertEqual(ledger["equal"], True if ledger["step"] in (5, 10, 12) else None)  # 12 is the last
                notes[ledger["step"]] = ledger.get("note")
        beside = lambda step: ("the first reported step is 5" if step < 5 else  # noqa: E731
                               "the reported steps beside it are 5 and 10" if step < 10 else "the reported steps beside it are 10 and 12")
        for step in set(notes) - {5, 10, 12}:
            self.assertEqual(notes[step], f"step {step} was not reported: {beside(step)}")
        self.assertTrue(min(notes) < 5 and max(notes) > 10, notes)
        err = self.flowrun("verify", "run", "--step", 4, status=2).stderr
        self.assertEqual(err, 'error: step 4 was not reported: the first reported step is 5\n')
        self.assertEqual([step["step"] for step in self.verify("run", "--steps", "1:100")["steps"]], [5, 10, 12])
        err = self.flowrun("verify", "run", "--steps", "6:9", status=2).stderr
        self.assertEqual(err, "error: no step from 6 to 9 was reported: those that were lie between 5 and 12\n")

    def test_wrong_words(self):
        self.make_data()
        self.run_pipeline(self.folder_pipeline(size=8), "run")
        for args, message in [
            (["--sample", 20, "--epoch", 0], "--sample 20 is out of range: files has the samples 0 to 19"),
            (["--sample", "03.jpg", "--epoch", 0], '--sample: files has no file 03.jpg; did you mean "data/class1/03.jpg"?'),
            (["--sample", 0, "--epoch", 3], "--epoch 3 is beyond the run: its epochs are 0 to 2"),
            (["--sample", 0, "--epoch", 0, "--node", "decde"],
             '--node: no node "decde"; did you mean "decode"? there are: files, crop, decode, view, flip, batch, mask, sheet'),
            (["--sample", 0, "--epoch", 0, "--node", "metrics"],
             "--node: metrics is a step node; what can be replayed: files, crop, decode, view, flip, batch, mask, sheet"),
            (["--sample", 0, "--epoch", 0, "--png", "sample.jpg"], "--png writes a PNG: give a name that ends in .png"),
        ]:
            self.assertEqual(self.flowrun("replay", "run", *args, status=2).stderr, f"error: {message}\n")
        os.mkdir(self.folder / "empty")
        for command in ["replay", "empty", "--sample", 0, "--epoch", 0], ["verify", "empty"]:
            self.assertEqual(self.flowrun(*command, status=2).stderr, "error: empty holds no run: there is no pipeline.resolved.json in it\n")
        for steps in "5", "a:b", "0:3", "3:":
            self.assertIn("--steps takes", self.flowrun("verify", "run", "--steps", steps, status=2).stderr)


if __name__ == "__main__":
    support.main()
