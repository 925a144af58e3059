"""`flowrun plan` agrees with a count by hand; it opens models and masks, and needs neither GPUs nor data."""
import json
import math
import os
import subprocess
import unittest

import support


def block(rows, queries, width, hidden):
    """Operations of a transformer block: keys and values of all rows; queries, projection and MLP of some."""
    linear = 2 * rows * width * 2 * width + 2 * queries * width * width + 2 * queries * width * width + 2 * 2 * queries * width * hidden
    return linear + 2 * 2 * queries * rows * width


def vit(patches, prefix, width, depth, patch, channels=3, read=None):
    """`read`: rows of which the last block makes the output; None: all."""
    rows = patches + prefix
    last = block(rows, rows if read is None else read, width, 4 * width)
    return 2 * patches * channels * patch * patch * width + (depth - 1) * block(rows, rows, width, 4 * width) + last


def predictor(seen, regions, patches, encoder, width, depth, registers, out):
    rows = seen + registers + patches
    return (2 * seen * encoder * width + regions * ((depth - 1) * block(rows, rows, width, 4 * width) + block(rows, patches, width, 4 * width))
            + 2 * regions * patches * width * out)


class Plan(support.Folder):
    def plan(self, *args, status=0):
        done = self.flowrun("plan", *args, "--json", status=status)
        return json.loads(done.stdout) if status == 0 else done.stderr

    def pretrain(self, *args, **kwargs):
        return self.plan(support.ROOT / "pipelines/pretrain.json", "--images", 1281167, *args, **kwargs)

    def test_operations_are_those_of_a_hand_count(self):
        plan = self.pretrain("--world", 8)
        k, m = plan["masks"]["visible"], plan["masks"]["patches"]
        self.assertEqual((plan["masks"]["regions"], plan["masks"]["per_image"]), (4, 1))
        passes = {line["node"]: line for line in plan["operations"]["passes"]}
        # ViT-S/16 on 224 pixels: 196 patches, a class token and four registers.
        self.assertEqual(vit(196, 5, 384, 12, 16), 9396209664)
        self.assertAlmostEqual(passes["targets"]["forward"] / vit(196, 5, 384, 12, 16, read=4 * m), 1, delta=1e-4)
        self.assertEqual(passes["targets"]["backward"], 0)
        # Means over the masks that were drawn: attention is quadratic, so a little more than that of the mean mask.
        for node, count in (("encode", vit(k, 5, 384, 12, 16)), ("predict", predictor(k + 1, 4, m, 384, 192, 10, 4, 4 * 384))):
            self.assertAlmostEqual(passes[node]["forward"] / count, 1, delta=0.02)
            self.assertEqual(passes[node]["backward"], 2 * passes[node]["forward"])
        self.assertEqual(plan["operations"]["per_image"], sum(line["forward"] + line["backward"] for line in passes.values()))

    def test_fixed_masks_are_counted_exactly(self):
        pipeline = support.training_pipeline()
        pipeline["nodes"]["mask"] = {"type": "mask.random", "in": "batch", "patch": 4, "ratio": 0.75}
        self.write(pipeline)
        plan = self.plan("pipeline.json", "--device", "cpu")
        self.assertEqual((plan["masks"]["visible"], plan["masks"]["regions"], plan["masks"]["patches"]), (9, 1, 27))
        passes = {line["node"]: line["forward"] for line in plan["operations"]["passes"]}
        self.assertEqual(passes["encode"], vit(9, 2, 24, 2, 4))
        self.assertEqual(passes["predict"], predictor(10, 1, 27, 24, 16, 1, 4, 48))
        self.assertEqual(passes["targets"], vit(36, 2, 24, 2, 4, read=27))
        shapes = {f"{port['node']}.{port['port']}": (port["shape"], port.get("bytes")) for port in plan["ports"]}
        self.assertEqual(shapes["batch.image"], ("8 x 24 x 24 x 3 uint8", 8 * 24 * 24 * 3))
        self.assertEqual(shapes["upload.image"], ("8 x 3 x 24 x 24 float32", 4 * 8 * 24 * 24 * 3))
        self.assertEqual(shapes["encode.tokens"], ("8 x 10 x 24 float32", 4 * 8 * 10 * 24))
        self.assertEqual(shapes["predict.prediction"], ("8 x 1 x 27 x 48 float32", 4 * 8 * 27 * 48))
        self.assertEqual(shapes["targets.target"], shapes["predict.prediction"])
        self.assertNotIn("files.label", shapes, "no node reads it")

    def test_adaptive_norms_and_each_nodes_own_masks_are_counted(self):
        plan = self.plan(support.ROOT / "pipelines/methods/masked/umd.json", "--images", 1281167)
        passes = {line["node"]: line["forward"] for line in plan["operations"]["passes"]}
        width, depth = 768, 12
        time = 2 * 2 * width * 2 * width  # the two layers of a time
        for node, visible in (("encode", 64), ("noised_encode", 160)):
            self.assertEqual(passes[node], vit(visible, 1, width, depth, 4) + time + depth * 2 * 6 * width * width)
        final = 4 * 2 * 6 * width * width + 2 * 2 * width * width + time
        self.assertEqual(passes["predict"], predictor(65, 1, 192, width, width, 4, 0, 48) + final)
        # The last block, and the output layer, see visible patches too.
        more = block(257, 256, width, 4 * width) - block(257, 96, width, 4 * width) + 2 * 160 * width * 48
        self.assertEqual(passes["noised_predict"], predictor(161, 1, 96, width, width, 4, 0, 48) + final + more)
        self.assertIn("the masks shown are those of noised_mask; each pass is counted with the masks that it gets", plan["notes"])

    def test_crops_of_another_size_have_costs_of_their_own(self):
        plan = self.plan(support.ROOT / "pipelines/compare/shapes/dino.json", "--device", "cpu")
        passes = {line["node"]: line["forward"] for line in plan["operations"]["passes"]}
        # The heads read the class token alone.
        self.assertEqual(passes["large_seen"], 2 * vit(16, 1, 64, 4, 8, read=1))
        self.assertEqual(passes["small_seen"], 2 * vit(4, 1, 64, 4, 8, read=1))

    def test_memory_is_what_a_run_takes(self):
        """Bytes for each image of a group: the rest is the same for small and for large groups. The plan is on the safe side."""
        pipeline = json.loads((support.ROOT / "pipelines/pretrain.json").read_text())
        pipeline["nodes"]["files"] = {"type": "source.synthetic", "images": 32}
        pipeline["nodes"]["mask"] = {"type": "mask.random", "in": "batch", "patch": 16, "ratio": 0.75}
        pipeline["models"]["student"].update(width=192, depth=6, heads=3)
        pipeline["models"]["predictor"].update(blocks=[2, 4, 6], width=96, depth=4, heads=3)
        pipeline["nodes"]["targets"]["blocks"] = [2, 4, 6]
        pipeline["run"] = {"steps": 2, "epochs": 2, "device": "cpu", "precision": "fp32", "threads": 1}
        self.write(pipeline)
        planned, taken = [], []
        for size in (8, 32):
            sets = [f"--set=nodes.batch.{what}={size}" for what in ("size", "group")]
            planned.append(self.plan("pipeline.json", *sets)["memory"]["activations"])
            # Freed memory returns to the system at once, so the peak is that of the memory in use.
            process = self.start("pipeline.json", *sets, "--out", f"of-{size}", "--quiet", env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"})
            with process.stdout, process.stderr:
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                self.assertEqual(process.returncode, 0, process.stderr.read())
            taken.append(1024 * usage.ru_maxrss)
        ratio = (taken[1] - taken[0]) / (planned[1] - planned[0])
        self.assertTrue(0.7 < ratio < 1, ratio)

    def test_memory_steps_and_input(self):
        plan = self.pretrain("--world", 8, "--file-kib", 110, "--cores-ms", 6)
        student, head = 21591552, 4820352
        self.assertEqual([(model["parameters"], model["trained"]) for model in plan["models"]], [(student, student), (student, 0), (head, head)])
        memory, trained = plan["memory"], 4 * (student + head)
        self.assertEqual([memory[name] for name in ("weights", "frozen_weights", "gradients", "buckets", "moments")],
                         [trained, 4 * student, trained, trained, 2 * trained])
        self.assertEqual(memory["all"], 5 * trained + 4 * student + memory["activations"])
        self.assertEqual(plan["checkpoint_bytes"], 3 * trained + 4 * student)
        # A block keeps 36 bytes a token and width in bf16; the predictor's sequences, the largest group of those drawn, come on top.
        encoder = 256 * 12 * 36 * 384 * (plan["masks"]["visible"] + 5)
        self.assertTrue(2 * encoder < memory["activations"] < 8 * encoder, memory)
        self.assertEqual(plan["steps"], {"per_epoch": 625, "epochs": 600, "all": 375000})
        self.assertEqual((plan["samples"]["per_rank"], plan["groups"]["per_rank"], plan["machines"]), (256, 1, 1))
        given = plan["input"]
        self.assertAlmostEqual(given["cores_per_machine"], given["images_per_second_per_machine"] * 0.006)
        self.assertAlmostEqual(given["bytes_per_second_per_machine"], given["images_per_second_per_machine"] * 110 * 1024)
        # 112 cores at 6 ms an image prepare less than eight GPUs need.
        self.assertAlmostEqual(plan["images_per_second"], 112 / 0.006)
        self.assertIn("the cores of the hosts", plan["breaks_first"])
        self.assertAlmostEqual(plan["hours"], 375000 * 2048 / plan["images_per_second"] / 3600)

    def test_a_step_is_added_up(self):
        # 64 ranks, 32 images each, at given rates: the numbers by hand.
        plan = self.pretrain("--world", 64, "--set", "nodes.batch.group=32", "--bandwidth", 20, "--device-rate", 5000, "--latency", 10)
        gradients = 4 * (21591552 + 4820352)
        ring = 2 * 63 / 64 * gradients / 20e9
        update = (7 * gradients + 3 * 4 * 21591552) / 3350e9
        passes = 32 * (1 / 5000 - update / 2048)
        operations = plan["operations"]
        hidden = min(ring * (1 - (25 << 20) / gradients), passes * operations["backward"] / operations["per_image"])
        agreement = 2 * 6 * 10e-6
        step = plan["step"]
        for found, wanted in ((plan["exchange"]["bytes"], gradients), (plan["exchange"]["seconds"], ring), (plan["exchange"]["hidden"], hidden),
                              (step["passes"], passes), (step["update"], update), (step["agreement"], agreement), (step["exchange"], ring - hidden),
                              (step["seconds"], passes + update + ring - hidden + agreement), (plan["images_per_second"], 2048 / step["seconds"]),
                              (plan["efficiency"], 2048 / step["seconds"] / 64 / 5000)):
            self.assertTrue(math.isclose(found, wanted, rel_tol=1e-9), (found, wanted))
        self.assertEqual(plan["machines"], 8)

    def test_sharded_states_take_less(self):
        whole, shared = self.pretrain("--world", 8), self.pretrain("--world", 8, "--set", "update.shard=true")
        least, largest = whole["memory"]["moments"] / 8, 8 * 4 * 384 * 384
        self.assertTrue(least <= shared["memory"]["moments"] <= least + largest, shared["memory"])
        self.assertEqual(shared["step"]["gather"], shared["exchange"]["seconds"] / 2)
        self.assertLess(shared["step"]["update"], whole["step"]["update"])
        self.assertEqual(shared["checkpoint_bytes"], whole["checkpoint_bytes"])

    def test_what_breaks_first(self):
        def breaks(*args):
            return self.pretrain(*args)["breaks_first"]

        self.assertIn("memory: a rank needs", breaks("--set", "nodes.batch.group=2048"))
        self.assertIn("the exchange of gradients", breaks("--world", 64, "--set", "nodes.batch.group=32", "--bandwidth", 1))
        self.assertIn("the agreement at the end of a step: at 1024 ranks", breaks("--world", 1024, "--set", "nodes.batch.group=2", "--latency", 1000))
        self.assertIn("the storage", breaks("--world", 8, "--file-kib", 110, "--storage", 500))
        later = breaks("--set", "nodes.batch.group=2")
        self.assertRegex(later, r"but not here: at \d+ ranks")

    def test_from_a_run(self):
        self.write(support.training_pipeline())
        self.flowrun("pipeline.json", "--out", "run", "--quiet")
        plan = self.plan("run", "--world", 2, "--device", "cpu")
        stats = json.loads((self.folder / "run/stats.json").read_text())["nodes"]
        device = sum(node["busy"] for node in stats.values() if node["scope"] in ("device", "step"))
        self.assertGreater(plan["device"]["images_per_second"], 0.2 * 192 / device)
        self.assertGreater(plan["input"]["cores_ms"], 0)
        self.assertEqual(plan["samples"]["from"], "data")
        (self.folder / "run/stats.json").unlink()
        self.assertIn("run has no statistics", self.plan("run", status=2))

    def test_refusals(self):
        err = self.pretrain("--world", 3, status=2)
        self.assertIn("3 ranks can't share the 8 groups of batch (2048 images in groups of 256): 1, 2, 4, 8 can", err)
        self.assertIn("batch.size must be a multiple", err)
        self.assertIn("--set batch.group=32 there is a group for each", self.pretrain("--world", 64, status=2))
        err = self.plan(support.ROOT / "pipelines/pretrain.json", status=2)
        self.assertIn("files can't be opened", err)
        self.assertIn("--images", err)
        self.assertIn("fewer than the batch of 2048", self.plan(support.ROOT / "pipelines/pretrain.json", "--images", 100, status=2))
        self.write(support.data_pipeline())
        self.assertEqual(self.plan("pipeline.json")["operations"]["per_image"], 0)
        self.assertIn("--device", self.plan("pipeline.json", "--device", "h9000", status=2))

    def test_the_table_says_the_same(self):
        text = self.flowrun("plan", support.ROOT / "pipelines/quickstart.json", "--device", "cpu").stdout
        plan = self.plan(support.ROOT / "pipelines/quickstart.json", "--device", "cpu")
        self.assertIn("87408", text)
        self.assertIn(f"breaks first: {plan['breaks_first']}", text)
        for note in plan["notes"]:
            self.assertIn(f"note: {note}", text)
        self.assertIn("evaluations are not counted", plan["notes"])
        for port in plan["ports"]:
            self.assertRegex(text, rf"{port['node']}\.{port['port']} .*{port['shape']}")

    def test_every_pipeline_can_be_planned(self):
        files = [path for path in (support.ROOT / "pipelines").glob("*/*.json")] + [path for path in (support.ROOT / "pipelines/methods").glob("*/*.json")] + [path for path in (support.ROOT / "pipelines").glob("*.json")]
        planned = 0
        for path in sorted(files):
            text = json.loads(path.read_text())
            if "variants" in text or "base" in text or path.parent.name == "parts" or path.name.startswith("_"):
                continue
            done = subprocess.run([support.FLOWRUN, "plan", path, "--images", "10000000", "--json"], cwd=self.folder, text=True, capture_output=True)
            if done.returncode != 0 and ("no stream trains" in done.stderr or ".safetensors" in done.stderr or "weights" in done.stderr):
                continue
            self.assertEqual(done.returncode, 0, f"{path}: {done.stderr}")
            plan = json.loads(done.stdout)
            self.assertEqual(plan["operations"]["per_image"] > 0, "models" in plan, path)
            self.assertTrue(plan["memory"]["fits"] or "memory" in plan["breaks_first"])
            planned += 1
        self.assertGreaterEqual(planned, 10)


if __name__ == "__main__":
    support.main()
