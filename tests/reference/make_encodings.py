"""Writes texts and their encodings by a twin of byte-pair encoding: make_encodings.py FOLDER

The twin splits by the published patterns of CLIP and GPT-2, in Python's re, and merges as their papers say: the pair that was learned
first, everywhere in the word, until none is left. Its lists of merges are learned here, from the texts.

FOLDER/clip.txt, FOLDER/gpt2.txt  lists of merges
FOLDER/texts                      one text after another, each followed by a zero byte
FOLDER/clip.ids, FOLDER/gpt2.ids  the numbers of each text, a line each
"""
import collections
import pathlib
import random
import re
import sys
import unicodedata


def char_class(wanted):
    """The inside of [...] for all characters that are wanted."""
    out, start = "", None
    for c in range(0x110001):
        inside = c < 0x110000 and wanted(chr(c))
        if inside and start is None:
            start = c
        elif not inside and start is not None:
            out += f"\\U{start:08x}-\\U{c - 1:08x}"
            start = None
    return out


L, N = (char_class(lambda c, kind=kind: unicodedata.category(c)[0] == kind) for kind in "LN")
S = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
ENDINGS = "'s|'t|'re|'ve|'m|'ll|'d"
CLIP = re.compile(f"{ENDINGS}|[{L}]+|[{N}]|[^{S}{L}{N}]+")
GPT2 = re.compile(f"{ENDINGS}| ?[{L}]+| ?[{N}]+| ?[^{S}{L}{N}]+|[{S}]+(?![^{S}])|[{S}]+")

PRINT = [*range(ord("!"), ord("~") + 1), *range(0xa1, 0xad), *range(0xae, 0x100)]
ORDER = PRINT + [b for b in range(256) if b not in PRINT]
SIGN = {b: chr(b) for b in PRINT} | {b: chr(256 + i) for i, b in enumerate(ORDER[len(PRINT):])}


def small(text):
    """Character by character, as far as the lower case is one character."""
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def symbols(word, end):
    signs = [SIGN[b] for b in word.encode()]
    return signs[:-1] + [signs[-1] + end]


def joined(word, pair):
    out = []
    while word:
        take = 2 if tuple(word[:2]) == pair else 1
        out.append("".join(word[:take]))
        word = word[take:]
    return out


def learn(words, count):
    """The pair that occurs most often becomes a piece, again and again; a piece is made once."""
    words, merges, made = collections.Counter(map(tuple, words)), [], set()
    while len(merges) < count:
        pairs = collections.Counter()
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += n
        pair = max(((n, pair) for pair, n in pairs.items() if "".join(pair) not in made), default=(0, None))[1]
        if pair is None:
            break
        merges.append(pair)
        made.add("".join(pair))
        words = collections.Counter({tuple(joined(list(word), pair)): n for word, n in words.items()})
    return merges


def encode(words, merges, end, numbers):
    rank, out = {pair: i for i, pair in enumerate(merges)}, []
    for word in words:
        word = symbols(word, end)
        while True:
            best = min(zip(word, word[1:]), key=lambda pair: rank.get(pair, len(rank)), default=None)
            if best not in rank:
                break
            word = joined(word, best)
        out += [numbers[piece] for piece in word]
    return out


def texts():
    yield from ("a photo of a cat.", "A red FLAG", "it's we'll they've I'm you'd don't 'tis", "  two  blanks\nand\ta tab  ", "12345 and 3½ kilos",
                "naïve café, ÀÉÎ Straße ΑΒΓ ЖЗИ", "日本語の文 と 漢字", "🙂🙃 emoji!? :-)", "e\u0301 combined\u00a0no-break", "<|endoftext|> is text", "...'''\"\"", " ", "", "'s", "x\n\n y")
    draw = random.Random(1)
    alphabet = "abcdeABCDE  \n'stredvml0123.,!?éÉßΩж漢🙂\u0301\u2003ǅⅣ²"
    for _ in range(300):
        yield "".join(draw.choice(alphabet) for _ in range(draw.randint(1, 40)))


def main(folder):
    folder = pathlib.Path(folder)
    all_texts = list(texts())
    (folder / "texts").write_bytes(b"".join(text.encode() + b"\0" for text in all_texts))
    for name, pattern, end, change in (("clip", CLIP, "</w>", small), ("gpt2", GPT2, "", str)):
        words = [pattern.findall(change(text)) for text in all_texts]
        merges = learn([symbols(word, end) for of_text in words for word in of_text], 400)
        pieces = [SIGN[b] for b in ORDER] + ([SIGN[b] + end for b in ORDER] if end else []) + ["".join(pair) for pair in merges]
        numbers = {piece: i for i, piece in enumerate(pieces)}
        (folder / f"{name}.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
        ids = [encode(of_text, merges, end, numbers) for of_text in words]
        (folder / f"{name}.ids").write_text("".join(" ".join(map(str, row)) + "\n" for row in ids))


main(sys.argv[1])
