"""tools/compare: a table of methods over seeds; a repeated call continues."""
import json
import shutil
import subprocess
import sys

import support

TINY = ["files.images=96", "run.epochs=2", "run.intra_op=1", "known.images=50", "unseen.images=50", "known_batch.size=50", "unseen_batch.size=50",
        "metrics.every=1 step", "save.every=1 epoch"]


class Compare(support.Folder):
    def compare(self, *args, status=0):
        settings = [part for text in TINY for part in ("--set", text)]
        done = subprocess.run([sys.executable, support.ROOT / "tools/compare", *args, *settings, "--out", "out", "--flowrun", support.FLOWRUN],
                              cwd=self.folder, text=True, capture_output=True, timeout=600)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def test_a_table_of_two_methods_and_two_seeds(self):
        folder = support.ROOT / "pipelines/compare/textures"
        files = [folder / "bootleg.json", folder / "mae.json"]
        printed = self.compare(*files, "--seeds", "1", "2")
        self.assertEqual(printed.count(" s\n"), 4, "four runs")
        rows = [line for line in printed.splitlines() if line.startswith("|")]
        self.assertEqual([row.split("|")[1].strip() for row in rows], ["method", "---", "random init", "bootleg", "mae"])
        self.assertIn("knn %", rows[0])
        data = json.loads((self.folder / "out/table.json").read_text())["methods"]
        for method in ("bootleg", "mae"):
            known = [self.result(f"out/{method}-seed{seed}")["knn"]["accuracy"] for seed in (1, 2)]
            self.assertEqual(data[method]["knn"], known)
            self.assertEqual([curve[0][0] for curve in data[method]["curve"]], [0, 0])
            mean = 50 * sum(known)
            self.assertIn(f"{mean:.1f} ± {50 * abs(known[0] - known[1]):.1f}", printed)

        again = self.compare(*files, "--seeds", "1", "2")
        self.assertNotIn(" s\n", again.split("|")[0], "nothing runs twice")
        shutil.rmtree(self.folder / "out/mae-seed2")
        self.assertEqual(self.compare(*files, "--seeds", "1", "2", "--report").count("| 1 |"), 1, "a report runs nothing")
        table = self.compare(*files, "--seeds", "1", "2", "--cells", "cells.jsonl")
        self.assertIn("mae seed 2", table)
        self.assertEqual(len((self.folder / "cells.jsonl").read_text().splitlines()), 4)
        shutil.rmtree(self.folder / "out")
        elsewhere = self.compare(*files, "--seeds", "1", "2", "--cells", "cells.jsonl")
        self.assertEqual(elsewhere, table[table.index("|"):], "what is in the file is not run again")

    def test_a_finished_run_of_another_file_is_not_used(self):
        folder = support.ROOT / "pipelines/compare/textures"
        self.write({"extends": str(folder / "mae.json"), "set": {"update.weight_decay": 0.1}}, "own.json")
        self.compare("own.json", "--seeds", "1", "--cells", "cells.jsonl")
        self.write({"extends": str(folder / "mae.json"), "set": {"update.weight_decay": 0.2}}, "own.json")
        done = subprocess.run([sys.executable, support.ROOT / "tools/compare", "own.json", "--seeds", "1", "--cells", "cells.jsonl", "--out", "other", "--report",
                               *[part for text in TINY for part in ("--set", text)]], cwd=self.folder, text=True, capture_output=True)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("own seed 1 in cells.jsonl was made by other files: not used\ncompare: no run is finished", done.stderr)

    def test_classifiers_are_tabulated_by_their_answers(self):
        folder = support.ROOT / "pipelines/compare/distill"
        sets = ["let.images=32", "let.batch=16", "let.group=16", "let.unseen=40", "unseen_batch.size=20", "run.epochs=1", "run.intra_op=1", "update.warmup_epochs=0",
                "metrics.every=1 step", "save.every=1 epoch"]
        self.write({"about": "Without a warm-up", "extends": str(folder / "dml.json"), "set": {"peer_update.warmup_epochs": 0}}, "dml.json")
        done = subprocess.run([sys.executable, support.ROOT / "tools/compare", folder / "alone.json", "dml.json", "--seeds", "1", "--out", "out", "--flowrun", support.FLOWRUN,
                               *[part for text in sets for part in ("--set", text)]], cwd=self.folder, text=True, capture_output=True, timeout=600)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if line.startswith("|")]
        self.assertEqual(rows[0][:4], ["method", "seeds", "answers %", "peer_answers %"])
        answers = {name: f"{100 * self.result(f'out/dml-seed1')[name]['accuracy']:.1f}" for name in ("answers", "peer_answers")}
        self.assertEqual(rows[-1][:4], ["dml", "1", answers["answers"], answers["peer_answers"]])
        self.assertEqual(rows[-2][3], "-", "alone has no peer")

    def test_what_is_missing_is_named(self):
        done = subprocess.run([sys.executable, support.ROOT / "tools/compare", "nothing.json", "--out", "out"], cwd=self.folder, text=True, capture_output=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing.json: no such pipeline", done.stderr)


if __name__ == "__main__":
    support.main()
