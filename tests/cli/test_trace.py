"""flowrun --trace: ui.perfetto.dev can read the file, and it agrees with stats.json."""
import collections
import json
import shutil

from PIL import Image

import support


class Trace(support.Folder):
    def traced(self, pipeline, *args, status=0):
        self.write(pipeline)
        done = self.flowrun("run", "pipeline.json", "--out", "run", "--quiet", "--trace", "trace.json", *args, status=status)
        events = json.loads((self.folder / "trace.json").read_text())["traceEvents"]
        self.check_format(events)
        return done, events

    def check_format(self, events):
        """The fields that the format asks for; calls of a track don't overlap; every flow begins, ends and lies in calls."""
        tracks, flows = collections.defaultdict(list), collections.defaultdict(list)
        for event in events:
            self.assertIn(event["ph"], "MXCstf")
            self.assertEqual(event["pid"], 1)
            self.assertIsInstance(event["tid"], int)
            self.assertTrue(event["name"])
            if event["ph"] == "X":
                self.assertGreaterEqual(event["dur"], 0)
                tracks[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
            elif event["ph"] in "stf":
                flows[event["name"], event["id"]].append(event)
            elif event["ph"] == "C":
                self.assertTrue(all(isinstance(value, (int, float)) for value in event["args"].values()))
        for spans in tracks.values():
            spans.sort()
            for (_, end), (begin, _) in zip(spans, spans[1:]):
                self.assertLessEqual(end, begin + 0.002)  # both are rounded
        for name, points in flows.items():
            phases = "".join(point["ph"] for point in points)
            self.assertRegex(phases, "^st*f$", name)
            self.assertEqual([p["ts"] for p in points], sorted(p["ts"] for p in points), name)
            self.assertEqual(points[-1]["bp"], "e")
            for point in points:
                spans = tracks[point["tid"]]
                self.assertTrue(any(begin - 0.001 <= point["ts"] <= end + 0.001 for begin, end in spans[max(0, self.before(spans, point["ts"]) - 2):][:4]), point)
        self.flows = flows

    @staticmethod
    def before(spans, at):
        low, high = 0, len(spans)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if spans[middle][0] <= at else (low, middle)
        return low

    @staticmethod
    def calls(events):
        return [event for event in events if event["ph"] == "X" and event["tid"] > 0]

    def check_counts(self, events):
        counted = collections.Counter(event["name"] for event in self.calls(events) if "fold" not in event["args"])
        stats = json.loads((self.folder / "run/stats.json").read_text())["nodes"]
        self.assertEqual(counted, {name: node["count"] for name, node in stats.items() if node["count"]})
        for event in self.calls(events):
            self.assertEqual(event["cat"].split(",")[0], stats[event["name"]]["scope"])

    def test_training_with_evaluations(self):
        pipeline = support.training_pipeline()
        pipeline["nodes"].update(support.frozen_streams())
        pipeline["nodes"]["knn"] = {"type": "eval.knn", "in": {"train": "known_features", "test": "unseen_features"}, "at": ["start", "1 epoch"]}
        for args, names in (["--threads", 2], ["data 1", "data 2", "device"]), (["--serial"], ["all"]):
            with self.subTest(args):
                shutil.rmtree(self.folder / "run", ignore_errors=True)
                done, events = self.traced(pipeline, *args)
                self.assertIn("open it at ui.perfetto.dev", done.stderr + done.stdout)
                self.check_counts(events)
                self.assertEqual([e["args"]["name"] for e in events if e["name"] == "thread_name"], ["segments", *names])
                segments = [e for e in events if e["ph"] == "X" and e["tid"] == 0]
                self.assertEqual([s["name"] for s in segments].count("pass over known"), 4)
                self.assertEqual([(s["args"]["first_step"], s["args"]["last_step"]) for s in segments if s["name"] == "training on files"],
                                 [(1, 4), (5, 8), (9, 12)])
                # Every sample's flow goes from its source to its batch; every group's ends in a step.
                self.assertEqual(sum(name == "sample" for name, _ in self.flows), 3 * 64 + 4 * 200)
                self.assertEqual(sum(name == "group" for name, _ in self.flows), 3 * 8 + 4 * 8)
                self.assertEqual(sum(name == "step" for name, _ in self.flows), 12)
                self.check_way(events)
                losses = [e["args"]["value"] for e in events if e["ph"] == "C" and e["name"] == "loss"]
                self.assertEqual(len(losses), 12)
                for seen, line in zip(losses, self.metrics("run")):
                    self.assertAlmostEqual(seen, line["loss"], delta=1e-5 * abs(line["loss"]))
                fill = [e["args"] for e in events if e["ph"] == "C" and e["name"] == "groups"]
                self.assertTrue(all(value >= 0 for args in fill for value in args.values()))
                self.assertGreater(max(args["on the device"] for args in fill), 0)

    def check_way(self, events):
        """A sample's own calls, in the order of its flow, all say the same sample; they end in the batch."""
        def call_at(point):
            on_track = [call for call in self.calls(events) if call["tid"] == point["tid"]]
            return min(on_track, key=lambda e: abs(e["ts"] + e["dur"] / 2 - point["ts"]))

        for which, first, last in ("sample", {"files", "known", "unseen"}, {"batch", "known_batch", "unseen_batch"}), ("group", None, None):
            for points in [points for (name, _), points in self.flows.items() if name == which][::37]:
                way = [call_at(point) for point in points]
                if which == "sample":
                    self.assertIn(way[0]["name"], first)
                    self.assertIn(way[-1]["name"], last)
                    self.assertEqual(len({(c["args"]["sample"], c["args"].get("step")) for c in way}), 1)
                else:
                    self.assertIn("fold", way[0]["args"])
                    self.assertIn(way[-1]["cat"].split(",")[0], ("step", "evaluation"))

    def test_a_limit(self):
        done, events = self.traced(support.data_pipeline(), "--threads", 2, "--trace-calls", 50)
        self.assertRegex(done.stderr + done.stdout, r"later ones are not in it: raise --trace-calls")
        per_track = collections.Counter(event["tid"] for event in self.calls(events))
        self.assertLessEqual(max(per_track.values()), 50)

    def test_a_failed_run_leaves_one(self):
        pipeline = support.training_pipeline()
        pipeline["nodes"]["update"]["lr"] = {"start": 1e30, "max": 1e30, "final": 1e30}
        done, events = self.traced(pipeline, status=1)
        self.assertIn("encode", {event["name"] for event in self.calls(events)})

    def test_names_are_escaped(self):
        name = 'fl"ip\\ä {}.jpg'
        for index in range(16):
            path = self.folder / "few" / name.format(index)
            path.parent.mkdir(exist_ok=True)
            Image.effect_noise((40, 40), 60).convert("RGB").save(path)
        pipeline = support.data_pipeline()
        pipeline["nodes"]["files"] = {"type": "source.folder", "path": "few"}
        _, events = self.traced(pipeline)
        self.assertIn("few/" + name.format(3), {event.get("args", {}).get("key") for event in events})

    def test_a_place_that_is_not_there(self):
        self.write(support.data_pipeline())
        err = self.flowrun("run", "pipeline.json", "--out", "run", "--trace", "none/trace.json", status=2).stderr
        self.assertIn("cannot write the trace none/trace.json", err)
        self.assertFalse((self.folder / "run").exists())


if __name__ == "__main__":
    support.main()
