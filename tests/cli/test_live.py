"""A run that goes on, seen from outside: top, SIGUSR1, the stall report, Prometheus. Nodes of a plug-in misbehave on purpose."""
import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import urllib.request

import support
from support import Folder, training_pipeline

FAULT_NODES = os.environ.get("FLOWRUN_FAULT_NODES", str(support.FLOWRUN.parents[1] / "tests/libfault_nodes.so"))


def with_fault(scope, **params):
    """The training pipeline with a node that misbehaves: one that samples pass, or one after each step."""
    pipeline = training_pipeline(stall_after=4)
    pipeline["plugins"] = [FAULT_NODES]
    nodes = pipeline["nodes"]
    if scope == "sample":
        nodes["fault"] = {"type": "fault.sample", "in": "flip", **params}
        nodes["batch"]["in"] = "fault"
    else:
        nodes["fault"] = {"type": "fault.step", "after": "ema", **params}
    return pipeline


class Screen:
    """The output on a terminal of any width; `frames` are its contents before each redraw."""

    def __init__(self):
        self.rows, self.x, self.y, self.frames = [[]], 0, 0, []

    def text(self):
        return "\n".join("".join(row).rstrip() for row in self.rows)

    def feed(self, text):
        for escape, number, letter, char in re.findall(r"(\x1b\[([\d;]*)([A-Za-z]))|([^\x1b])", text, re.DOTALL):
            if letter == "A":
                self.y -= int(number or 1)
            elif letter == "J":
                self.frames.append(self.text())
                self.rows[self.y + 1:] = []
                self.rows[self.y][self.x:] = []
            elif letter and letter != "m":
                raise AssertionError(f"unexpected {escape!r}")
            elif char == "\r":
                self.x = 0
            elif char == "\n":
                self.down()
            elif char:
                self.put(char)
        assert self.y >= 0, "moved above the first line"

    def down(self):
        self.y += 1
        if self.y == len(self.rows):
            self.rows.append([])

    def put(self, char):
        row = self.rows[self.y]
        row += " " * (self.x + 1 - len(row))
        row[self.x] = char
        self.x += 1


class Terminal(Folder):
    def on_terminal(self, pipeline, columns=100, **environment):
        """Runs it with a terminal as standard error. Returns the output, and the screen at the end."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        env = {**os.environ, "TERM": "xterm", "NO_COLOR": "", **environment}
        command = [support.FLOWRUN, self.write(pipeline), "--out", "run", "--threads", "1"]
        process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=slave, env=env)
        os.close(slave)
        written = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            written += chunk
        os.close(master)
        self.assertEqual(process.wait(60), 0, written.decode())
        screen = Screen()
        screen.feed(written.decode())
        for frame in screen.frames:
            if "bottleneck" in frame:
                self.assertLess(max(map(len, frame.splitlines()[-5:])), columns, frame)
        return written.decode(), screen

    def test_who_waits_for_whom(self):
        for scope, fault, said in (("sample", {"ms": 12}, r"bottleneck: data threads, most of it fault \(\d\d+ %\); the device waits \d\d+ %"),
                                   ("step", {"ms": 200}, r"bottleneck: the device, most of it fault \(\d\d+ %\)")):
            with self.subTest(scope):
                pipeline = with_fault(scope, kind="sleep", **fault)
                pipeline["run"]["epochs"] = 5
                written, screen = self.on_terminal(pipeline)
                self.folder.joinpath("run").rename(self.folder / scope)
                frame = next((frame for frame in reversed(screen.frames) if "bottleneck" in frame), "")
                self.assertRegex(frame, said)
                self.assertRegex(frame, r"\[[#-]{24}\] +\d+ %  step \d+/20  epoch \d\.\d\d  left \d+s\nloss \d\.\d{4}  \d+ images/s\n\[[#-]{24}\]")
                self.assertEqual(frame.count("bottleneck"), 1, "the lines stand once")
                self.assertNotIn("bottleneck", screen.text(), "nothing is left of them")
                self.assertRegex(screen.text(), r"^run run: 20 steps of 16 images.*\ndone: run\n$")
                self.assertIn("\x1b[33m", written)

    def test_the_log_is_not_torn(self):
        pipeline = with_fault("sample", kind="throw", every=16)
        pipeline["run"].update(epochs=4, max_bad=100)
        pipeline["nodes"]["slow"] = {"type": "fault.step", "after": "ema", "kind": "sleep", "ms": 150}
        for columns in (100, 30):
            with self.subTest(columns=columns):
                written, screen = self.on_terminal(pipeline, columns, NO_COLOR="1")
                (self.folder / "run").rename(self.folder / f"run-{columns}")
                self.assertNotIn("\x1b[1m", written)
                self.assertNotIn("\x1b[33m", written)
                lines = screen.text().splitlines()
                self.assertEqual(sum(line.startswith("warning: replaced a sample") for line in lines), 4, screen.text())
                self.assertEqual(lines[-1], "done: run")
                frame = next(frame for frame in reversed(screen.frames) if "bottleneck" in frame)
                self.assertIn("warning: replaced", frame, "the lines stand below the log")
                self.assertEqual("[#" in frame, columns > 50, "bars only where there is room")

    def test_a_terminal_that_moves_no_cursor(self):
        written, _ = self.on_terminal(training_pipeline(), TERM="dumb")
        self.assertNotIn("\x1b", written)
        self.assertRegex(written, r"\nstep 12/12  epoch 3\.00  loss \d\.\d{4}  \d+ images/s  bottleneck: .*  left 0s\r\n")

    def test_elsewhere_it_is_a_line_now_and_then(self):
        done = self.flowrun(self.write(with_fault("step", kind="sleep", ms=150)), "--out", "run")
        self.assertNotIn("\x1b", done.stderr)
        lines = [line for line in done.stderr.splitlines() if line.startswith("step ")]
        self.assertRegex(lines[-1], r"step 12/12 .*  bottleneck: the device, most of it fault \(\d\d+ %\)  left 0s")
        self.assertLess(len(lines), 5)


class Live(Folder):
    def begin(self, pipeline, *args):
        process = self.start(self.write(pipeline), "--out", "run", *args)
        self.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close(), process.stderr.close()))
        return process

    def log(self):
        path = self.folder / "run/log.txt"
        return path.read_text() if path.exists() else ""

    def steps(self):
        path = self.folder / "run/metrics.jsonl"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def test_a_sample_that_hangs(self):
        self.begin(with_fault("sample", kind="hang", at=20))
        self.wait_until(lambda: re.search(r"group \d: waits for images, \d of 8 are there", self.log()), what="the stall report")
        log = self.log()
        self.assertRegex(log, r"no progress for \d+ s \(run.stall_after\)")
        self.assertRegex(log, r"fault on thread data \d has run longest, for \d+\.\d s; the device waits for it")
        self.assertRegex(log, r"replay: flowrun replay run --sample 20 --epoch 0 --node fault --trust")
        self.assertRegex(log, r"data \d +fault +for .*, step \d, sample 20 in epoch 0: ")
        self.assertRegex(log, r"step \d, group \d: waits for images, \d of 8 are there")
        self.assertEqual(self.log().count("no progress for"), 1)

    def test_a_step_that_hangs(self):
        self.begin(with_fault("step", kind="hang", at=3))
        self.wait_until(lambda: "group 0: complete, 8 images" in self.log(), what="the stall report")
        log = self.log()
        self.assertRegex(log, r"step 2 of 12 done")
        self.assertRegex(log, r"fault on the device has run longest")
        self.assertRegex(log, r"step 4, group 0: complete, 8 images")
        self.assertNotIn("replay", log)

    def test_nothing_is_said_of_a_run_that_moves(self):
        pipeline = with_fault("step", kind="sleep", ms=300)
        pipeline["run"].update(steps=16, stall_after=4, epochs=4)
        self.flowrun(self.write(pipeline), "--out", "run")
        self.assertNotIn("no progress for", self.log())
        self.assertFalse((self.folder / "run/process.json").exists())

    def test_top(self):
        process = self.begin(with_fault("sample", kind="sleep", ms=30))
        self.wait_until(lambda: self.steps() >= 1, what="a step")
        status = json.loads(self.flowrun("top", "run", "--json").stdout)
        self.assertEqual(status["last_step"], 12)
        self.assertEqual(status["stream"], "files")
        self.assertEqual(status["threads_now"][-1]["thread"], "device")
        self.assertEqual({"files", "fault", "update"} - set(status["nodes"]), set())
        text = self.flowrun("top", "run").stdout
        self.assertRegex(text, r"the device was idle \d+ % of the time so far; data threads spend most of theirs in fault")
        self.assertRegex(text, r"step \d+ of 12 done")
        self.assertEqual(process.wait(60), 0)
        self.assertIn("run has ended: done after step 12", self.flowrun("top", "run", status=1).stderr)
        self.assertIn("nowhere holds no run", self.flowrun("top", "nowhere", status=1).stderr)

    def test_the_signal_writes_the_same(self):
        process = self.begin(with_fault("sample", kind="sleep", ms=30))
        self.wait_until(lambda: self.steps() >= 1, what="a step")
        process.send_signal(signal.SIGUSR1)
        self.wait_until(lambda: (self.folder / "run/status.json").exists(), what="status.json")
        self.assertIn("threads_now", json.loads((self.folder / "run/status.json").read_text()))
        self.assertIn("data threads spend most of theirs in fault", (self.folder / "run/status.txt").read_text())
        self.assertEqual(process.wait(60), 0, "the signal ends nothing")

    def test_the_signal_ends_no_program_that_begins(self):
        """An initialiser of a library sends it, before main()."""
        for sent, status in ((signal.SIGUSR1, 0), (signal.SIGXFSZ, 0), (signal.SIGUSR2, -signal.SIGUSR2)):
            environment = {**os.environ, "LD_PRELOAD": FAULT_NODES, "FAULT_SIGNAL": str(int(sent))}
            self.flowrun("--version", status=status, env=environment)

    def test_prometheus(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.begin(with_fault("sample", kind="sleep", ms=30), "--prometheus", port)
        self.wait_until(lambda: self.steps() >= 2, what="steps")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"))
            lines = answer.read().decode().splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        self.assertGreaterEqual(float(values["flowrun_step"]), 1)
        self.assertGreater(float(values['flowrun_node_busy_seconds_total{node="fault",scope="sample"}']), 0.1)
        kinds = {line.split()[2] for line in lines if line.startswith("# TYPE")}
        self.assertEqual({name.split("{")[0] for name in values}, kinds)
        taken = self.flowrun("pipeline.json", "--out", "other", "--prometheus", port, status=1).stderr
        self.assertIn(f"port {port} of this machine is taken", taken)
        self.assertFalse((self.folder / "other").exists(), "a failed open leaves no folder")

    def test_prometheus_labels(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        pipeline = with_fault("sample", kind="sleep", ms=30)
        nodes = pipeline["nodes"]
        nodes["input/fault-1"] = nodes.pop("fault")
        nodes["batch"]["in"] = "input/fault-1"
        self.begin(pipeline, "--prometheus", port)
        self.wait_until(lambda: self.steps() >= 1, what="a step")
        self.assertIn('flowrun_node_calls_total{node="input/fault-1",scope="sample"} ', self.scrape(port)[1])
        # No name that would need escaping gets there.
        for name in ('a"b', "a\\b", "a\nb", "a}b", "é"):
            nodes[name] = nodes["metrics"]
            said = self.flowrun("check", self.write(pipeline, "odd.json"), status=2).stderr
            self.assertIn("letters, digits", said)
            del nodes[name]

    def scrape(self, port, request=b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
            client.sendall(request)
            answer = b""
            while chunk := client.recv(65536):
                answer += chunk
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def test_prometheus_clients_that_misbehave(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        pipeline = with_fault("sample", kind="sleep", ms=30)
        pipeline["run"]["epochs"] = 1000
        long = "n" * 90
        pipeline["nodes"][long] = pipeline["nodes"].pop("sheet", {"type": "report.contact_sheet", "in": {"image": "batch"}, "tensorboard": False})
        process = self.begin(pipeline, "--prometheus", port)
        self.wait_until(lambda: self.steps() >= 2, what="steps")
        mute = [socket.create_connection(("127.0.0.1", port)) for _ in range(300)]
        self.addCleanup(lambda: [client.close() for client in mute])
        status, body = self.scrape(port)
        self.assertEqual(status, 200)
        self.assertIn(f'node="{long}",scope="batch"}} ', body)
        for line in body.splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) flowrun_\w+ .+|flowrun_\w+(\{node="([^"\\]|\\.)*",scope="\w+"\})? [-+.\de]+|flowrun_\w+ (nan|inf))$')
        for request, status in ((b"GET / HTTP/1.1\r\n\r\n", 404), (b"POST /metrics HTTP/1.1\r\n\r\n", 405), (b"GET /metrics?a=b HTTP/1.0\n\n", 200),
                                (b"HEAD /metrics HTTP/1.1\r\n\r\n", 200), (b"x" * 20000, 431), (b"\0\r\n\r\n", 400)):
            self.assertEqual(self.scrape(port, request)[0], status, request[:40])
        # A client that sends single bytes, or reads nothing, can't block the end of a run either.
        slow = socket.create_connection(("127.0.0.1", port))
        self.addCleanup(slow.close)
        slow.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        process.send_signal(signal.SIGTERM)

        def ended_beside_a_slow_client():
            try:
                slow.sendall(b"a")
            except OSError:
                pass
            return process.poll() is not None

        self.wait_until(ended_beside_a_slow_client, what="the end of the run")
        self.assertEqual(process.poll(), 75)
        self.assertEqual(json.loads((self.folder / "run/result.json").read_text())["status"], "stopped")


if __name__ == "__main__":
    support.main()
