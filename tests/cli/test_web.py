"""flowrun web: a page of all runs, its answers, what it refuses, and how it looks in a browser."""
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import unittest
import urllib.parse

from PIL import Image

import support

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NODES = {"files": {"type": "source.folder"}, "seen": {"type": "eval.features", "in": "files", "model": "teacher"}, "knn": {"type": "eval.knn", "in": {"train": "seen"}}}
EVIL = "<img src=x onerror=alert(1)>\"'&"


class Web(support.Folder):
    def made_up(self, name, losses=(3, 2, 1), accuracies=(0.5, 0.75), status="done", **pipeline):
        run = self.folder / "runs" / name
        run.mkdir(parents=True)
        (run / "pipeline.resolved.json").write_text(json.dumps({"about": "", "seed": 1, "run": {"device": "cpu"}, "models": {}, "nodes": NODES, **pipeline}))
        (run / "metrics.jsonl").write_text("".join(json.dumps({"step": s, "loss": loss, "images_per_second": 100.0}) + "\n" for s, loss in enumerate(losses, 1)))
        (run / "evaluations.jsonl").write_text("".join(json.dumps({"node": "knn", "step": 10 * s, "accuracy": a}) + "\n" for s, a in enumerate(accuracies)))
        if status:
            (run / "result.json").write_text(json.dumps({"status": status, "steps": len(losses)}))
        return run

    def serve(self, *args, **options):
        """Returns the process, once it says where it listens: then it answers."""
        self.process = process = self.start("web", *args, **options)
        self.addCleanup(lambda: (process.kill(), process.communicate()) if process.poll() is None else None)
        said = self.process.stdout.readline()
        self.port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", said)[1])
        return self.process

    def begin(self, *args):
        return self.serve(*args, "--port", support.free_port())

    def get(self, page, /, host=None, method="GET", headers=(), **query):
        """The status, the headers and the body."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as client:
            client.request(method, page + ("?" + urllib.parse.urlencode(query, doseq=True) if query else ""), headers={"Host": host or f"127.0.0.1:{self.port}", **dict(headers)})
            answer = client.getresponse()
            return answer.status, answer.headers, answer.read()

    def api(self, what, /, **query):
        status, headers, body = self.get("/api/" + what, **query)
        self.assertEqual((status, headers["Content-Type"]), (200, "application/json"), body)
        return json.loads(body)

    def file(self, name, path, **more):
        return self.get("/run/" + urllib.parse.quote(name, safe="") + "/" + urllib.parse.quote(path, safe=""), **more)

    def raw(self, request):
        """What comes back to these bytes; empty where the connection was cut."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as client:
            answer = b""
            with contextlib.suppress(ConnectionError):
                client.sendall(request)
                while chunk := client.recv(65536):
                    answer += chunk
        return answer

    def test_the_answers(self):
        self.made_up("a", about="the first", models={"m": {"type": "model.vit", "depth": 2}})
        self.made_up("sub/b", losses=(4, None, 2.5), accuracies=(0.5, 0.8, 0.7), status="failed", seed=2, models={"m": {"type": "model.vit", "depth": 3}})
        self.made_up("killed", status=None)
        (self.folder / "runs/notes").mkdir()
        self.begin("runs")
        found = {run["name"]: run for run in self.api("runs")["runs"]}
        self.assertEqual(list(found), ["a", "killed", "sub/b"])
        self.assertEqual({name: run["status"] for name, run in found.items()}, {"a": "done", "killed": "no result", "sub/b": "failed"})
        self.assertEqual((found["a"]["about"], found["a"]["loss"], found["a"]["step"], found["a"]["seed"], found["a"]["device"]), ("the first", 1, 3, 1, "cpu"))
        knn = found["sub/b"]["evaluations"][0]
        self.assertEqual((knn["node"], knn["value"], knn["start"], knn["last"], knn["best"], knn["best_step"]), ("knn", "accuracy", 0.5, 0.7, 0.8, 10))

        curves = self.api("curves", name=["a", "sub/b", "none"], metric=["loss", "knn accuracy"])
        self.assertEqual(curves["metrics"], ["images_per_second", "knn accuracy", "loss"])
        loss = {curve["name"]: curve["points"] for curve in curves["charts"][0]["curves"]}
        self.assertEqual([(p[0], p[1]) for p in loss["a"]], [(1, 3), (2, 2), (3, 1)])
        self.assertEqual([p[1] for p in loss["sub/b"]], [4, None, 2.5])
        self.assertEqual([[p[1] for p in curve["points"]] for curve in curves["charts"][1]["curves"]], [[0.5, 0.75], [0.5, 0.8, 0.7]])

        self.assertEqual(self.api("diff", a="a", b="sub/b")["changes"], [{"path": "seed", "from": 1, "to": 2}, {"path": "models.m.depth", "from": 2, "to": 3}])
        run = self.api("run", name="a")
        self.assertIn("knn accuracy rose from 50.0 % before training to 75.0 %", " ".join(said["text"] for said in run["verdict"]))
        self.assertFalse(run["report"])
        for path in ("/api/run?name=none", "/api/diff?a=a&b=none", "/api/graph?name=none", "/api/none", "/none", "/run/a/x.png"):
            self.assertEqual(self.get(path)[0], 404, path)
        # The pipeline is made up: its graph can't be drawn, and the answer says why.
        status, _, body = self.get("/api/graph", name="a")
        self.assertEqual(status, 422)
        self.assertIn(b"can't be drawn", body)

    def test_a_run_appears_goes_on_and_ends(self):
        (self.folder / "runs").mkdir()
        self.begin()
        self.assertEqual(self.api("runs")["runs"], [])
        pipeline = support.training_pipeline(epochs=100000)
        pipeline["nodes"]["sheet"] = {"type": "report.contact_sheet", "in": {"image": "batch", "mask": "mask"}}
        run = self.start(self.write(pipeline), "--out", "runs/live", "--quiet")
        self.addCleanup(lambda: (run.kill(), run.communicate()) if run.poll() is None else None)

        def live():
            return next((one for one in self.api("runs")["runs"] if one["name"] == "live"), {})
        self.wait_until(lambda: live().get("step"), run, "a step")
        first = live()
        self.assertEqual(first["status"], "running")
        self.wait_until(lambda: live()["step"] > first["step"], run, "the next step")
        # Its graph follows its own statistics, as flowrun top has them: asked for once, they are there soon.
        plain = self.get("/api/graph", name="live")
        self.assertEqual((plain[0], plain[1]["Content-Type"]), (200, "image/svg+xml"))
        self.wait_until(lambda: b" %" in self.get("/api/graph", name="live")[2], run, "shares of the time")
        self.assertEqual(live()["last_step"], json.loads((self.folder / "runs/live/status.json").read_text())["last_step"])
        run.send_signal(signal.SIGTERM)
        run.communicate(timeout=120)
        self.assertEqual(live()["status"], "stopped")
        self.assertIn(b" %", self.get("/api/graph", name="live")[2])
        found = self.api("run", name="live")
        self.assertEqual(([one["file"] for one in found["pictures"]], found["report"]), (["contact_sheet.png"], True))
        status, headers, body = self.file("live", "contact_sheet.png")
        self.assertEqual((status, headers["Content-Type"], body), (200, "image/png", (self.folder / "runs/live/contact_sheet.png").read_bytes()))
        status, headers, body = self.file("live", "report.html")
        self.assertEqual((status, body), (200, (self.folder / "runs/live/report.html").read_bytes()))
        self.assertIn("sandbox allow-scripts", headers["Content-Security-Policy"])
        self.assertNotIn("allow-same-origin", headers["Content-Security-Policy"])

    def test_two_hundred_runs(self):
        for i in range(200):
            self.made_up(f"sweep-{i // 50}/run-{i}", losses=[1 + i / s for s in range(1, 50)])
        self.begin("runs")
        self.assertEqual(len(self.api("runs")["runs"]), 200)
        names = [run["name"] for run in self.api("runs")["runs"]]
        found = self.api("curves", name=names, metric="loss")
        self.assertEqual(len(found["charts"][0]["curves"]), found["most"])

    def test_it_ends_on_a_signal(self):
        (self.folder / "runs").mkdir()
        for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process = self.begin("runs")
            mute = socket.create_connection(("127.0.0.1", self.port))
            self.addCleanup(mute.close)
            self.assertEqual(self.get("/")[0], 200)
            process.send_signal(sent)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0)

    def test_nohup(self):
        (self.folder / "runs").mkdir()
        process = self.serve("runs", "--port", support.free_port(), preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        with open(f"/proc/{process.pid}/status") as status:
            blocked, ignored = (int(mask, 16) >> (signal.SIGHUP - 1) & 1 for mask in re.findall(r"Sig(?:Blk|Ign):\s+(\w+)", status.read()))
        self.assertEqual((blocked, ignored), (0, 1), "nobody waits for it")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)

    def test_wrong_words(self):
        self.assertIn("none is no folder: give the one that your runs are in, or make a run there: flowrun PIPELINE.json --out none/first", self.flowrun("web", "none", status=1).stderr)
        (self.folder / "runs").mkdir()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            process = self.serve("runs", "--port", port)
            self.assertNotEqual(self.port, port)
            self.assertEqual(self.get("/")[0], 200)
            process.send_signal(signal.SIGINT)
            self.assertIn(f"port {port} of this machine is taken: {self.port} is used", process.communicate()[1])

    def test_what_is_refused(self):
        run = self.made_up("a")
        secret = self.folder / "secret.png"
        secret.write_text("secret")
        (run / "leaves.png").symlink_to(secret)
        (run / "inside.png").write_bytes(b"x")
        (self.folder / "runs/outside").symlink_to(self.folder)
        self.begin("runs")
        before = sorted(path for path in self.folder.rglob("*"))
        self.assertEqual(self.file("a", "inside.png")[2], b"x")
        for name, path in (("a", "../secret.png"), ("a", "leaves.png"), ("a", str(secret)), ("..", "secret.png"), ("a/..", "a"), ("outside", "secret.png"), ("a", "result.json"),
                           ("a", "pipeline.resolved.json"), ("", "inside.png"), ("a", ""), (str(run), "inside.png"), ("a/../a", "inside.png"), ("a", "inside.png/")):
            status, _, body = self.file(name, path)
            self.assertEqual(status, 404, (name, path))
            self.assertNotIn(b"secret", body)
        for path in ("/../secret.png", "/%2e%2e/secret.png", "/runs/a/inside.png", "//etc/passwd", "/run/../../secret.png", "/run/inside.png", "/run/a/..", "/run"):
            self.assertEqual(self.get(path)[0], 404, path)
        # A page of another site whose name leads here is no friend; neither is a client without a name for this machine.
        self.assertIn(f"ssh -L {self.port}:localhost:{self.port} MACHINE".encode(), self.get("/api/runs", host="localhost:1")[2])
        for host in ("evil.example", f"evil.example:{self.port}", "127.0.0.1", f"127.0.0.1:{self.port + 1}", f"127.0.0.1.evil.example:{self.port}", f"0.0.0.0:{self.port}"):
            self.assertEqual(self.get("/api/runs", host=host)[0], 403, host)
        self.assertEqual(self.get("/api/runs", host=f"localhost:{self.port}")[0], 200)
        self.assertTrue(self.raw(b"GET /api/runs HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 403 "))
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            self.assertEqual(self.get("/api/runs", method=method)[0], 405, method)
        self.assertEqual(self.get("/api/runs", method="HEAD")[2], b"")
        here = f"Host: 127.0.0.1:{self.port}\r\n".encode()
        for request in (b"\0\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET /%zz HTTP/1.1\r\n" + here + b"\r\n", b"GET / HTTP/1.1\r\n" + here + here + b"\r\n"):
            self.assertTrue(self.raw(request).startswith(b"HTTP/1.1 400 "), request)
        for request in (b"GET /" + b"a" * 10**6, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10**5):
            self.assertIn(self.raw(request)[:13], (b"", b"HTTP/1.1 431 "))
        # It listens on this machine's own address alone.
        with open("/proc/net/tcp") as table:
            listening = [line.split()[1] for line in table if line.split()[3] == "0A" and line.split()[1].endswith(f":{self.port:04X}")]
        self.assertEqual(listening, [f"0100007F:{self.port:04X}"])
        self.assertEqual(before, sorted(path for path in self.folder.rglob("*")), "it only reads")

    def test_pages_of_other_sites_ask_for_nothing(self):
        run = self.made_up("a")
        (run / "report.html").write_text("x")
        self.begin("runs")
        for site in ("cross-site", "same-site", "none", "same-origin", ""):
            for mode in ("no-cors", "navigate"):
                headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode} if site else {}
                other = site in ("cross-site", "same-site")
                for path in ("/api/runs", "/api/graph?name=a", "/api/run?name=a"):
                    self.assertEqual(self.get(path, headers=headers)[0] == 403, other, (path, site, mode))
                # A link may lead to the page, and a report, which counts as another site, to its own run's files.
                for path in ("/", "/run/a/report.html"):
                    self.assertEqual(self.get(path, headers=headers)[0], 403 if other and mode == "no-cors" else 200, (path, site, mode))

    def test_a_stranger_s_pipeline_opens_no_other_file(self):
        (self.folder / "secret.json").write_text('{"password": "hunter2"}')
        (self.folder / "weights.safetensors").write_text("hunter2")
        outside = str(self.folder / "secret.json")
        for name, pipeline in (("extends", {"extends": outside}), ("again", {"extends": "../../secret.json"}), ("parts", {"parts": {"p": outside}, "nodes": {"n": {"use": "p"}}}),
                               ("swap", {"swap": {}}), ("plugins", {"plugins": [outside], "models": {}, "nodes": {}}), ("let", {"let": {}}), ("text", {"hunter2": 1, "nodes": {"a": {"type": "hunter3"}}})):
            run = self.folder / "runs" / name
            run.mkdir(parents=True)
            (run / "pipeline.resolved.json").write_text(json.dumps(pipeline, indent=1))
        weights = support.data_pipeline()
        weights["models"] = {"m": {"type": "model.pretrained", "file": str(self.folder / "weights.safetensors")}}
        self.made_up("weights", **weights)
        self.begin("runs")
        for name in ("extends", "again", "parts", "swap", "plugins", "let"):
            status, _, body = self.get("/api/graph", name=name)
            self.assertEqual(status, 422, name)
            self.assertIn(f'"{"extends" if name == "again" else name}" names other files'.encode(), body)
            self.assertNotIn(b"hunter2", body)
            self.assertNotIn(b"secret", body, "no line of a file is told")
        large = self.made_up("large")
        (large / "pipeline.resolved.json").write_text(json.dumps({"nodes": {f"n{i}": {"type": "report.metrics", "in": {"x": f"n{i + 1}"}} for i in range(3000)}}))
        status, _, body = self.get("/api/graph", name="large")
        self.assertEqual((status, b"too many" in body), (422, True))
        status, _, body = self.get("/api/graph", name="text")
        self.assertEqual(status, 422)
        self.assertNotIn(b"^", body, "messages without the lines that they are about")
        self.assertEqual(self.get("/api/graph", name="weights")[0], 200, "a drawing needs no weights")
        self.assertEqual([change["path"] for change in self.api("diff", a="extends", b="text")["changes"]], ["nodes.a"], "nor does it open files")

    def test_files_that_never_end_keep_nobody_waiting(self):
        outside = self.folder / "outside.jsonl"
        outside.write_text('{"node": "secret", "step": 1, "accuracy": 1, "loss": 77}\n')
        pipe, links, long = self.made_up("pipe"), self.made_up("links"), self.made_up("long")
        for name in ("log.txt", "metrics.jsonl", "evaluations.jsonl", "result.json", "quarantine.jsonl", "stats.json", "status.json"):
            for run in (pipe, links, long):
                (run / name).unlink(missing_ok=True)
            os.mkfifo(pipe / name)
            (links / name).symlink_to(outside)
            with open(long / name, "wb") as file:
                file.truncate(100_000_000)
        self.begin("runs")
        found = {run["name"]: run for run in self.api("runs")["runs"]}
        for name in ("pipe", "links", "long"):
            self.assertEqual((found[name]["status"], found[name]["loss"], found[name]["evaluations"]), ("no result", None, []), name)
            run = self.api("run", name=name)
            self.assertEqual((run["metrics"], run["evaluations"], run["warnings"], run["quarantined"]), ([], [], [], 0), name)
            self.assertIn(self.get("/api/graph", name=name)[0], (200, 422))
        self.assertLess(self.memory("VmHWM"), 1 << 30)

    def memory(self, what):
        """In bytes, of the server."""
        with open(f"/proc/{self.process.pid}/status") as status:
            return 1024 * int(re.search(rf"{what}:\s+(\d+) kB", status.read())[1])

    def test_answers_that_nobody_takes_are_bounded(self):
        run = self.made_up("a")
        for name, size in (("large.png", 16 << 20), ("larger.png", (16 << 20) + 1)):
            with open(run / name, "wb") as file:
                file.truncate(size)
        self.begin("runs")
        self.assertEqual(self.file("a", "larger.png")[0], 422)
        self.assertEqual(len(self.file("a", "large.png")[2]), 16 << 20)
        status, headers, body = self.file("a", "large.png", method="HEAD")
        self.assertEqual((status, headers["Content-Length"], body), (200, str(16 << 20), b""))
        before = self.memory("VmRSS")
        clients = [socket.create_connection(("127.0.0.1", self.port), timeout=60) for _ in range(30)]
        self.addCleanup(lambda: [client.close() for client in clients])
        # All connections are open before the first request is read, so that one round of the server's answers all of them.
        self.wait_until(lambda: len(os.listdir(f"/proc/{self.process.pid}/fd")) >= 30)
        os.kill(self.process.pid, signal.SIGSTOP)
        for client in clients:
            client.sendall(f"GET /run/a/large.png HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())
        os.kill(self.process.pid, signal.SIGCONT)
        self.assertTrue(clients[-1].recv(20).startswith(b"HTTP/1.1 200 "))
        self.assertLess(self.memory("VmRSS") - before, 200 << 20, "30 answers of 16 MiB")
        self.assertEqual(self.get("/")[0], 200)

    def test_charts_have_a_bounded_number_of_points(self):
        run = self.made_up("run-0", losses=(), accuracies=())
        lines = "".join(json.dumps({"step": step} | {f"m{i:02}": step for i in range(30)}) + "\n" for step in range(400))
        (run / "metrics.jsonl").write_text(lines)
        for i in range(1, 70):
            shutil.copytree(run, self.folder / f"runs/run-{i}")
        self.begin("runs")
        metrics = [f"m{i:02}" for i in range(30)]
        found = self.api("curves", name=[f"run-{i}" for i in range(70)], metric=2 * metrics)
        self.assertEqual((found["metrics"], found["most"], found["all"]), (metrics, 64, False))
        points = [sum(len(curve["points"]) for curve in chart["curves"]) for chart in found["charts"]]
        self.assertEqual(points, 15 * [64 * 400], "no more than 400,000 in all")
        found = self.api("curves", name=["run-0", "run-0"], metric=2 * metrics)
        self.assertEqual((len(found["charts"]), {len(chart["curves"]) for chart in found["charts"]}, found["all"]), (30, {1}, True))

    def test_a_report_s_links(self):
        run = self.made_up("sub/b c")
        (run / "x.png").write_bytes(b"x")
        (run / "report.html").write_text("<a href=x.png>")
        (run / "checkpoints/step-1").mkdir(parents=True)
        self.begin("runs")
        for report in ("/run/sub%2Fb%20c/report.html", "/run/sub/b%20c/report.html"):
            self.assertEqual(self.get(report)[2], b"<a href=x.png>")
            self.assertEqual(self.get(urllib.parse.urljoin(report, "x.png"))[2], b"x")
            status, _, body = self.get(urllib.parse.urljoin(report, "checkpoints/step-1"))
            self.assertEqual(status, 404)
            self.assertIn(b"look for others in the run's folder", body)
        self.begin(run)
        self.assertEqual([one["name"] for one in self.api("runs")["runs"]], ["."])
        self.assertEqual(self.get("/run/x.png")[2], b"x")

    def test_the_browser_gets_signals(self):
        self.made_up("a")
        (self.folder / "bin").mkdir()
        browser = self.folder / "bin/xdg-open"
        browser.write_text('#!/bin/sh\ngrep -E "SigBlk|SigIgn" /proc/self/status > said\necho "$$ $(cut -d" " -f5 /proc/$$/stat) $1" >> said\nmv said opened\n')
        browser.chmod(0o755)
        self.serve("runs", "--port", support.free_port(), "--open", env={**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"})
        self.wait_until(lambda: (self.folder / "opened").exists(), self.process, "the browser")
        blocked, ignored, which = (self.folder / "opened").read_text().splitlines()
        pid, group, address = which.split()
        self.assertEqual(int(blocked.split()[1], 16), 0)
        self.assertFalse(int(ignored.split()[1], 16) >> (signal.SIGCHLD - 1) & 1)
        self.assertEqual((group, address), (pid, f"http://127.0.0.1:{self.port}/"))
        self.wait_until(lambda: not os.path.exists(f"/proc/{pid}"), self.process, "the end of the browser: no zombie stays")

    def test_it_ends_while_it_answers(self):
        for i in range(300):
            self.made_up(f"run-{i}", losses=range(200))
        for _ in range(5):
            process = self.begin("runs")
            clients = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(20)]
            for client in clients:
                client.sendall(f"GET /api/runs HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0)
            for client in clients:
                client.close()

    def test_what_every_answer_says(self):
        self.made_up("a")
        self.begin("runs")
        for path in ("/", "/page.css", "/page.js", "/icon.svg", "/api/runs", "/api/run?name=a", "/none"):
            headers = self.get(path)[1]
            self.assertIn("default-src 'self'", headers["Content-Security-Policy"], path)
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff", path)
            self.assertEqual(headers["Cross-Origin-Resource-Policy"], "same-origin", path)
        text = "".join(self.get(path)[2].decode() for path in ("/", "/page.css", "/page.js"))
        self.assertEqual(re.findall(r"url\(|@import|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?://(?!www\.w3\.org/2000/svg)", text), [])

    def test_slow_clients_keep_nobody_waiting(self):
        self.made_up("a")
        self.begin("runs")
        half = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(300)]
        self.addCleanup(lambda: [client.close() for client in half])
        for client in half[::3]:
            with contextlib.suppress(ConnectionError):
                client.sendall(b"GET /api/runs HTTP/1.1\r\nHost: 127.0")
        clients = [socket.create_connection(("127.0.0.1", self.port), timeout=60) for _ in range(20)]
        for client in clients:
            client.sendall(f"GET /api/runs HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())
        for client in clients:
            with client:
                self.assertTrue(client.recv(65536).startswith(b"HTTP/1.1 200 "))

    def browser(self, state, *args):
        done = subprocess.run([BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr", "--window-size=1400,900",
                               f"--user-data-dir={self.folder}/browser", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--virtual-time-budget=5000", *args,
                               f"http://127.0.0.1:{self.port}/#" + urllib.parse.urlencode(state, doseq=True)],
                              capture_output=True, text=True, timeout=120, env={**os.environ, "HOME": str(self.folder)})
        self.assertNotIn("CONSOLE", done.stderr)
        return done.stdout

    @unittest.skipUnless(BROWSER, "no browser: chromium is not installed")
    def test_in_a_browser(self):
        self.made_up("first", accuracies=(0.5, 0.9), about=EVIL)
        self.made_up("second", losses=(5, 4, 3), accuracies=(0.5, 0.6), seed=2)
        self.made_up(EVIL.replace("/", ""), accuracies=())
        for i in range(200):
            self.made_up(f"many/{i}", accuracies=())
        Image.new("RGB", (40, 30), (200, 10, 20)).save(self.folder / "runs/first/contact_sheet.png")
        self.begin("runs")
        both = {"with": ["first", "second"]}

        def rows(page):
            return [re.sub("<[^>]*>", "", name) for name in re.findall(r'<button class="name">(.*?)</button>', page)]
        page = self.browser({"tab": "Curves", **both}, "--dump-dom")
        self.assertEqual(len(rows(page)), 203)
        self.assertEqual(len(re.findall(r'<path class="line c[01]" d="M', page)), 4)
        self.assertIn("203 of 203 runs, 2 checked", page)
        self.assertNotIn("<img src=\"x\"", page)
        self.assertIn("&lt;img src=x onerror=alert(1)&gt;", page)
        # Who comes without an address sees the curves of the newest run.
        os.utime(self.folder / "runs/second/metrics.jsonl", (2e9, 2e9))
        page = self.browser({}, "--dump-dom")
        self.assertIn("203 of 203 runs, 1 checked", page)
        self.assertRegex(page, r'<div class="key"><span class="c0"><b>━ second</b>')
        self.assertIn("203 of 203 runs, 0 checked", self.browser({"tab": "Curves"}, "--dump-dom"))
        self.assertEqual(rows(self.browser({"filter": "knn>0.7 status:done"}, "--dump-dom")), ["first"])
        self.assertEqual(rows(self.browser({"filter": "loss>=1 many/19", "sort": "name", "down": 1}, "--dump-dom"))[:2], ["many/199", "many/198"])
        page = self.browser({"tab": "Evaluations", **both}, "--dump-dom")
        self.assertIn('<span class="best">90.0 %</span>', page)
        self.assertIn('<span class="">60.0 %</span>', page)
        page = self.browser({"tab": "Diff", **both}, "--dump-dom")
        self.assertIn("<td>seed</td><td>1</td><td>2</td>", page)
        page = self.browser({"tab": "Run", "run": "first"}, "--dump-dom")
        self.assertIn("knn accuracy rose from 50.0 %", page)
        self.assertIn("can't be drawn", self.browser({"tab": "Graph", "run": "first"}, "--dump-dom"))
        self.assertIn("contact_sheet.png of first", self.browser({"tab": "Pictures", "run": "first"}, "--dump-dom"))
        for scheme, paper in (("1", (255, 255, 255)), ("0", (0x17, 0x18, 0x1B))):
            shot = self.folder / "shot.png"
            self.browser({"tab": "Curves", **both}, f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={shot}")
            picture = Image.open(shot).convert("RGB")
            self.assertEqual(picture.getpixel((3, 3)), paper)
            colours = {colour for _, colour in picture.getcolors(1 << 24)}
            self.assertIn((0x3B, 0x7D, 0xC4), colours, "the curve of the first run")
            self.assertIn((0xD9, 0x82, 0x2B), colours, "the curve of the second")
        self.browser({"tab": "Pictures", "run": "first"}, f"--screenshot={shot}")
        self.assertIn((200, 10, 20), {colour for _, colour in Image.open(shot).convert("RGB").getcolors(1 << 24)})

    @unittest.skipUnless(BROWSER, "no browser: chromium is not installed")
    def test_a_folder_without_runs_in_a_browser(self):
        (self.folder / "runs").mkdir()
        self.begin("runs")
        self.assertIn(f"There is no run yet: flowrun PIPELINE.json --out {self.folder}/runs/first makes one", self.browser({}, "--dump-dom"))

    @unittest.skipUnless(BROWSER, "no browser: chromium is not installed")
    def test_the_graph_of_a_real_run_in_a_browser(self):
        self.write(support.data_pipeline())
        self.flowrun("pipeline.json", "--out", "runs/real", "--quiet")
        self.begin("runs")
        page = self.browser({"tab": "Graph", "run": "real"}, "--dump-dom")
        self.assertIn('alt="The graph of real"', page)
        shot = self.folder / "shot.png"
        self.browser({"tab": "Graph", "run": "real"}, f"--screenshot={shot}")
        picture = Image.open(shot).convert("RGB").crop((700, 120, 1380, 880))
        self.assertGreater(len(picture.getcolors(1 << 24)), 50, "no graph was drawn")


if __name__ == "__main__":
    support.main()
