"""Classes are names: labels of two sides mean the same, and doubtful ones give warnings."""
import json
import random

from PIL import Image

import support

COLOURS = {"ant": (200, 40, 40), "bee": (40, 200, 40), "cow": (40, 40, 200), "dog": (200, 200, 40)}


def picture(path, colour, seed):
    """Blotches round a colour: pixels alone tell the classes apart."""
    draw = random.Random(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = bytes(min(255, max(0, c + draw.randrange(-20, 21))) for _ in range(30) for c in colour)
    Image.frombytes("RGB", (6, 5), cells).resize((24, 24)).save(path, quality=92)


class Classes(support.Folder):
    def classes(self, root, names, count=6, first=0):
        for name in names:
            for index in range(count):
                picture(self.folder / root / name / f"{name}_{index}.jpg", COLOURS[name.split("/")[-1]], first + 100 * len(name) + index)

    def pipeline(self, train="train", val="val", **sides):
        """Pixels vote: no encoder."""
        nodes = {}
        for name, path in (("known", train), ("unseen", val)):
            nodes[name] = {"type": "source.folder", "path": path, **sides.get(name, {})}
            nodes[f"{name}_decode"] = {"type": "image.decode", "in": name}
            nodes[f"{name}_batch"] = {"type": "batch.stack", "in": {"image": f"{name}_decode", "label": name}, "size": 4}
            nodes[f"{name}_upload"] = {"type": "device.upload", "in": f"{name}_batch.*"}
            nodes[f"{name}_pixels"] = {"type": "eval.pixels", "in": f"{name}_upload.*"}
        nodes["knn"] = {"type": "eval.knn", "in": {"train": "known_pixels", "test": "unseen_pixels"}, "k": [3]}
        return {"run": {"device": "cpu", "precision": "fp32", "intra_op": 1}, "nodes": nodes}

    def knn(self, out="run", status=0, **options):
        self.write(self.pipeline(**options))
        done = self.flowrun("pipeline.json", "--out", out, "--quiet", status=status)
        return done.stderr if status else (self.result(out)["knn"]["accuracy"], done.stderr)

    def test_a_class_that_val_lacks(self):
        self.classes("train", ["ant", "bee", "cow"])
        self.classes("val", ["bee", "cow"], 4, 500)
        accuracy, said = self.knn()
        self.assertEqual(accuracy, 1)
        self.assertNotIn("warning", said)
        data = json.loads((self.folder / "run/data.json").read_text())
        self.assertEqual(data["sources"]["known"]["classes"], ["ant", "bee", "cow"])
        self.assertEqual(data["sources"]["unseen"]["count"], 8)

    def test_a_class_too_many_is_named(self):
        self.classes("train", ["ant", "bee"])
        self.classes("val", ["bee", "cow", "dog"], 4, 500)
        said = self.knn(status=2)
        self.assertIn("error: unseen: the classes cow, dog of val are not among the classes of train, which are ant, bee", said)
        self.assertIn("known.classes", said)
        # If the training side lists it, it is known.
        accuracy, _ = self.knn(known={"classes": ["bee", "ant", "cow", "dog"]})
        self.assertEqual(accuracy, 4 / 12)

    def test_folders_that_are_none_of_the_data(self):
        self.classes("train", ["ant", "bee", "cow"])
        self.classes("val", ["ant", "bee", "cow"], 4, 500)
        for junk in ("train/__MACOSX/ant", "train/.ipynb_checkpoints", "val/@eaDir", "val/ant/@eaDir", "train/lost+found"):
            picture(self.folder / junk / "x.jpg", (0, 0, 0), 1)
        (self.folder / "train/aaa").mkdir()
        (self.folder / "val/zzz").mkdir()
        (self.folder / "val/notes").mkdir()
        (self.folder / "val/notes/readme.txt").write_text("no picture")
        accuracy, said = self.knn()
        self.assertEqual(accuracy, 1, said)

    def test_pictures_beside_the_class_folders(self):
        self.classes("train", ["ant", "bee", "cow"])
        self.classes("val", ["ant", "bee", "cow"], 4, 500)
        picture(self.folder / "train/preview.png", (0, 0, 0), 1)
        said = self.knn(status=1)
        self.assertIn("preview.png", said)
        self.assertIn("strays", said)
        self.assertFalse((self.folder / "run").exists())
        accuracy, said = self.knn(known={"strays": "leave_out"})
        self.assertEqual(accuracy, 1)
        self.assertIn("warning: known: left out preview.png", said)

    def test_one_folder_too_deep(self):
        self.classes("train/train", ["ant", "bee", "cow"])
        self.classes("val/val", ["ant", "bee", "cow"], 4, 500)
        accuracy, said = self.knn()
        self.assertEqual(accuracy, 1)
        self.assertIn("warning: known: train has one class folder, train, which holds the folders ant, bee, cow: these are taken for the classes. "
                      "If so, let path be train/train", said)
        self.classes("one", ["ant"])
        self.assertIn("one has one class, ant", self.knn("two", train="one", val="one")[1])

    def test_labels_are_not_asked_for_where_nobody_reads_them(self):
        """Pretraining uses every picture, in any place."""
        self.classes("train", ["ant"])
        picture(self.folder / "train/preview.png", (0, 0, 0), 1)
        pipeline = support.data_pipeline(epochs=1)
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": "train"}
        pipeline["nodes"]["batch"].update(size=7, group=7)
        self.write(pipeline)
        self.assertNotIn("warning", self.flowrun("pipeline.json", "--out", "run", "--quiet").stderr)

    def test_what_is_passed_over_is_counted(self):
        self.classes("train", ["ant", "bee"])
        self.classes("val", ["ant", "bee"], 4, 500)
        for index in range(3):
            (self.folder / f"train/ant/{index}.heic").write_bytes(b"x")
        (self.folder / "train/bee/hash0123").write_bytes(b"x")
        (self.folder / "train/bee/labels.txt").write_text("x")
        (self.folder / "train/.DS_Store").write_text("x")
        said = self.knn()[1]
        self.assertIn("warning: known: train: took 12 pictures and passed over 5 files: 3 .heic, 1 without extension, 1 .txt (ant/", said)

    def test_no_classes_are_found_before_the_run(self):
        self.classes("train", ["ant", "bee"])
        for index in range(4):
            picture(self.folder / f"flat/{index}.jpg", (0, 0, 0), index)
        self.assertIn("knn: test has no classes", self.knn(val="flat", status=1))
        self.write(self.pipeline(val="train"))
        said = self.flowrun("pipeline.json", "--set", "knn.k=[20]", "--out", "many", "--quiet", status=1).stderr
        self.assertIn("knn: k is 20, but only 12 images of train can vote", said)
        self.assertFalse((self.folder / "many").exists())

    def test_lists(self):
        self.classes("train", ["ant", "bee", "cow"])
        names = sorted(str(path.relative_to(self.folder / "train")) for path in (self.folder / "train").rglob("*.jpg"))
        (self.folder / "find.txt").write_bytes(b"\xef\xbb\xbf" + "".join(f"./{name}\r\n" for name in names).encode())
        accuracy, _ = self.knn("a", val="train", unseen={"list": "find.txt"})
        self.assertEqual(accuracy, 1)
        # Labels of a table are names, too.
        (self.folder / "table.csv").write_text("path,label\n" + "".join(f"{name},{name[:3]}\n" for name in names))
        accuracy, _ = self.knn("b", val="train", unseen={"list": "table.csv"})
        self.assertEqual(accuracy, 1)
        (self.folder / "wrong.csv").write_text("path,label\n" + "".join(f"{name},fly\n" for name in names))
        self.assertIn("the class fly of train is not among", self.knn("c", val="train", unseen={"list": "wrong.csv"}, status=2))

    def shards(self, name, members):
        import io
        import tarfile
        folder = self.folder / name
        folder.mkdir()
        with tarfile.open(folder / "a.tar", "w") as tar:
            for member, data in members:
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return self.flowrun("index", name, "--json", "--quiet")

    def test_shards_know_classes_by_name_and_number(self):
        self.classes("train", ["ant", "bee", "cow"])
        self.classes("val", ["bee", "cow"], 4, 500)
        jpegs = {path.stem: path.read_bytes() for path in (self.folder / "val").rglob("*.jpg")}
        text = self.shards("named", [(f"{stem}.{end}", data) for stem, jpeg in jpegs.items() for end, data in (("jpg", jpeg), ("cls", stem[:3].encode()))])
        self.assertEqual(json.loads(text.stdout)["class_names"], ["bee", "cow"])
        pipeline = self.pipeline()
        pipeline["nodes"]["unseen"] = {"type": "source.shards", "path": "named"}
        self.write(pipeline)
        self.flowrun("pipeline.json", "--out", "run", "--quiet")
        self.assertEqual(self.result("run")["knn"]["accuracy"], 1)
        # Numbers are matched with names by position, with a warning.
        self.shards("numbers", [(f"{stem}.{end}", data) for stem, jpeg in jpegs.items()
                                for end, data in (("jpg", jpeg), ("cls", b"1" if stem[0] == "b" else b"2"))])
        pipeline["nodes"]["unseen"]["path"] = "numbers"
        self.write(pipeline)
        said = self.flowrun("pipeline.json", "--out", "two", "--quiet").stderr
        self.assertEqual(self.result("two")["knn"]["accuracy"], 1)
        self.assertIn("warning: unseen: the labels of numbers are numbers", said)


if __name__ == "__main__":
    support.main()
