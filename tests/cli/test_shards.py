"""Tar shards: the same samples in the same order as the folder they were packed from, at any place and thread count;
and every way in which shards and their index can fail to fit, with its exact message."""
import io
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import tarfile
import unittest

import numpy as np
import support
from PIL import Image

needs_zstd = unittest.skipUnless(shutil.which("zstd"), "no program zstd")


def tree(folder):
    """{path: bytes} of all files."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def size_of(folder):
    """Bytes of all files, of which some may be renamed meanwhile."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.path.getsize(os.path.join(place, name))
            except FileNotFoundError:
                pass
    return size


class Shards(support.Folder):
    def setUp(self):
        super().setUp()
        self.data = self.folder / "data"
        for index in range(120):
            path = self.data / f"class{index % 3}" / f"{index:03d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            noise = Image.effect_noise((40 + index % 30, 30 + index % 20), 60)
            noise.convert("RGB" if index % 5 else "L").save(path, quality=90)

    def pipeline(self, kind="folder", path="data", **more):
        """Loads with labels; the names of nodes are equal whatever the source, so ledgers can be."""
        pipeline = support.data_pipeline()
        pipeline["nodes"]["files"] = {"type": f"source.{kind}", "path": path, **more}
        pipeline["nodes"]["batch"]["in"] = {"image": "flip", "label": "files"}
        return pipeline

    def ledgers(self, name, *args, **source):
        self.write(self.pipeline(**source), f"{name}.json")
        self.flowrun(f"{name}.json", "--out", f"run-{name}", *args)
        return self.history(f"run-{name}")

    def pack(self, *args, **options):
        return self.flowrun("pack", *args, "--quiet", **options)

    def fails(self, message, **source):
        """Refused before anything runs, with one message."""
        self.write(self.pipeline("shards", "shards", **source))
        done = self.flowrun("pipeline.json", "--out", "refused", status=1)
        self.assertEqual(done.stderr, f"error: files: {message}\n")
        self.assertFalse((self.folder / "refused").exists())

    # ---- equal to the folder

    def test_archives_are_packed_as_the_folder_is(self):
        self.pack("data", "folder")
        want = tree(self.folder / "folder")
        for name, kind in (("a.zip", "zip"), ("a.7z", "7zip"), ("a.tar.gz", "gnutar"), ("a.tar.xz", "paxr")):
            with self.subTest(name):
                flags = {"a.tar.gz": "czf", "a.tar.xz": "cJf"}.get(name, "cf")
                files = sorted(str(path.relative_to(self.folder)) for path in self.data.rglob("*.jpg"))
                (self.folder / "files.txt").write_text("\n".join(files))
                subprocess.run(["cmake", "-E", "tar", flags, name, f"--format={kind}", "--files-from=files.txt"], cwd=self.folder, check=True)
                self.pack(name, f"of-{name}")
                found = tree(self.folder / f"of-{name}")
                self.assertEqual(found.keys(), want.keys())
                self.assertEqual(found["shard-000000.tar"], want["shard-000000.tar"])
                self.assertIn(f"{name} has no random access: run flowrun pack {name} OUT", self.flowrun("index", name, status=1).stderr)
        (self.folder / "cut.zip").write_bytes((self.folder / "a.7z").read_bytes()[:-100])
        self.assertIn("cut.zip can't be read", self.flowrun("pack", "cut.zip", "cut", status=1).stderr)

    def test_ledgers_equal_the_folder_s(self):
        expected = self.ledgers("folder", "--serial")
        self.assertEqual(len(expected), 21)
        self.pack("data", "shards", "--shard-mib", 1)
        self.pack("data", "compressed", "--zstd")
        for path in ("shards", "compressed", "compressed/index.flowrun"):
            for threads in (1, 4):
                name = f"{path.replace('/', '-')}-{threads}"
                self.assertEqual(self.ledgers(name, "--threads", threads, "--jitter", 1, kind="shards", path=path), expected)
        self.assertEqual(self.ledgers("unverified", kind="shards", path="shards", verify=False), expected)
        for part in ({"per_class": 20}, {"part": "held_out", "holdout": 0.3}, {"limit": 50}):
            name = next(iter(part))
            self.assertEqual(self.ledgers(f"{name}-s", kind="shards", path="shards", **part), self.ledgers(f"{name}-f", **part))

    def test_tiled_files_have_the_same_pixels(self):
        """Restart markers make regions cheaper; ledgers, which hold the pixels, stay. Other formats are not changed."""
        for index, path in enumerate(sorted(self.data.rglob("*.jpg"))):
            noise = Image.effect_noise((140 + index % 30, 130 + index % 20), 60).convert("RGB" if index % 5 else "L")
            noise.save(path, quality=70, subsampling=index % 3, progressive=index % 4 == 0)
        Image.effect_noise((90, 80), 60).save(self.data / "class1/png.png")
        expected = self.ledgers("folder")
        done = self.pack("data", "tiled", "--to", "folder", "--tiled", "--json")
        self.assertEqual(json.loads(done.stdout)["tiled"], 120)
        self.pack("data", "shards", "--tiled", "mcu")
        self.assertEqual(self.ledgers("tiled", path="tiled"), expected)
        self.assertEqual(self.ledgers("shards", kind="shards", path="shards"), expected)
        before, after = tree(self.data), tree(self.folder / "tiled")
        for name, content in before.items():
            if name == "class1/png.png":
                self.assertEqual(after[name], content)
                continue
            self.assertIn(b"\xff\xdd\x00\x04", after[name], "no restart interval")
            old, new = Image.open(io.BytesIO(content)), Image.open(io.BytesIO(after[name]))
            self.assertEqual((old.mode, old.tobytes()), (new.mode, new.tobytes()))
        failed = self.pack("data", "tiled", "--to", "folder", "--tiled", "8", status=1)
        self.assertIn("tiles_per_row", failed.stderr)

    def test_damaged_files_stay_as_they_are(self):
        cut = self.folder / "cut/one.jpg"
        cut.parent.mkdir()
        cut.write_bytes((self.data / "class2/002.jpg").read_bytes()[:-100])
        self.assertEqual(json.loads(self.pack("cut", "tiled", "--to", "folder", "--tiled", "--json").stdout)["tiled"], 0)
        self.assertEqual((self.folder / "tiled/one.jpg").read_bytes(), cut.read_bytes())

    def test_lists_name_members(self):
        self.pack("data", "shards")
        (self.folder / "list.txt").write_text("".join(f"class{i % 3}/{i:03d}.jpg\n" for i in range(0, 60, 2)))
        self.assertEqual(self.ledgers("s", kind="shards", path="shards", list="list.txt"), self.ledgers("f", list="list.txt"))

    def test_resumed_in_the_middle_of_a_shard(self):
        self.pack("data", "shards", "--zstd")
        pipeline = support.training_pipeline()
        pipeline["nodes"]["files"] = {"type": "source.shards", "path": "shards"}
        self.write(pipeline)
        self.flowrun("pipeline.json", "--out", "whole")
        self.flowrun("pipeline.json", "--set", "run.steps=5", "--out", "part")
        self.flowrun("pipeline.json", "--resume", "--threads", 3, "--out", "part")
        self.assertEqual(self.history("part"), self.history("whole"))
        self.assertEqual(self.last_checkpoint("part"), self.last_checkpoint("whole"))

    @support.needs_cifar10
    def test_cifar10(self):
        support.unpack_cifar10(self.folder / "cifar", 60)
        expected = self.ledgers("folder", path="cifar/train")
        self.pack("cifar/train", "shards")
        self.assertEqual(self.ledgers("shards", kind="shards", path="shards"), expected)

    # ---- packing

    def test_python_and_webdataset_see_plain_samples(self):
        self.pack("data", "shards")
        with tarfile.open(self.folder / "shards/shard-000000.tar") as archive:
            members = {member.name: archive.extractfile(member).read() for member in archive}
        self.assertEqual(len(members), 240)
        for path in self.data.rglob("*.jpg"):
            name = str(path.relative_to(self.data))
            self.assertEqual(members[name], path.read_bytes())
            self.assertEqual(members[name[:-4] + ".cls"], name[5:6].encode())

    def test_there_and_back(self):
        (self.data / "class1x").mkdir()  # without images it is no class
        self.pack("data", "shards", "--zstd")
        self.pack("data", "copy", "--to", "folder")
        copy = tree(self.folder / "copy")
        del copy["pack.json"]
        self.assertEqual(copy, tree(self.data))
        self.assertFalse((self.folder / "copy/class1x").exists())
        done = json.loads(self.pack("shards", "again", "--json").stdout)
        self.assertEqual((done["samples"], done["labels"], done["classes"]), (120, "cls", 3))

    def test_names_with_dots(self):
        """WebDataset cuts names at their first dot; packing still keeps samples apart."""
        shutil.rmtree(self.data / "class1")
        shutil.rmtree(self.data / "class2")
        for name in ("a.b.jpg", "a.c.jpg", "a_b.jpg", "a.jpg", "a.jpeg"):
            shutil.copy(self.data / "class0/000.jpg", self.data / "class0" / name)
        self.pack("data", "shards")
        with tarfile.open(self.folder / "shards/shard-000000.tar") as archive:
            names = [name for name in archive.getnames() if "/a" in name and not name.endswith(".cls")]
        self.assertEqual(names, [f"class0/{name}" for name in ("a_b.jpg", "a_c.jpg", "a.jpeg", "a~2.jpg", "a_b~2.jpg")])
        self.flowrun("index", "shards")

    def test_threads_change_no_byte(self):
        for more in ([], ["--zstd"], ["--resize", "32"], ["--to", "folder", "--resize", "32"]):
            for threads in (1, 4, 16):
                self.pack("data", f"out{threads}", "--shard-mib", 1, "--threads", threads, *more)
            self.assertEqual(tree(self.folder / "out1"), tree(self.folder / "out4"))
            self.assertEqual(tree(self.folder / "out1"), tree(self.folder / "out16"))
            for threads in (1, 4, 16):
                shutil.rmtree(self.folder / f"out{threads}")

    def test_resize_equals_pillow(self):
        self.pack("data", "small", "--to", "folder", "--resize", 32, "--quality", 80)
        shrunk = 0
        for path in self.data.rglob("*.jpg"):
            after = self.folder / "small" / path.relative_to(self.data)
            with Image.open(path) as file:
                before = file.copy()
            if min(before.size) <= 32:
                self.assertEqual(after.read_bytes(), path.read_bytes())
                continue
            shrunk += 1
            size = tuple(side * 32 // min(before.size) for side in before.size)
            expected = io.BytesIO()
            before.resize(size, Image.BICUBIC).save(expected, "JPEG", quality=80)
            with Image.open(after) as image, Image.open(expected) as reference:
                self.assertEqual((image.size, image.mode), (size, before.mode))
                self.assertEqual(image.tobytes(), reference.tobytes())
        self.assertGreater(shrunk, 60)

    def test_resizing_16_bits_is_said(self):
        for index in range(3):
            deep = np.random.default_rng(index).integers(200, 3000, (50, 40 - 15 * (index == 2)), dtype=np.uint16)
            deep[0, 0], deep[0, 1] = 100 + index, 4000 + index
            Image.fromarray(deep).save(self.data / f"class0/deep{index}.{'tif' if index == 1 else 'png'}")
        done = self.pack("data", "small", "--resize", 30, "--json")
        self.assertEqual(json.loads(done.stdout)["cut_to_8_bits"], 2)
        self.assertEqual(done.stderr.count("16 bits"), 1)
        self.assertRegex(done.stderr, r"warning: 2 resized pictures have 16 bits a sample, of which the upper 8 are taken, since JPEG has no more; "
                                      r"the first is data/class0/deep0.png, whose values are 100 to 4000 of 65535: pack them without --resize")
        for more in ([], ["--resize", 1000]):
            self.assertNotIn("16 bits", self.pack("data", f"kept{len(more)}", *more).stderr)

    def test_killed_and_called_again(self):
        for index in range(1500):
            shutil.copy(self.data / f"class{index % 3}/{index % 120:03d}.jpg", self.data / f"class{index % 3}/more{index:04d}.jpg")
        chance, killed = random.Random(1), self.folder / "killed"
        for more in (["--resize", "30"], ["--zstd"], ["--to", "folder"]):
            self.pack("data", "whole", "--shard-mib", 1, *more)
            kills, total = 0, size_of(self.folder / "whole")
            for attempt in range(100):  # packing may be over before it is killed: how far it is decides, not the clock
                enough = size_of(killed) + total * chance.uniform(-0.1, 0.3)
                process = self.start("pack", "data", "killed", "--shard-mib", 1, "--threads", 2, "--quiet", *more)
                support.wait_until(lambda: process.poll() is not None or size_of(killed) >= enough)
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += process.returncode == -signal.SIGKILL
                if kills == 4:
                    break
                if (killed / "pack.json").exists():
                    shutil.rmtree(killed)
            self.assertEqual(kills, 4, more)
            self.pack("data", "killed", "--shard-mib", 1, *more)
            self.assertEqual(tree(killed), tree(self.folder / "whole"))
            left = [name for name in os.listdir(killed) if name.startswith(".") or name == "pack.journal"]
            self.assertEqual(left, [], more)
            shutil.rmtree(killed)
            shutil.rmtree(self.folder / "whole")

    def test_what_was_complete_is_not_packed_again(self):
        for index in range(3000):
            shutil.copy(self.data / f"class{index % 3}/{index % 120:03d}.jpg", self.data / f"class{index % 3}/more{index:04d}.jpg")
        self.pack("data", "whole", "--shard-mib", 1)
        size = (self.folder / "whole/shard-000000.tar").stat().st_size
        shards = len(list((self.folder / "whole").glob("*.tar")))
        self.assertGreater(shards, 3)
        # A file in the third shard can't be read: two are complete.
        with tarfile.open(self.folder / "whole/shard-000002.tar") as archive:
            bad = self.data / archive.getnames()[40]
        content = bad.read_bytes()
        bad.write_bytes(b"no picture")
        err = self.pack("data", "part", "--shard-mib", 1, status=1).stderr
        self.assertIn(f"error: {bad.relative_to(self.folder)}: not a JPEG", err)
        before = (self.folder / "part/shard-000001.tar").stat()
        self.assertLessEqual(size, 1 << 20)
        self.assertEqual(sorted(path.name for path in (self.folder / "part").iterdir()), ["pack.journal", "shard-000000.tar", "shard-000001.tar"])
        bad.write_bytes(content)
        done = json.loads(self.pack("data", "part", "--shard-mib", 1, "--json").stdout)
        self.assertGreater(done["found"], 500)
        self.assertEqual((self.folder / "part/shard-000001.tar").stat().st_ino, before.st_ino)
        self.assertEqual(tree(self.folder / "part"), tree(self.folder / "whole"))
        self.assertTrue(json.loads(self.pack("data", "part", "--shard-mib", 1, "--json").stdout)["was_complete"])

    def test_disk_full(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        err = self.pack("data", "full", status=1, preexec_fn=limit).stderr
        self.assertEqual(err, "error: cannot write full/shard-000000.tar: File too large; raise the limit on file sizes (ulimit -f)\n")
        self.assertEqual([path.name for path in (self.folder / "full").iterdir()], ["pack.journal"])
        self.pack("data", "full")
        self.pack("data", "whole")
        self.assertEqual(tree(self.folder / "full"), tree(self.folder / "whole"))

    def test_other_options_images_and_folders_are_refused(self):
        self.pack("data", "shards")

        def refused(*args):
            return self.pack(*args, status=1).stderr

        self.assertEqual(refused("data", "shards", "--resize", 32),
                         "error: shards holds a pack with other options: resize was 0 and is now 32; choose another folder, or the same options\n")
        (self.data / "class0/new.jpg").write_bytes((self.data / "class0/000.jpg").read_bytes())
        for _ in range(2):  # one more, then as many but others
            self.assertEqual(refused("data", "shards"), "error: shards holds a pack of other images; choose another folder\n")
            (self.data / "class0/000.jpg").unlink(missing_ok=True)
        self.assertEqual(refused("data", "data/out"), "error: data/out lies in data, which is packed; choose a folder outside\n")
        (self.folder / "full").mkdir()
        (self.folder / "full/notes.txt").write_text("mine")
        self.assertEqual(refused("data", "full"), "error: full is not empty and holds no pack that was begun; choose another folder\n")

    # ---- faults

    def test_faults_of_shards_and_index(self):
        self.pack("data", "shards")
        index, shard = self.folder / "shards/index.flowrun", self.folder / "shards/shard-000000.tar"
        whole, size = shard.read_bytes(), shard.stat().st_size
        shard.write_bytes(whole[: size // 2 + 100])
        self.fails(f"shards/shard-000000.tar is cut short, or not the shard that was indexed: it has {size // 2 + 100} of {size} bytes; "
                   "fetch it again, or run flowrun index shards")
        self.assertIn("shards/shard-000000.tar is cut short: it ends inside", self.flowrun("index", "shards", status=1).stderr)
        shard.unlink()
        self.fails("shards/shard-000000.tar is missing, but the index names it: fetch it, or run flowrun index shards")
        shard.write_bytes(whole)
        self.pack("data", "other", "--resize", 32)
        shutil.copy(self.folder / "other/index.flowrun", index)
        self.fails("shards/shard-000000.tar is not the shard that was indexed: run flowrun index shards")
        index.write_bytes(index.read_bytes()[:-1])
        self.fails("shards/index.flowrun is damaged or cut short: run flowrun index again")
        index.unlink()
        self.fails("no index.flowrun in shards: run flowrun index shards")
        self.flowrun("index", "shards", "--quiet")
        self.assertEqual(self.ledgers("s", kind="shards", path="shards"), self.ledgers("f"))

    def test_changed_bytes_are_named(self):
        self.pack("data", "shards")
        shard = self.folder / "shards/shard-000000.tar"
        content = bytearray(shard.read_bytes())
        with tarfile.open(shard) as archive:
            member = archive.getmember("class1/061.jpg")
        content[member.offset_data + member.size // 2] ^= 1
        shard.write_bytes(content)
        self.write(self.pipeline("shards", "shards"))
        err = self.flowrun("pipeline.json", "--out", "run", status=1).stderr
        self.assertIn("shards/shard-000000.tar changed since it was indexed: class1/061.jpg has other bytes; run flowrun index shards", err)
        self.assertEqual(err.count("error: "), 1, err)
        # Indexed anew they are what they are; one bit may have made the picture one that can't be decoded.
        self.flowrun("index", "shards", "--quiet")
        self.flowrun("pipeline.json", "--out", "again", "--set", "run.max_bad=1")

    # ---- shards from other programs

    def foreign(self, name, members):
        path = self.folder / "theirs" / name
        path.parent.mkdir(exist_ok=True)
        with tarfile.open(path, "w") as archive:
            for member, content in members:
                info = tarfile.TarInfo(member)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return path

    def members(self, first, last):
        for index in range(first, last):
            path = self.data / f"class{index % 3}/{index:03d}.jpg"
            yield f"{index:06d}.jpg", path.read_bytes()
            yield f"{index:06d}.json", json.dumps({"label": index % 3, "caption": "x"}).encode()
            yield f"{index:06d}.txt", b"a caption"

    @needs_zstd
    def test_foreign_shards(self):
        self.foreign("b.tar", self.members(40, 80))
        self.foreign("a.tar", self.members(0, 40))
        plain = self.foreign("c.tar", self.members(80, 120))
        done = self.flowrun("index", "theirs", "--quiet")
        self.assertEqual(done.stdout, "theirs/index.flowrun: 120 samples in 3 shards, labels from .json, 3 classes, 120 captions\n")
        expected = self.ledgers("plain", kind="shards", path="theirs")
        # The zstd program writes one frame; with several frames, as pzstd writes them, an image can span two.
        content = plain.read_bytes()
        pieces = [subprocess.run(["zstd", "-q", "-c"], input=content[at : at + 5000], capture_output=True, check=True).stdout
                  for at in range(0, len(content), 5000)]
        (self.folder / "theirs/c.tar.zst").write_bytes(b"".join(pieces))
        plain.unlink()
        shown = json.loads(self.flowrun("index", "theirs", "--json", "--quiet").stdout)
        self.assertEqual((shown["samples"], shown["labels"], shown["frames"], shown["passed_over"]), (120, "json", len(pieces), 0))
        self.assertEqual(self.ledgers("frames", "--threads", 4, kind="shards", path="theirs"), expected)
        self.pack("theirs", "ours", "--shard-mib", 1)
        self.assertEqual(self.ledgers("packed", kind="shards", path="ours"), expected)
        self.pack("theirs", "tree", "--to", "folder")
        self.assertEqual(sorted(path.name for path in (self.folder / "tree").iterdir()), ["000000", "000001", "000002", "pack.json"])
        self.assertEqual(len(list((self.folder / "tree/000002").iterdir())), 40)

    @needs_zstd
    def test_a_label_of_gigabytes_is_refused_by_its_size(self):
        def header(name, size):
            out = bytearray(512)
            out[: len(name)], out[100:108], out[156:157], out[257:265] = name, b"0000644\0", b"0", b"ustar\x0000"
            out[124:136] = b"\x80" + size.to_bytes(11, "big")
            out[148:156] = b" " * 8
            out[148:156] = b"%06o\0 " % sum(out)
            return bytes(out)

        (self.folder / "s").mkdir()
        with open(self.folder / "s/a.tar", "wb") as file:
            file.write(header(b"a.jpg", 1) + b"x" + bytes(511) + header(b"a.cls", 6 << 30))
            file.seek(6 << 30, 1)
            file.write(bytes(1024))
        subprocess.run(["zstd", "-q", "--rm", "s/a.tar", "-o", "s/a.tar.zst"], cwd=self.folder, check=True) if shutil.which("zstd") else None
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
        err = self.flowrun("index", "s", "--quiet", status=1, preexec_fn=limit).stderr
        self.assertIn("a.cls has 6442450944 bytes, too many for a label", err)

    def test_one_large_frame_is_refused_and_packed(self):
        noise = random.Random(0).randbytes(70 << 20)
        path = self.foreign("a.tar", [*self.members(0, 60), ("noise.bin", noise), *self.members(60, 100)])
        self.foreign("b.tar", self.members(100, 120))
        subprocess.run(["zstd", "-q", "-1", "--rm", path], check=True)
        err = self.flowrun("index", "theirs", "--quiet", status=1).stderr
        self.assertRegex(err, r"^error: theirs/a.tar.zst has a zstd frame of \d+ MiB, which every sample in it would have to decompress: "
                              r"write the shards anew by flowrun pack theirs OUT\n$")
        self.pack("theirs", "ours", "--zstd")
        self.foreign("plain.tar", self.members(0, 120))
        self.flowrun("index", "theirs/plain.tar", "-o", "plain.index", "--quiet")
        self.assertEqual(self.ledgers("ours", kind="shards", path="ours"), self.ledgers("plain", kind="shards", path="plain.index"))

    def test_faults_of_foreign_shards(self):
        jpeg = (self.data / "class0/000.jpg").read_bytes()

        def refused(members, *args):
            self.foreign("a.tar", members)
            return self.flowrun("index", "theirs", *args, status=1).stderr

        self.assertEqual(refused([("a.jpg", jpeg), ("b.jpg", jpeg), ("a.cls", b"1")]),
                         "error: theirs/a.tar: the sample a comes again, apart from its other members; the members of a sample must follow one another\n")
        self.assertEqual(refused([("a.jpg", jpeg), ("a.png", jpeg)]), "error: theirs/a.tar: the sample a has two images, a.jpg and a.png; choose one by --image jpg or --image png\n")
        self.assertEqual(refused([("a.cls", b"1"), ("b.jpg", jpeg)]), "error: theirs/a.tar: the sample a has no image, only a.cls\n")
        self.assertEqual(refused([("a.jpg", jpeg), ("a.cls", b"1"), ("b.jpg", jpeg)]),
                         "error: theirs/a.tar: b.jpg has no .cls beside it, as others have; choose other labels with --labels, or none with --labels none\n")
        self.assertIn("no folders of classes", refused([("a.jpg", jpeg)], "--labels", "folder"))
        path = self.foreign("a.tar", [("../../a.jpg", jpeg), ("../../b.jpg", jpeg)])
        self.assertEqual(self.pack("theirs", "out", "--to", "folder", status=1).stderr,
                         f"error: theirs/{path.name}: a name with \"..\" leads out of the folder\n")


if __name__ == "__main__":
    support.main()
