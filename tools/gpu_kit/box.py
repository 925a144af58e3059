"""Checks with time limits: results are on the disk at once, and no check can delay or break the others."""
import ctypes
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tarfile
import threading
import time


class Summary:
    """A JSON line for each fact, as soon as it is known. Several processes append to the same files."""

    def __init__(self, files, plan, started):
        self.files, self.plan, self.started = [pathlib.Path(file) for file in files], plan, started

    def write(self, check, **values):
        line = {"plan": self.plan, "check": check, "at": round(time.time() - self.started, 1), **values}
        for file in self.files:
            with open(file, "a") as out:
                out.write(json.dumps(line) + "\n")
        return line


def read_lines(file):
    """A file that is being written, or was interrupted, ends in a partial line."""
    lines = []
    for text in pathlib.Path(file).read_text().splitlines() if pathlib.Path(file).exists() else []:
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            pass
    return lines


class Log:
    """Copies the output of this process and its children to a file, line by line."""

    def __init__(self, file):
        self.copier = subprocess.Popen(["tee", "-a", file], stdin=subprocess.PIPE, start_new_session=True)
        self.kept = [os.dup(1), os.dup(2)]
        for descriptor in (1, 2):
            os.dup2(self.copier.stdin.fileno(), descriptor)
        self.copier.stdin.close()

    def close(self):
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, kept in zip((1, 2), self.kept):
            os.dup2(kept, descriptor)
        try:
            self.copier.wait(2)
        except subprocess.TimeoutExpired:  # a process that could not be ended still holds the other end
            pass


class Archive:
    """Archives the files of a folder's runs: the archive is complete at any moment, for readers and after a kill."""

    ENDINGS = (".jsonl", ".json", ".txt", ".md")
    LEFT_OUT = ("data.json",)  # names of all images
    MOST = 2 << 20

    def __init__(self, folder, file, every=15):
        self.folder, self.file = folder, pathlib.Path(file)
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.thread = threading.Thread(target=self.repeat, args=(every,), daemon=True)
        self.thread.start()

    def repeat(self, every):
        while not self.ended.wait(every):
            self.write()

    def write(self):
        with self.lock:
            new = f"{self.file}.new"
            with tarfile.open(new, "w:gz", compresslevel=5) as tar:
                for path in sorted(self.folder.rglob("*")):
                    if path.suffix in self.ENDINGS and path.name not in self.LEFT_OUT:
                        self.add(tar, path)
            os.replace(new, self.file)

    def add(self, tar, path):
        """Files may grow, or vanish, while they are read."""
        try:
            data = path.read_bytes()[-self.MOST:]
        except OSError:
            return
        info = tarfile.TarInfo(str(path.relative_to(self.folder)))
        info.size, info.mtime = len(data), int(time.time())
        tar.addfile(info, io.BytesIO(data))

    def close(self):
        self.ended.set()
        self.write()


_libc = ctypes.CDLL(None)


def end_with_parent():
    """In a new process, which ends when the plan is killed."""
    pr_set_pdeathsig = 1
    _libc.prctl(pr_set_pdeathsig, signal.SIGTERM)


def side_by_side(summary, archive, boxes):
    """Runs commands (name, seconds, command) at the same time, each within its seconds. Returns their exit statuses."""
    # Not in threads: the kernel counts a thread's end as the parent's.
    running = [Box(summary, *one) for one in boxes]
    while not all([one.ended() for one in running]):
        time.sleep(0.05)
    archive.write()
    return [one.status for one in running]


class Box:
    """A command that runs for at most `limit` seconds."""

    def __init__(self, summary, name, limit, command):
        self.summary, self.name, self.limit, self.status = summary, name, limit, None
        self.started = time.monotonic()
        # timeout leads its own process group, which holds all processes of the command.
        command = ["timeout", "-k", "2", f"{limit:.1f}", *map(str, command)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=end_with_parent)

    def ended(self):
        if self.status is None:
            self.status = self.process.poll()
            if self.status is None and time.monotonic() - self.started > self.limit + 4:
                self.status = 137  # it hangs in the driver, where no signal reaches it
            if self.status is not None:
                self.end()
        return self.status is not None

    def end(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        seconds, cut = time.monotonic() - self.started, self.status in (124, 137, -9)
        self.summary.write(self.name, status=self.status, seconds=round(seconds, 1), limit=round(self.limit, 1), cut=cut)
        if cut:
            print(f"FAIL {self.name}: cut after {seconds:.0f} s", flush=True)
