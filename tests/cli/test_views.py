"""Several views of a picture, from the crop to the batch."""
import json
import struct
import zlib

import numpy as np

import support


def read_png(path):
    """(width, height, rows of RGB bytes) of a PNG that report.contact_sheet wrote."""
    data, at, packed = path.read_bytes(), 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        chunk = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", chunk[:10])
            assert (depth, colour) == (8, 2)
        packed += chunk if kind == b"IDAT" else b""
        at += 12 + length
    raw, rows, before = zlib.decompress(packed), [], bytes(3 * width)
    for y in range(height):
        kind, line = raw[y * (3 * width + 1)], bytearray(raw[y * (3 * width + 1) + 1:(y + 1) * (3 * width + 1)])
        for i in range(3 * width):
            a, b, c = (line[i - 3] if i >= 3 else 0), before[i], (before[i - 3] if i >= 3 else 0)
            paeth = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line[i] = (line[i] + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
        rows.append(bytes(line))
        before = rows[-1]
    return width, height, rows


def pipeline(count, labels=False):
    """Every node that processes each view separately; the sheet shows the pixels as the batch holds them."""
    chain = [
        ("view", {"type": "image.resize", "in": {"image": "decode", "region": "crop"}, "size": 32}),
        ("flip", {"type": "image.random_flip"}),
        ("over", {"type": "image.random_vertical_flip"}),
        ("jitter", {"type": "image.color_jitter", "p": 0.8}),
        ("gray", {"type": "image.grayscale"}),
        ("blur", {"type": "image.blur", "kernel_size": 5}),
        ("solarize", {"type": "image.solarize"}),
        ("cut", {"type": "image.cut_out"}),
        ("augment", {"type": "image.rand_augment"}),
        ("middle", {"type": "image.center_crop", "size": 24}),
    ]
    nodes = {
        "files": {"type": "source.synthetic", "images": 24, "size": 48},
        "crop": {"type": "image.random_crop", "in": "files", "area": [0.1, 0.5], **({} if count is None else {"count": count})},
        "decode": {"type": "image.decode", "in": {"bytes": "files", "region": "crop"}},
    }
    for (before, _), (name, node) in zip([("decode", None), *chain], chain):
        nodes[name] = {"in": before, **node}
    nodes["batch"] = {"type": "batch.stack", "in": {"image": "middle", **({"label": "files"} if labels else {})}, "size": 8, "group": 4}
    nodes["metrics"] = {"type": "report.metrics", "in": {"image": "batch"}, "every": "1 step", "tensorboard": False}
    nodes["sheet"] = {"type": "report.contact_sheet", "in": {"image": "batch"}, "count": 64, "side": 1}
    return {"seed": 3, "run": {"epochs": 2, "device": "cpu", "intra_op": 1}, "nodes": nodes}


class Views(support.Folder):
    def tiles(self, out):
        """The images of a contact sheet, 24 by 24 pixels with 6 around them."""
        width, height, rows = read_png(self.folder / out / "contact_sheet.png")
        self.assertEqual((height, (width - 6) % 30), (36, 0))
        return [b"".join(row[3 * x:3 * (x + 24)] for row in rows[6:30]) for x in range(6, width, 30)]

    def test_threads_change_nothing(self):
        path = self.write(pipeline(3))
        self.flowrun(path, "--serial", "--out", "serial")
        self.assertEqual(len(self.history("serial")), 6)
        for threads in (1, 4):
            self.flowrun(path, "--threads", threads, "--jitter", 1, "--out", f"t{threads}")
            self.assertEqual(self.history(f"t{threads}"), self.history("serial"))
            self.assertEqual(self.tiles(f"t{threads}"), self.tiles("serial"))

    def test_the_first_of_three_views_is_the_only_one_and_they_lie_side_by_side(self):
        self.flowrun(self.write(pipeline(1)), "--out", "one")
        self.flowrun(self.write(pipeline(3)), "--out", "three")
        one, three = self.tiles("one"), self.tiles("three")
        self.assertEqual((len(one), len(three)), (4, 12))
        self.assertEqual(three[::3], one)
        self.assertEqual(len(set(three)), 12)
        self.assertNotEqual(self.history("one"), self.history("three"))

    def test_a_count_of_one_is_no_count(self):
        self.flowrun(self.write(pipeline(None)), "--out", "none")
        self.flowrun(self.write(pipeline(1)), "--out", "one")
        self.assertEqual(self.history("none"), self.history("one"))

    def test_decoding_the_whole_picture_gives_the_same_pixels(self):
        whole = pipeline(3)
        whole["nodes"]["decode"]["in"] = "files"
        self.flowrun(self.write(whole), "--out", "whole")
        self.flowrun(self.write(pipeline(3)), "--out", "around")
        self.assertEqual(self.history("whole"), self.history("around"))

    def test_labels_are_repeated_for_the_views(self):
        """The first views, stacked alone, equal the first of three views of each picture, with their labels."""
        nodes = {"files": {"type": "source.synthetic", "images": 40, "size": 48}}
        for name, count in (("three", 3), ("one", 1)):
            nodes |= {
                f"{name}_crop": {"type": "image.random_crop", "in": "files", "count": count, "stream": "crop"},
                f"{name}_decode": {"type": "image.decode", "in": {"bytes": "files", "region": f"{name}_crop"}},
                f"{name}_view": {"type": "image.resize", "in": {"image": f"{name}_decode", "region": f"{name}_crop"}, "size": 24},
                f"{name}_batch": {"type": "batch.stack", "in": {"image": f"{name}_view", "label": "files"}, "size": 16},
                f"{name}_upload": {"type": "device.upload", "in": f"{name}_batch.*"},
                f"{name}_pixels": {"type": "eval.pixels", "in": f"{name}_upload.*"},
            }
        nodes["knn"] = {"type": "eval.knn", "in": {"train": "three_pixels", "test": "one_pixels"}, "k": [1], "at": "start"}
        self.flowrun(self.write({"run": {"device": "cpu", "intra_op": 1}, "nodes": nodes}), "--out", "out")
        self.assertEqual(self.result("out")["knn"]["accuracy"], 1.0)

    def masked(self, count, mask):
        """A training of `count` views of each picture, each with a mask of its own."""
        trained = support.training_pipeline()
        trained["nodes"]["crop"]["count"] = count
        trained["nodes"]["mask"] = {"type": mask, "in": "batch", "patch": 4, **({"repeats": 2, "keep": 0.4, "length": 2} if mask == "mask.inverse_block" else {})}
        trained["nodes"]["sheet"] = {"type": "report.contact_sheet", "in": {"image": "batch", "mask": "mask"}, "count": 64, "side": 1}
        return trained

    def test_masks_count_views_as_images(self):
        for mask in ("mask.random", "mask.inverse_block"):
            with self.subTest(mask):
                path = self.write(self.masked(2, mask), f"{mask}.json")
                self.flowrun(path, "--serial", "--out", f"{mask}-serial")
                self.flowrun(path, "--threads", 3, "--jitter", 1, "--out", f"{mask}-threads")
                lines = [[(line["step"], line["loss"], line["ledger"]) for line in self.metrics(f"{mask}-{out}")] for out in ("serial", "threads")]
                self.assertEqual(*lines)
                width, height, _ = read_png(self.folder / f"{mask}-serial/contact_sheet.png")
                pictures = json.loads((self.folder / f"{mask}-serial/pipeline.resolved.json").read_text())["nodes"]["batch"]
                self.assertEqual((width - 6) / 30, 2 * (pictures["group"] or pictures["size"]), "the sheet shows each view with its mask")
                planned = self.flowrun("plan", path, "--json").stdout
                rows = 2 * (pictures["group"] or pictures["size"]) * (2 if "inverse" in mask else 1)
                self.assertIn(f'"{rows} x ', planned)
                said = self.flowrun("mask-report", path, "--groups", 2).stdout
                self.assertIn(f"2 groups of {2 * (pictures['group'] or pictures['size'])} images", said)
                shown = json.loads(self.flowrun("replay", self.folder / f"{mask}-serial", "--epoch", 0, "--sample", 3, "--png", "sample.png", "--json").stdout)
                masks = next(output for node in shown["nodes"] if node["node"] == "mask" for output in node["outputs"])["masks"]
                self.assertEqual(len(masks), 4 if "inverse" in mask else 2)

    def test_turned_views_are_those_of_numpy(self):
        turned = pipeline(1)
        turned["nodes"]["turn"] = {"type": "image.rotations", "in": "middle"}
        turned["nodes"]["batch"] |= {"in": "turn.*"}
        self.flowrun(self.write(pipeline(1)), "--out", "upright")
        self.flowrun(self.write(turned), "--out", "turned")
        pictures = [[np.frombuffer(tile, np.uint8).reshape(24, 24, 3) for tile in self.tiles(out)] for out in ("upright", "turned")]
        self.assertEqual([len(tiles) for tiles in pictures], [4, 16])
        for row, tile in enumerate(pictures[1]):
            np.testing.assert_array_equal(tile, np.rot90(pictures[0][row // 4], row % 4))

    def test_labels_of_other_views_are_refused(self):
        nodes = {
            "files": {"type": "source.synthetic", "images": 40, "size": 24},
            "decode": {"type": "image.decode", "in": "files"},
            "turn": {"type": "image.rotations", "in": "decode"},
            "batch": {"type": "batch.stack", "in": {"image": "decode", "label": "turn"}, "size": 20},
            "metrics": {"type": "report.metrics", "in": {"image": "batch"}},
        }
        done = self.flowrun(self.write({"run": {"device": "cpu", "intra_op": 1, "max_bad": 100}, "nodes": nodes}), "--serial", status=1)
        self.assertIn("there are labels of 4 views, but the picture comes in 1: take image and label from the same node", done.stderr)

    def test_what_takes_one_view_says_so(self):
        def fails(nodes, *texts, status=1):
            done = self.flowrun(self.write(nodes), "--serial", status=status)
            for text in texts:
                self.assertIn(text, done.stderr)

        masks = self.masked(2, "mask.random")
        masks["nodes"] |= {"one_crop": {"type": "image.random_crop", "in": "files"}, "one_view": {**masks["nodes"]["view"], "in": {"image": "one_decode", "region": "one_crop"}},
                           "one_decode": {"type": "image.decode", "in": {"bytes": "files", "region": "one_crop"}},
                           "one_batch": {**masks["nodes"]["batch"], "in": "one_view"}}
        masks["nodes"]["mask"]["in"] = "one_batch"
        where = "the number of views of image is 2, that of mask 1"
        fails(masks, f"upload: {where}", f"sheet: {where}", "draw the masks from the batch of these images", status=2)
        shortest = pipeline(3)
        shortest["run"]["max_bad"] = 100  # no sample is better than another
        shortest["nodes"]["view"]["fit"] = "shortest"
        fails(shortest, "view: the views of a picture must have one size", "set fit to square", status=2)
        twice = pipeline(3)
        twice["nodes"]["flip"] = {"type": "image.resize", "in": {"image": "view", "region": "crop"}, "size": 24}
        fails(twice, "flip: the picture comes in 3 views already", "connect no region to this node", status=2)

    def test_parameters_are_checked(self):
        wrong = pipeline(3)
        wrong["nodes"]["blur"] |= {"kernel_size": 4}
        self.assertIn("kernel_size must be odd, or 0", self.flowrun("check", self.write(wrong), status=2).stderr)
        wrong["nodes"]["blur"] = {"type": "image.blur", "in": "gray", "sigma": [2, 1]}
        self.assertIn("sigma must be two numbers, the smaller first", self.flowrun("check", self.write(wrong), status=2).stderr)


if __name__ == "__main__":
    support.main()
