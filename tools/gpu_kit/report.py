"""tools/gpu report: the tables of docs/performance.md, made of what came back from a GPU, beside what was expected of it."""
import io
import json
import tarfile

from gpu_kit import box

SIZES = {"s": "ViT-S", "b": "ViT-B", "l": "ViT-L"}
# Milliseconds of a submitted step by size and batch, for an H100: what was expected before anything had run.
EXPECTED_MS = {("s", 256): "22–26", ("b", 256): "70–80", ("l", 256): "190–220", ("l", 128): "95–110"}
EXPECTED_GROUP_MS = "2–3 played, 5–7 submitted"
AIM_MFU_L, AIM_WAITS, AIM_OVERLAP, AIM_LINEAR, AIM_TARGETS = 0.42, 0.01, 0.97, 0.88, 0.02
AIM_TEACHER = 1.1  # times its share of the operations
AIM_PEERS = {"compile": 1.0, "eager": 1.2}


class Record:
    """All lines of some result folders, and the files of their archives."""

    def __init__(self, folders):
        self.lines, self.files = [], {}
        for folder in folders:
            self.lines += box.read_lines(folder / "summary.jsonl")
            if (folder / "r.tgz").exists():
                with tarfile.open(folder / "r.tgz") as tar:
                    self.files |= {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}

    def having(self, key):
        return [line for line in self.lines if key in line]

    def of(self, *checks):
        return [line for line in self.lines if line["check"] in checks]

    def json_lines(self, name):
        lines = []
        for text in io.StringIO(self.files.get(name, b"").decode(errors="replace")):
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError:
                pass
        return lines


def table(head, rows):
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *(f"| {' | '.join(row)} |" for row in rows)])


def verdict(holds):
    return "met" if holds else "**missed**"


def machine(record):
    gpu = next((line["gpu"] for line in record.having("gpu") if line["gpu"]), None)
    torch = next((line["torch"] for line in record.having("torch")), "?")
    if not gpu:
        return "No GPU was seen."
    return f"{gpu['name']}, {gpu['memory.total']} MiB, driver {gpu['driver_version']}, torch {torch}."


def checks(record):
    """What holds, what doesn't, what was cut or left out."""
    names = list(dict.fromkeys(line["check"].removeprefix("box-") for line in record.lines))
    rows = []
    for name in names:
        lines, boxes = record.of(name), record.of(f"box-{name}")
        bad = [line["what"] for line in lines if line.get("holds") is False]
        good = sum(line.get("holds") is True for line in lines)
        skipped = [line["skipped"] for line in lines if "skipped" in line]
        cut = any(line["cut"] for line in boxes)
        ended = [line["status"] for line in boxes if line["status"] not in (0, 1) and not line["cut"]]
        if not (bad or good or skipped or cut or ended):
            continue
        words = [*bad, *(["cut, its time was over"] if cut else []), *(f"ended with status {status}" for status in ended), *skipped]
        state = "**fails**" if bad or cut or ended else "holds" if good else "left out"
        rows.append([name, state, "; ".join(words), f"{boxes[-1]['seconds']:.0f}" if boxes else ""])
    return "### Checks\n\n" + table(["check", "", "", "s"], rows) if rows else ""


def steps(record):
    lines = [line["step"] for line in record.having("step")]
    if not lines:
        return ""
    rows = []
    for key in dict.fromkeys((line["size"], line["batch"]) for line in lines):
        group = {line["program"]: line for line in lines if (line["size"], line["batch"]) == key}  # the last of each
        best = min((line["ms"] for name, line in group.items() if name.startswith("flowrun") and "failed" not in line), default=None)
        rows += [step_row(line, best) for line in group.values()]
    head = ["", "images", "program", "ms a step, median (range)", "expected", "images/s", "Flowrun is so many times as fast", "aim", "MFU", "GPU's MiB"]
    return "### A step beside PyTorch's\n\n" + table(head, rows) + "\n\n" + mfu_of_l(lines)


def step_row(line, best):
    size, program = SIZES.get(line["size"], line["size"]), line["program"]
    row = [size, str(line["batch"]), program]
    if "failed" in line:
        return [*row, f"did not run: {line['failed']}", *[""] * 6]
    expected = EXPECTED_MS.get((line["size"], line["batch"]), "") if program == "flowrun" else ""
    ratio = line["ms"] / best if best else None
    aim = AIM_PEERS.get(program)
    return [*row, f"{line['ms']:.1f} ({line['fastest_ms']:.1f}–{line['slowest_ms']:.1f})", expected, f"{1e3 * line['batch'] / line['ms']:.0f}",
            f"{ratio:.2f}" if ratio else "", f"{aim:g}: {verdict(ratio >= aim)}" if aim and ratio else "",
            f"{line['of_the_peak']:.1%}" if "of_the_peak" in line else "", f"{line['peak_mib']:.0f}" if "peak_mib" in line else ""]


def mfu_of_l(lines):
    reached = [line["of_the_peak"] for line in lines if line["size"] == "l" and line["program"].startswith("flowrun") and "of_the_peak" in line]
    if not reached:
        return ""
    return f"MFU of ViT-L: {max(reached):.1%}; the aim is {AIM_MFU_L:.0%}: {verdict(max(reached) >= AIM_MFU_L)}.\n"


def parts(record):
    lines = {line["step"]["size"]: line["step"] for line in record.having("step") if line["step"]["program"] == "flowrun" and "parts_ms" in line["step"]}
    if not lines:
        return ""
    rows = []
    for size, line in lines.items():
        total = sum(line["parts_ms"].values())
        share = {name: ms / total for name, ms in line["parts_ms"].items()}
        most = AIM_TEACHER * line["teachers_share_of_flop"]
        rows.append([SIZES.get(size, size), *(f"{value:.1%}" for value in share.values()), f"{most:.1%}: {verdict(share['teacher'] <= most)}",
                     f"{AIM_TARGETS:.0%}: {verdict(share['targets'] <= AIM_TARGETS)}"])
    names = next(iter(lines.values()))["parts_ms"]
    return "### Parts of a step, each waited for\n\n" + table(["", *names, "teacher, at most", "targets, at most"], rows)


def groups(record):
    rows = []
    for line in record.having("groups"):
        counts = line["groups"]
        played, submitted = counts.get("played", 0), counts.get("submitted", 0)
        if played + submitted:
            rows.append([line["check"], str(played), str(submitted), f"{played / (played + submitted):.1%}", f"{line['gpu_mib']:.0f}" if line.get("gpu_mib") else "",
                         counts.get("why_not", "")])
    for line in record.having("profile"):
        counts = line["profile"].get("groups", {"played": 0, "submitted": 0})
        if sum(counts.values()):
            rows.append([line["check"], str(counts["played"]), str(counts["submitted"]), f"{counts['played'] / sum(counts.values()):.1%}", "", ""])
    return "### Groups played as CUDA graphs\n\n" + table(["check", "played", "submitted", "played", "GPU's MiB", "why not"], rows) if rows else ""


def overlap(record):
    rows = []
    for line in record.having("profile"):
        facts = line["profile"]
        whole, alone, given = facts["images_per_second"], facts["device_alone"], facts["input_alone"]
        share = whole / alone if alone else 0
        waits = facts.get("waits_for_gpu_per_step")
        judged = verdict(share >= AIM_OVERLAP) if given and given > 1.1 * alone else "the input is the limit"
        rows.append([f"{whole:.0f}", f"{alone:.0f}", f"{given:.0f}", f"{share:.3f}", f"{AIM_OVERLAP}: {judged}", "" if waits is None else f"{waits:.3f}",
                     "" if waits is None else f"{AIM_WAITS}: {verdict(waits <= AIM_WAITS)}"])
    head = ["images/s together", "device alone", "input alone", "together to device alone", "aim", "waits of the host a step", "at most"]
    return "### Training beside its input\n\n" + table(head, rows) if rows else ""


def decoders(record):
    rows = [[line["decoder"], f"{line['images_per_second']:.0f}" if line["images_per_second"] else "failed"] for line in record.having("decoder")]
    return "### JPEGs\n\n" + table(["decoder", "images/s of the input side"], rows) if rows else ""


def quality(record):
    """From the summary; where the run was cut before it said them, from the archive."""
    last = {}
    for line in record.having("evaluation"):
        last[line["check"], line["evaluation"]] = (line["epoch"], line["accuracy"])
    if not last:
        last = {("cifar", line["node"]): (line["epoch"], line["accuracy"]) for line in record.json_lines("cifar/evaluations.jsonl") if "accuracy" in line}
    rows = []
    for (check, name), (epoch, accuracy) in last.items():
        aim = f"{AIM_LINEAR:.0%}: {verdict(accuracy >= AIM_LINEAR)}" if check == "cifar-bootleg" and name in ("linear", "probe") else ""
        rows.append([check, name, f"{epoch:.0f}", f"{accuracy:.2%}", aim])
    text = "### CIFAR-10\n\n" + table(["run", "evaluation", "epochs", "accuracy", "aim"], rows) if rows else ""
    for line in record.having("ms_a_group"):
        if line["ms_a_group"]:
            text += f"\n\n{line['check']}: {line['epoch']:.1f} of {line['epochs']} epochs, {line['images_per_second']:.0f} images/s, " \
                    f"{line['ms_a_group']:.1f} ms a group of 256 (expected: {EXPECTED_GROUP_MS})."
    return text + over_ijepa(last)


def over_ijepa(last):
    """Plans 3 and 4, at equal steps."""
    lines = []
    for name in ("linear", "probe"):
        ours, theirs = last.get(("cifar-bootleg", name)), last.get(("cifar-ijepa", name))
        if ours and theirs:
            equal = "" if ours[0] == theirs[0] else " (NOT at equal epochs)"
            lines.append(f"{name}: {100 * (ours[1] - theirs[1]):.1f} points over I-JEPA's target{equal}; the aim is 5: {verdict(ours[1] - theirs[1] >= 0.05)}.")
    return "\n\n" + "\n".join(lines) if lines else ""


def probes(record):
    lines = {line["probe"]: line.get("error") or json.dumps(line["facts"]) for line in record.having("probe")}
    return "### What plain torch shows\n\n" + table(["question", "answer"], [[name, f"`{answer}`"] for name, answer in lines.items()]) if lines else ""


def report(folders):
    record = Record(folders)
    sections = [machine(record), checks(record), steps(record), parts(record), groups(record), overlap(record), decoders(record), quality(record),
                probes(record)]
    return "\n\n".join(section.strip() for section in sections if section)
