"""Pictures and texts: captions of shards, tables and drawn pictures; two towers on ranks, resumed, in groups; zero-shot evaluation; faults."""
import io
import json
import tarfile
import unittest

import numpy as np
import safetensors.numpy
from PIL import Image

import support

CLIP = support.ROOT / "pipelines/compare/captions/clip.json"
SMALL = ["let.images=192", "let.batch=32", "let.group=8", "unseen.images=60", "unseen_batch.size=30", "run.epochs=1", "run.steps=4", "run.intra_op=1",
         "metrics.every=1 step", "save.every=2 steps", "zero_shot.at=end"]
VIT = {"type": "model.vit", "image": 32, "patch": 8, "width": 32, "depth": 1, "heads": 2, "registers": 0}


def settings(*more):
    return [part for text in [*SMALL, *more] for part in ("--set", text)]


class Captions(support.Folder):
    def lines(self, out):
        return [(line["step"], line["loss"], line["ledger"]) for line in self.metrics(out)]

    def checkpoint(self, out, step=4):
        return {file.name: file for file in sorted((self.folder / out / f"checkpoints/step-{step}").glob("*.safetensors"))}

    def with_sgd(self):
        """Nothing depends on groups, and Adam makes no step of what is nothing but rounding."""
        models = json.loads(self.flowrun("expand", CLIP).stdout)["nodes"]["update"]["models"]
        update = {"type": "train.sgd", "in": "loss", "models": models, "lr": {"max": 0.02, "final": 0.02}}
        return self.write({"about": "With SGD and a ViT", "extends": str(CLIP), "swap": {"update": update, "picture_tower": VIT}}, "sgd.json")

    def same(self, one, two):
        for (step, mine, ledger), (other_step, theirs, other_ledger) in zip(self.lines(one), self.lines(two), strict=True):
            self.assertEqual((step, ledger), (other_step, other_ledger))
            self.assertAlmostEqual(mine, theirs, delta=1e-6 * max(1, abs(theirs)))
        mine, theirs = self.checkpoint(one), self.checkpoint(two)
        self.assertIn("temperature.safetensors", mine)
        for name, file in mine.items():
            others = safetensors.numpy.load_file(theirs[name])
            for tensor, value in safetensors.numpy.load_file(file).items():
                np.testing.assert_allclose(value, others[tensor], rtol=1e-4, atol=2e-5, err_msg=f"{name}: {tensor}")

    def test_ranks_and_groups_train_the_same(self):
        path = self.with_sgd()
        for world in (1, 2, 4):
            self.ended(self.ranks(world, path, *settings(), "--out", f"on-{world}", "--quiet"))
        self.flowrun(path, *settings("let.group=32"), "--out", "one-group", "--quiet")
        for out in ("on-2", "on-4", "one-group"):
            self.same("on-1", out)
        self.assertEqual(self.result("on-1")["zero_shot"]["accuracy"], self.result("on-4")["zero_shot"]["accuracy"])

    def test_coupling_and_threads_change_no_bit(self):
        runs = {"keep": (), "again": ("--set", "run.coupling=again"), "serial": ("--serial",), "jitter": ("--threads", 4, "--jitter", 3),
                "recompute": ("--set", "text_tower.recompute=true")}
        for out, options in runs.items():
            self.flowrun(CLIP, *settings(), *options, "--out", out, "--quiet")
        for out in runs:
            self.assertEqual(self.lines("keep"), self.lines(out))
            for name, file in self.checkpoint("keep").items():
                self.assertEqual(file.read_bytes(), self.checkpoint(out)[name].read_bytes(), (out, name))

    def test_a_run_resumes_as_if_never_stopped(self):
        self.flowrun(CLIP, *settings(), "--out", "whole", "--quiet")
        self.flowrun(CLIP, *settings("run.steps=2"), "--out", "parts", "--quiet")
        self.flowrun(CLIP, *settings(), "--out", "parts", "--resume", "--quiet")
        self.assertEqual(self.lines("parts"), self.lines("whole"))
        for name, file in self.checkpoint("whole").items():
            self.assertEqual(file.read_bytes(), self.checkpoint("parts")[name].read_bytes(), name)

    def test_prompts_are_templates_with_names(self):
        """Names in the place of {}, or prompts as they are; a class's place is its label."""
        things = ["T", "L", "arrow", "house", "mug", "fir", "flag", "face", "key", "moon"]
        (self.folder / "names.txt").write_text("\n".join(things) + "\r\n")
        (self.folder / "templates.txt").write_text("a {}\na red {}\n")
        found = {}
        for out, sets in {"source": [], "prompts": ['zero_shot.templates=["{}"]', "zero_shot.names=" + json.dumps([f"a {thing}" for thing in things])],
                          "file": ["zero_shot.names_file=names.txt"], "turned": ["zero_shot.names=" + json.dumps(things[::-1])],
                          "two": ['zero_shot.templates=["a {}", "a red {}"]'], "two_in_a_file": ["zero_shot.templates=[]", "zero_shot.templates_file=templates.txt"], "twice": ['zero_shot.templates=["a {}", "a {}"]']}.items():
            self.flowrun(CLIP, *settings(*sets), "--out", out, "--quiet")
            found[out] = [self.result(out)["zero_shot"][name] for name in ("accuracy", "accuracy_top5")]
            self.assertLessEqual(0, found[out][0])
            self.assertLess(found[out][0], found[out][1])
        self.assertEqual(found["source"], found["prompts"])
        self.assertEqual(found["source"], found["file"])
        self.assertEqual(found["source"], found["twice"])
        self.assertEqual(found["two"], found["two_in_a_file"])
        self.assertNotEqual(found["source"], found["turned"])

    def test_weights_of_a_run_give_its_accuracy(self):
        """Also frozen, and in one process where it was two."""
        self.ended(self.ranks(2, CLIP, *settings(), "--out", "out", "--quiet"))
        models = json.loads(self.flowrun("expand", CLIP).stdout)["models"]
        weights = [f"{name}.weights=out/checkpoints/step-4/{name}.safetensors" for name in models]
        self.flowrun(CLIP, *settings(*weights, 'zero_shot.at=["start"]', "run.steps=1", "text_tower.frozen=true", "text_head.frozen=true",
                                     'update.models=["picture_tower", "picture_head", "temperature"]'), "--out", "again", "--quiet")
        self.assertEqual(self.result("again")["zero_shot"]["accuracy"], self.result("out")["zero_shot"]["accuracy"])

    @unittest.skipUnless(support.EVERYTHING, "two minutes of training")
    def test_ten_prompts_name_unseen_pictures(self):
        self.flowrun(CLIP, "--out", "out", "--quiet")
        history = [entry["accuracy"] for entry in self.result("out")["zero_shot"]["history"]]
        self.assertLess(history[0], 0.2)
        self.assertGreater(history[-1], 0.5)

    def test_a_replay_shows_texts(self):
        self.flowrun(CLIP, *settings("run.steps=6"), "--out", "out", "--quiet")
        shown = json.loads(self.flowrun("replay", "out", "--sample", 7, "--epoch", 0, "--node", "batch", "--json").stdout)
        text = json.dumps(shown)
        self.assertRegex(text, r'"captions": \["an? [a-z]+ face"\]')
        self.assertTrue(shown["ledger"]["equal"])
        self.assertIn("ledgers are those of the run", self.flowrun("verify", "out").stdout)

    def pictures(self, count=24):
        for i in range(count):
            path = self.folder / f"data/c{i % 2}/{i:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(i).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)

    def from_folder(self, **more):
        """The same method on a folder, without an evaluation."""
        drop = ["zero_shot", "unseen_picture", "unseen_seen", "unseen_upload", "unseen_batch", "unseen_decode", "unseen"]
        return self.write({"about": "Of a folder", "extends": str(CLIP), "drop": drop, "swap": {"files": {"type": "source.folder", "path": "data", **more}, "picture_tower": VIT},
                           "set": {"run.epochs": 5, "run.intra_op": 1, "let.batch": 8, "let.group": 4, "metrics.every": "1 step", "save.every": "4 steps"}}, "folder.json")

    def test_a_table_gives_one_or_several_captions(self):
        self.pictures()
        lines = [f"data/c{i % 2}/{i:02}.png,picture {i}" for i in range(24)]
        (self.folder / "one.csv").write_text("\n".join(["path,caption", *lines]))
        (self.folder / "more.csv").write_text("\n".join(["path,caption", *lines, '03.png,"another, of three"']))
        ledgers = {}
        for name in ("one", "more"):
            path = self.from_folder(captions=f"{name}.csv")
            self.flowrun(path, "--out", name, "--quiet", "--set", "run.steps=12")
            ledgers[name] = [ledger for _, _, ledger in self.lines(name)]
        self.assertEqual(len(ledgers["one"]), 12)
        self.assertTrue(0 < sum(a != b for a, b in zip(*ledgers.values())) <= 4, "the picture with two captions is in a step of each epoch")
        # Other captions are other data.
        (self.folder / "one.csv").write_text("\n".join(["path,caption", *lines]).replace("picture 7", "something else"))
        said = self.flowrun(self.from_folder(captions="one.csv"), "--out", "one", "--resume", "--quiet", status=2).stderr
        self.assertIn("the data differ from those that the run began with", said)

    def test_a_table_without_a_caption_is_refused(self):
        self.pictures(8)
        lines = [f"c{i % 2}/{i:02}.png\tpicture {i}" for i in range(7)]
        (self.folder / "table.tsv").write_text("\n".join(lines))
        for more, text in (({"captions": "table.tsv"}, "the table table.tsv has no caption of c1/07.png: add a line, or name the other pictures in list"),
                           ({}, "captions are read, but no table is given: set captions to a .csv or .tsv of paths and texts")):
            self.assertIn(text, self.flowrun(self.from_folder(**more), "--out", "out", "--quiet", status=1).stderr)
        (self.folder / "table.tsv").write_text("\n".join([*lines, "c1/07.png"]))
        self.assertIn('table.tsv:8: "c1/07.png" has no caption behind a tab', self.flowrun(self.from_folder(captions="table.tsv"), "--out", "out", "--quiet", status=1).stderr)

    def shard(self, name, texts):
        """Pictures with .txt beside them; None: without."""
        (self.folder / "shards").mkdir(exist_ok=True)
        with tarfile.open(self.folder / "shards" / name, "w") as tar:
            for i, text in enumerate(texts):
                picture = io.BytesIO()
                Image.fromarray(np.random.default_rng(i).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(picture, "PNG")
                for ending, content in ((".txt", text), (".png", picture.getvalue())):
                    if content is None:
                        continue
                    data = content if isinstance(content, bytes) else content.encode()
                    member = tarfile.TarInfo(f"{i:03}{ending}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))

    def from_shards(self):
        path = self.from_folder()
        pipeline = json.loads((self.folder / path).read_text())
        pipeline["swap"]["files"] = {"type": "source.shards", "path": "shards"}
        return self.write(pipeline, "shards.json")

    def test_shards_give_the_text_beside_the_image(self):
        self.shard("a.tar", [f"picture {i}" for i in range(24)])
        self.assertIn("24 samples in 1 shard, no labels, 24 captions", self.flowrun("index", "shards").stdout)
        self.flowrun(self.from_shards(), "--out", "out")
        shown = self.flowrun("replay", "out", "--sample", 11, "--epoch", 0, "--node", "words").stdout
        self.assertIn('"picture 11"', shown)
        packed = self.flowrun("pack", "shards", "packed")
        self.assertIn("24 images have captions (.txt), which are not packed", packed.stdout + packed.stderr)

    def test_shards_without_a_text_are_refused_where_texts_are_read(self):
        self.shard("a.tar", ["one", None, "three", "four", "", "six", "seven", "eight"])
        self.assertIn("6 captions", self.flowrun("index", "shards").stdout)
        said = self.flowrun(self.from_shards(), "--out", "out", "--quiet", status=1).stderr
        self.assertIn("captions are read, but 2 of 8 images have no .txt beside them of up to 64 KiB, the first shards/a.tar: 001.png", said)

    def test_long_texts_are_listed_or_refused(self):
        self.shard("a.tar", ["a picture"] * 7 + ["a picture of more than twenty-two letters"])
        self.flowrun("index", "shards")
        self.flowrun(self.from_shards(), "--set", "run.epochs=1", "--out", "listed", "--quiet")
        kept = [json.loads(line) for line in (self.folder / "listed/quarantine.jsonl").read_text().splitlines()]
        self.assertEqual(len(kept), 1)
        self.assertIn("the caption takes 43 tokens, and context is 24: it was cut", json.dumps(kept[0]))
        said = self.flowrun(self.from_shards(), "--set", "words.longer=error", "--out", "error", "--quiet", status=1).stderr
        self.assertIn("words: the caption takes 43 tokens, and context is 24: raise context, or let longer cut it", said)

    def test_a_vocabulary_of_merges_trains(self):
        (self.folder / "merges.txt").write_text("#version: 0.2\nr e\nre d</w>\nf l\n")
        for vocabulary, model, status in ((517, 517, 0), (517, 516, 1)):
            out = f"with-{model}"
            done = self.flowrun(CLIP, *settings("words.vocabulary=merges.txt", "zero_shot.vocabulary=merges.txt", f"text_tower.vocabulary={model}"), "--out", out, "--quiet",
                                status=status)
            if status:
                self.assertIn("read: a text has the number 516, but text_tower knows 0 to 515: set vocabulary of text_tower to what the list of merges has", done.stderr)
        (self.folder / "merges.txt").write_text("#version: 0.2\nr e\nre x y\n")
        said = self.flowrun(CLIP, *settings("words.vocabulary=merges.txt"), "--out", "out", "--quiet", status=1).stderr
        self.assertIn('merges.txt:3: "re x y" is no merge', said)

    def test_faults_are_named_before_a_run(self):
        for sets, *texts in (
                (["text_head.layers=[32]"], "match: the width of scaled is 64, that of other 32", "let the heads of both towers end in one width"),
                (["text_tower.context=16"], "read: texts have 24 places, but text_tower takes 16", "context of text.tokens and of text_tower must agree",
                 "zero_shot: prompts have 24 places, but text_tower takes 16"),
                (["read.pool=start"], "read: the start of a text sees nothing of it, since text_tower is causal"),
                (["crop.count=2"], "match: the number of views of scaled is 2, that of other 1", "a picture has one text, so take one view of it"),
                (["text_tower.heads=5"], "5 heads don't divide a width of 64"),
                (["text_head.of=picture_tower", "picture_head.layers=[32]", "text_head.layers=[32]", "picture_tower.width=32"], "zero_shot: text_head takes vectors of width"),
                (['zero_shot.templates=["a thing"]'], '"a thing" has no {} for the class'),
                (["zero_shot.templates=[]"], "templates must have at least one sentence"),
                (["zero_shot.templates_file=templates.txt"], "templates are given already"),
                (["temperature.initial=0.001"], "initial must not be below least")):
            with self.subTest(str(sets)):
                said = self.flowrun("check", CLIP, *[part for text in sets for part in ("--set", text)], status=2).stderr
                for text in texts:
                    self.assertIn(text, said)

    def test_faults_of_a_run_are_named(self):
        for name, lines in (("bare", "a {}\na thing\n"), ("gap", "a {}\n\nthe {}\n"), ("empty", "")):
            (self.folder / f"{name}.txt").write_text(lines)
        for sets, text in (
                (["zero_shot.templates=[]", "zero_shot.templates_file=bare.txt"], 'zero_shot: bare.txt:2: "a thing" has no {} for the class'),
                (["zero_shot.templates=[]", "zero_shot.templates_file=gap.txt"], "zero_shot: gap.txt:2: the line is empty; a template is expected"),
                (["zero_shot.templates=[]", "zero_shot.templates_file=empty.txt"], "zero_shot: empty.txt is empty; a template with {} for the class is expected in each line"),
                (['zero_shot.names=["T", "L"]'], "zero_shot: there are names of 2 classes, but drawn pictures has 10"),
                (['unseen_batch.in={"image": "unseen_decode"}'], "zero_shot: the pictures have no labels: connect label from the source to batch.stack"),
                (['zero_shot.templates=["a photograph of a big {}"]'], 'zero_shot: the prompt "a photograph of a big T" takes 25 tokens, and context is 24')):
            with self.subTest(text):
                self.assertIn(text, self.flowrun(CLIP, *settings(*sets), "--out", "out", "--quiet", status=1).stderr)
        for more, text in (({"drop": ["scaled", "temperature"], "set": {"match.in.scaled": "picture", "loss.in.vectors": ["picture", "text"],
                                                                        "update.models": ["picture_tower", "picture_head", "text_tower", "text_head"]}},
                            "match: rows of scaled have lengths from"),
                           ({"drop": ["words"], "set": {"batch.in": {"image": "view"}}}, "read: there are no texts: connect text of text.tokens to batch.stack")):
            with self.subTest(text):
                path = self.write({"about": "A part is missing", "extends": str(CLIP), **more})
                self.assertIn(text, self.flowrun(path, *settings(), "--out", text[:5], "--quiet", status=1).stderr)


if __name__ == "__main__":
    support.main()
