"""flowrun embed: features of pictures from a trained encoder, in files that other programs read."""
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image

import support

MODULE = support.FLOWRUN.parent / "libflowrun_arrow.so"
CLASSES = ("ant", "bee", "cat")
MEAN, STD = [0.5, 0.4, 0.3], [0.25, 0.2, 0.3]


def draw(folder, count=54):
    """Class folders of small pictures, of several sizes and shapes."""
    random = np.random.default_rng(1)
    for i in range(count):
        name = CLASSES[i % 3]
        (folder / name).mkdir(parents=True, exist_ok=True)
        small = random.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        small[..., i % 3] //= 4
        picture = Image.fromarray(small).resize((30 + i % 7, 28 + i % 11), Image.Resampling.BICUBIC)
        picture.save(folder / name / f"{i:03}.jpg", quality=90)


def pretraining(data):
    """A run whose evaluation sees the pictures through a resize and a crop."""
    pipeline = support.training_pipeline(epochs=1)
    for side in ("known", "unseen"):
        pipeline["nodes"] |= {
            side: {"type": "source.folder", "path": str(data)},
            f"{side}_decode": {"type": "image.decode", "in": side},
            f"{side}_smaller": {"type": "image.resize", "in": f"{side}_decode", "size": 27, "fit": "shortest"},
            f"{side}_view": {"type": "image.center_crop", "in": f"{side}_smaller", "size": 24},
            f"{side}_batch": {"type": "batch.stack", "in": {"image": f"{side}_view", "label": side}, "size": 8},
            f"{side}_upload": {"type": "device.upload", "in": f"{side}_batch.*", "mean": MEAN, "std": STD},
            f"{side}_features": {"type": "eval.features", "in": f"{side}_upload.*", "model": "teacher"}}
    pipeline["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "k": [5]}
    return pipeline


def view(path, shortest=27, side=24):
    picture = Image.open(path).convert("RGB")
    size = tuple(int(shortest * length / min(picture.size)) for length in picture.size)
    picture = picture.resize(size, Image.Resampling.BICUBIC)
    left, top = (int(round((length - side) / 2)) for length in picture.size)
    return np.asarray(picture.crop((left, top, left + side, top + side)), dtype=np.float32)


class Embed(support.Folder):
    @classmethod
    def setUpClass(cls):
        cls.shared = pathlib.Path(tempfile.mkdtemp(prefix="flowrun-embed-"))
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.data, cls.run_folder = cls.shared / "data", cls.shared / "run"
        draw(cls.data)
        cls.paths = sorted(cls.data.rglob("*.jpg"))
        (cls.shared / "pretrain.json").write_text(json.dumps(pretraining(cls.data)))
        subprocess.run([support.FLOWRUN, "pretrain.json", "--out", "run", "--quiet"], cwd=cls.shared, check=True, capture_output=True)

    def embed(self, out, *more, weights=None, data=None, **options):
        """On one thread inside operations: it shares the last bits of sums."""
        return self.flowrun("embed", weights or self.run_folder, data or self.data, out, "--set", "run.intra_op=1", *more, **options)

    def features(self, out, *more, **options):
        self.embed(out, *more, **options)
        return np.load(self.folder / out)

    def lines(self, name):
        return (self.folder / name).read_text().splitlines()

    def encoder(self):
        """timm's, with the run's teacher."""
        from safetensors.torch import load_file
        from timm.models.vision_transformer import VisionTransformer

        if not (self.shared / "teacher.safetensors").exists():
            self.flowrun("export", self.run_folder, self.shared / "teacher.safetensors")
        model = VisionTransformer(img_size=24, patch_size=4, embed_dim=24, depth=2, num_heads=2, class_token=True, reg_tokens=1, no_embed_class=True, num_classes=0)
        model.load_state_dict(load_file(self.shared / "teacher.safetensors"), strict=True)
        return model.eval()

    def tokens(self, block=None):
        import torch

        pixels = np.stack([(view(path) / 255 - MEAN) / STD for path in self.paths]).astype(np.float32)
        model = self.encoder()
        with torch.no_grad():
            x = torch.from_numpy(pixels).permute(0, 3, 1, 2)
            if block is None:
                return model.forward_features(x).numpy()
            return model.forward_intermediates(x, indices=[block - 1], norm=False, intermediates_only=True, output_fmt="NLC", return_prefix_tokens=True)[0]

    def test_features_are_timms_and_those_of_the_evaluation(self):
        said = self.embed("mean.npy").stdout
        self.assertIn("mean.npy: 54 x 24 float32, with labels", said)
        tokens = self.tokens()
        mean = np.load(self.folder / "mean.npy")
        self.assertEqual(mean.dtype, np.float32)
        np.testing.assert_allclose(mean, tokens[:, 2:].mean(1), atol=1e-4)
        np.testing.assert_allclose(self.features("cls.npy", "--what", "cls"), tokens[:, 0], atol=1e-4)
        np.testing.assert_allclose(self.features("tokens.npy", "--what", "tokens"), tokens, atol=1e-4)
        both = self.features("both.npy", "--what", "cls_mean", "--half")
        self.assertEqual(both.dtype, np.float16)
        np.testing.assert_allclose(both, np.concatenate([tokens[:, 0], tokens[:, 2:].mean(1)], 1), atol=5e-3)
        # Beside it lie a key for each row, and labels with their names.
        self.assertEqual(self.lines("mean.keys.txt"), [str(path) for path in self.paths])
        labels = np.load(self.folder / "mean.labels.npy")
        self.assertEqual([CLASSES[label] for label in labels], [path.parent.name for path in self.paths])
        self.assertEqual(self.lines("mean.classes.txt"), list(CLASSES))
        self.assertEqual(sorted(path.name for path in self.folder.glob("mean*")), ["mean.classes.txt", "mean.keys.txt", "mean.labels.npy", "mean.npy", "mean.npy.json"])
        # Neighbours vote as in the run's evaluation, which saw the same pictures by the same encoder.
        x = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        similarity = x @ x.T
        near = np.argsort(-similarity, axis=1, kind="stable")[:, :5]
        votes = np.zeros((len(x), 3))
        for column in range(5):
            rows = np.arange(len(x))
            votes[rows, labels[near[:, column]]] += np.exp(similarity[rows, near[:, column]] / 0.07)
        result = json.loads((self.run_folder / "result.json").read_text())
        self.assertAlmostEqual(result["knn"]["accuracy"], (votes.argmax(1) == labels).mean(), places=6)

    def test_blocks(self):
        first, prefix = (x.numpy() for x in self.tokens(block=1))
        np.testing.assert_allclose(self.features("tokens.npy", "--what", "tokens", "--block", 1), np.concatenate([prefix, first], 1), atol=1e-4)
        second, _ = (x.numpy() for x in self.tokens(block=2))
        both = self.features("both.npy", "--block", "1,2")
        np.testing.assert_allclose(both, np.concatenate([first.mean(1), second.mean(1)], 1), atol=1e-4)
        np.testing.assert_allclose(self.features("cls.npy", "--what", "cls", "--block", 1), prefix[:, 0], atol=1e-4)

    def test_threads_ranks_and_formats_change_no_byte(self):
        self.embed("one.npy", "--threads", 1)
        self.embed("three.npy", "--threads", 3)
        one = (self.folder / "one.npy").read_bytes()
        self.assertEqual((self.folder / "three.npy").read_bytes(), one)
        words = ["embed", self.run_folder, self.data]
        texts = self.ended(self.ranks(2, *words, "two.npy", "--set", "run.intra_op=1"))
        self.assertIn("two.npy: 54 x 24", texts[0])
        self.assertNotIn("two.npy: 54 x 24", texts[1])
        self.assertEqual((self.folder / "two.npy").read_bytes(), one)
        for name in ("labels.npy", "keys.txt", "classes.txt"):
            self.assertEqual((self.folder / f"two.{name}").read_bytes(), (self.folder / f"one.{name}").read_bytes())
        from safetensors.numpy import load_file

        self.ended(self.ranks(2, *words, "two.safetensors", "--set", "run.intra_op=1"))
        self.embed("one.safetensors")
        self.assertEqual((self.folder / "two.safetensors").read_bytes(), (self.folder / "one.safetensors").read_bytes())
        both = load_file(self.folder / "one.safetensors")
        self.assertTrue(np.array_equal(both["features"], np.load(self.folder / "one.npy")))
        self.assertTrue(np.array_equal(both["labels"], np.load(self.folder / "one.labels.npy")))

    def test_a_killed_call_goes_on(self):
        self.embed("whole.npy", "--no-labels")
        whole = (self.folder / "whole.npy").read_bytes()
        slow = {**os.environ, "LD_PRELOAD": str(self.preloaded("slow_files")), "SLOW_FILES_MS": "20"}
        words = [self.run_folder, self.data, "part.npy", "--no-labels", "--set", "run.intra_op=1", "--set", "rows.save=8", "--set", "run.read_ahead=0"]
        process = self.start("embed", *words, "--threads", 1, env=slow)
        record = self.folder / "part.npy.progress"
        self.wait_until(lambda: record.exists() and record.read_bytes().count(b"1", record.read_bytes().find(b"\n")) >= 16, process, "16 rows")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.assertNotEqual((self.folder / "part.npy").read_bytes(), whole)
        for change, what in ((("--what", "cls"), "options"), (("--model", "student"), "weights")):
            self.assertIn(f"part.npy.progress was begun with other {what}", self.flowrun("embed", *words, *change, status=2).stderr)
        other = self.folder / "other"
        shutil.copytree(self.data, other)
        (other / "ant" / "000.jpg").unlink()
        self.assertIn("was begun with other pictures", self.flowrun("embed", words[0], other, *words[2:], status=2).stderr)
        # Ctrl-C leaves a note, too; then two ranks end what one began.
        process = self.start("embed", *words, "--threads", 1, env=slow)
        done = record.read_bytes().split(b"\n", 1)[1].count(b"1")
        self.wait_until(lambda: record.read_bytes().split(b"\n", 1)[1].count(b"1") > done, process, "more rows")
        process.send_signal(signal.SIGINT)
        said, error = process.communicate()
        self.assertEqual(process.returncode, 75, error)
        self.assertIn("of 54 rows; the same command goes on", said)
        self.assertIn("rows are there already", self.ended(self.ranks(2, "embed", *words))[0])
        self.assertEqual((self.folder / "part.npy").read_bytes(), whole)
        self.assertFalse(record.exists())
        # Called once more it has nothing to do; with other words it replaces nothing unasked.
        self.assertIn("part.npy is complete already, of the same weights, pictures and options", self.flowrun("embed", *words).stdout)
        self.assertIn("part.npy.json was begun with other options", self.flowrun("embed", *words, "--what", "cls", status=2).stderr)
        (self.folder / "part.npy.json").unlink()
        self.assertIn("part.npy is there already: name another file, or replace it with --again", self.flowrun("embed", *words, status=2).stderr)
        self.assertEqual((self.folder / "part.npy").read_bytes(), whole)
        self.flowrun("embed", *words, "--again", "--what", "cls")
        self.assertNotEqual((self.folder / "part.npy").read_bytes(), whole)

    def test_files_that_can_not_be_decoded(self):
        good = self.features("good.npy")
        data = self.folder / "data"
        shutil.copytree(self.data, data)
        broken = {3: b"", 20: b"no picture at all", 31: (data / self.paths[31].relative_to(self.data)).read_bytes()[:300]}
        for row, content in broken.items():
            (data / self.paths[row].relative_to(self.data)).write_bytes(content)
        done = self.embed("bad.npy", data="data")
        self.assertIn("3 files can't be decoded, the first data/ant/009.jpg: ", done.stdout)
        bad = np.load(self.folder / "bad.npy")
        self.assertEqual(np.flatnonzero(np.isnan(bad).all(1)).tolist(), sorted(broken))
        kept = [row for row in range(len(good)) if row not in broken]
        self.assertTrue(np.array_equal(bad[kept], good[kept]))
        listed = [json.loads(line) for line in self.lines("bad.faults.jsonl")]
        self.assertEqual([(entry["row"], entry["key"]) for entry in listed], [(row, str("data" / self.paths[row].relative_to(self.data))) for row in sorted(broken)])
        self.assertTrue(all(entry["error"] for entry in listed))

    def test_lists_shards_and_flat_folders(self):
        all_of = self.features("all.npy")
        rows = [1, 5, 40]
        (self.folder / "some.txt").write_text("".join(f"{self.paths[row].relative_to(self.data)}\n" for row in rows))
        some = self.features("some.npy", "--folder", self.data, data="some.txt")
        np.testing.assert_allclose(some, all_of[rows], atol=1e-5)
        self.assertEqual(np.load(self.folder / "some.labels.npy").tolist(), np.load(self.folder / "all.labels.npy")[rows].tolist())
        self.flowrun("pack", self.data, "shards", "--shard-mib", 1)
        self.assertTrue(np.array_equal(self.features("shards.npy", data="shards"), all_of))
        self.assertEqual((self.folder / "shards.labels.npy").read_bytes(), (self.folder / "all.labels.npy").read_bytes())
        self.assertTrue(self.lines("shards.keys.txt")[0].endswith("ant/000.jpg"))
        flat = self.features("flat.npy", data=self.data / "bee")
        np.testing.assert_allclose(flat, all_of[18:36], atol=1e-5)
        self.assertFalse((self.folder / "flat.labels.npy").exists())
        self.features("plain.npy", "--no-labels")
        self.assertFalse((self.folder / "plain.labels.npy").exists())

    def test_files_of_weights_and_hub_folders(self):
        import timm
        import torch

        self.flowrun("export", self.run_folder, "hub")
        model = timm.create_model(f"local-dir:{self.folder}/hub", pretrained=True).eval()
        transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model), is_training=False)
        with torch.no_grad():
            expected = model(torch.stack([transform(Image.open(path).convert("RGB")) for path in self.paths])).numpy()
        done = self.embed("hub.npy", weights="hub")
        self.assertIn("as config.json says", done.stderr)
        np.testing.assert_allclose(np.load(self.folder / "hub.npy"), expected, atol=1e-4)
        # As transformers says it: both sides resized, another mean and epsilon.
        (self.folder / "other").mkdir()
        shutil.copy(self.folder / "hub/model.safetensors", self.folder / "other/model.safetensors")
        (self.folder / "other/config.json").write_text(json.dumps({"model_type": "vit", "num_attention_heads": 2, "layer_norm_eps": 1e-2, "image_size": 24}))
        (self.folder / "other/preprocessor_config.json").write_text(json.dumps(
            {"image_mean": MEAN, "image_std": STD, "size": {"height": 24, "width": 24}, "resample": 2, "do_resize": True}))
        done = self.embed("other.npy", "--what", "cls", weights="other")
        self.assertIn("resize 24 as preprocessor_config.json says", done.stderr)
        for module in model.modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.eps = 1e-2
        squares = [np.asarray(Image.open(path).convert("RGB").resize((24, 24), Image.Resampling.BILINEAR)) for path in self.paths]
        pixels = torch.from_numpy(np.stack([(square / 255 - MEAN) / STD for square in squares]).astype(np.float32)).permute(0, 3, 1, 2)
        with torch.no_grad():
            np.testing.assert_allclose(np.load(self.folder / "other.npy"), model(pixels).numpy(), atol=1e-4)
        # The file alone, of the checkpoint and elsewhere.
        shutil.copy(self.folder / "hub/model.safetensors", self.folder / "alone.safetensors")
        done = self.embed("alone.npy", "--what", "cls", weights="alone.safetensors")
        self.assertIn("mean and standard deviation of ImageNet", done.stderr)
        checkpoint = max((self.run_folder / "checkpoints").glob("step-*"), key=lambda path: int(path.name[5:]))
        student = self.features("student.npy", weights=checkpoint / "student.safetensors")
        self.assertTrue(np.array_equal(student, self.features("student2.npy", "--model", "student", "--step", checkpoint.name[5:])))
        self.assertFalse(np.array_equal(student, self.features("teacher.npy", weights=checkpoint)))

    def test_the_printed_pipeline_runs(self):
        self.embed("made.npy")
        printed = self.embed("printed.npy", "--print").stdout
        self.assertFalse((self.folder / "printed.npy").exists())
        (self.folder / "printed.json").write_text(printed)
        self.flowrun("printed.json", "--out", "printed")
        self.assertEqual((self.folder / "printed.npy").read_bytes(), (self.folder / "made.npy").read_bytes())
        self.assertEqual(self.result("printed")["rows"]["rows"], 54)

    def test_parquet(self):
        without = self.embed("x.parquet", env={**os.environ, "FLOWRUN_PYTHON": "false"}, status=2).stderr
        self.assertIn("which false does not have: pip install pyarrow", without)
        self.assertEqual(list(self.folder.iterdir()), [])
        if importlib.util.find_spec("pyarrow") is None:
            self.skipTest("no pyarrow")
        import pyarrow.parquet

        self.embed("x.npy")
        self.embed("x.parquet", "--again", env={**os.environ, "FLOWRUN_PYTHON": sys.executable})
        table = pyarrow.parquet.read_table(self.folder / "x.parquet")
        self.assertEqual(table.column_names, ["key", "label", "feature"])
        self.assertEqual(table["key"].to_pylist(), [str(path) for path in self.paths])
        self.assertEqual(table["label"].to_pylist(), np.load(self.folder / "x.labels.npy").tolist())
        features = np.load(self.folder / "x.npy")
        self.assertTrue(np.array_equal(np.array(table["feature"].to_pylist(), dtype=np.float32), features))
        self.assertEqual(sorted(path.name for path in self.folder.glob("x.parquet*")), ["x.parquet", "x.parquet.json"])
        if not MODULE.exists():
            return
        # Pictures of such files.
        rows = [{"image": {"bytes": path.read_bytes(), "path": path.name}, "label": CLASSES.index(path.parent.name)} for path in self.paths]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), self.folder / "pictures.parquet")
        self.assertTrue(np.array_equal(self.features("y.npy", data="pictures.parquet"), features))
        self.assertEqual(np.load(self.folder / "y.labels.npy").tolist(), np.load(self.folder / "x.labels.npy").tolist())

    def test_projector(self):
        from google.protobuf import text_format
        from tensorboard.plugins.projector import projector_config_pb2

        features = self.features("x.npy", "--projector", "points")
        config = text_format.Parse((self.folder / "points/projector_config.pbtxt").read_text(), projector_config_pb2.ProjectorConfig())
        embedding = config.embeddings[0]
        np.testing.assert_allclose(np.loadtxt(self.folder / "points" / embedding.tensor_path, delimiter="\t"), features, rtol=1e-5)
        table = [line.split("\t") for line in self.lines(f"points/{embedding.metadata_path}")]
        self.assertEqual(table[0], ["key", "class"])
        self.assertEqual(table[1:], [[str(path), path.parent.name] for path in self.paths])
        # The thumbnails: squares from the middle, row by row.
        self.assertEqual(list(embedding.sprite.single_image_dim), [64, 64])
        sprite = np.asarray(Image.open(self.folder / "points" / embedding.sprite.image_path).convert("RGB"))
        self.assertEqual(sprite.shape, (8 * 64, 8 * 64, 3))
        for point in (0, 9, 53):
            picture = Image.open(self.paths[point]).convert("RGB")
            side = min(picture.size)
            left, top = ((length - side) // 2 for length in picture.size)
            square = picture.crop((left, top, left + side, top + side)).resize((64, 64), Image.Resampling.BILINEAR)
            self.assertTrue(np.array_equal(sprite[point // 8 * 64:, point % 8 * 64:][:64, :64], np.asarray(square)))
        from safetensors.numpy import load_file

        self.embed("x.safetensors", "--projector", "again")
        self.assertEqual((self.folder / "again/tensors.tsv").read_bytes(), (self.folder / "points/tensors.tsv").read_bytes())
        self.assertTrue(np.array_equal(load_file(self.folder / "x.safetensors")["features"], features))

    def test_plugins_of_a_run_need_trust(self):
        shutil.copytree(self.run_folder, self.folder / "run")
        (self.folder / "e.c").write_text(
            '#include <unistd.h>\n__attribute__((constructor)) static void go(void) { write(2, "code of the folder\\n", 19); }\n')
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", self.folder / "run/own.so", self.folder / "e.c"], check=True)
        path = self.folder / "run/pipeline.resolved.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"plugins": ["own.so"]}))
        said = self.embed("x.npy", weights="run").stderr
        self.assertNotIn("code of", said)
        self.assertIn("the run's plug-ins are not loaded without --trust", said)
        self.assertIn("code of the folder", self.embed("y.npy", "--trust", weights="run").stderr)
        self.assertEqual(json.loads(self.embed("y.npy", "--trust", "--print", weights="run").stdout)["plugins"], [str(self.folder / "run/own.so")])

    def test_help(self):
        said = self.flowrun("help", "embed").stdout
        self.assertEqual(said, self.flowrun("embed", "--help").stdout)
        self.assertIn("flowrun embed runs/pretrain data/birds birds.npy\n", said)
        self.assertIn('no type "embde"', self.flowrun("help", "embde", status=2).stderr)

    def test_facts_as_json(self):
        facts = json.loads(self.embed("x.npy", "--json").stdout)
        self.assertEqual((facts["rows"], facts["shape"], facts["bad"], facts["labels"], facts["keys"]), (54, [54, 24], 0, "x.labels.npy", "x.keys.txt"))
        made = json.loads((self.folder / "x.npy.json").read_text())
        self.assertEqual(made["facts"], facts)
        self.assertTrue(made["from"].endswith("/teacher.safetensors"))
        self.assertEqual(json.loads(self.embed("x.npy", "--json").stdout), facts, "it is complete")

    def test_what_does_not_fit_is_named(self):
        teacher = max((self.run_folder / "checkpoints").glob("step-*"), key=lambda path: int(path.name[5:])) / "predictor.safetensors"
        (self.folder / "notes.md").write_text("x")
        for words, status, said in (
                (["missing", self.data, "x.npy"], 1, "there is no missing: give a run's folder, a checkpoint, or a file of weights"),
                ([self.run_folder, "missing", "x.npy"], 2, "there is no missing: give a folder of pictures, a list of them, shards or Parquet files"),
                ([self.run_folder, "notes.md", "x.npy"], 2, "notes.md can't be read as data"),
                ([self.run_folder, self.data, "x.txt"], 2, "x.txt must end in .npy, .safetensors or .parquet"),
                ([self.run_folder, self.data, "nowhere/x.npy"], 2, "there is no folder nowhere for nowhere/x.npy"),
                ([self.run_folder, self.data, "x.npy", "--model", "techer"], 2, 'has no encoder "techer"; did you mean "teacher"?'),
                ([teacher, self.data, "x.npy"], 2, 'has no encoder "predictor"'),
                ([self.run_folder, self.data, "x.npy", "--step", 99], 2, "has no checkpoint of step 99; there are: "),
                ([self.run_folder, self.data, "x.npy", "--size", 48], 2, "--size needs a file of weights"),
                ([self.run_folder, self.data, "x.npy", "--block", 3], 2, "block 3 is asked for, but encoder has 2"),
                ([self.run_folder, self.data, "x.npy", "--block", "2,1"], 2, "blocks must increase"),
                ([self.run_folder, self.data, "x.npy", "--what", "tokens", "--projector", "p"], 2, "--projector needs one vector of each picture"),
                ([self.run_folder, self.data, "x.npy", "--set", "upload.men=[1]"], 2, "upload")):
            with self.subTest(said):
                self.assertIn(said, self.flowrun("embed", *words, status=status).stderr)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["notes.md"])


if __name__ == "__main__":
    support.main()
