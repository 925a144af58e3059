"""Writes the ranges of nodes/lib/host/text/unicode_table.h, of Python's Unicode data: make_unicode.py > nodes/lib/host/text/unicode_table.h

Format it with clang-format afterwards. tests/unit/nodes/lib/host/text compares the words that come of it.
"""
import unicodedata


def ranges(category):
    """[first, last] of the code points of a category."""
    out = []
    for c in range(0x110000):
        if unicodedata.category(chr(c))[0] != category:
            continue
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def lower():
    """[first, last, stride, distance] of those with one lower-case form."""
    out = []
    for c in range(0x110000):
        small = chr(c).lower()
        if len(small) != 1 or small == chr(c):
            continue
        distance = ord(small) - c
        if out and out[-1][3] == distance and (c - out[-1][1] == out[-1][2] or (out[-1][0] == out[-1][1] and c - out[-1][1] in (1, 2))):
            out[-1][1:3] = c, c - out[-1][1]
        else:
            out.append([c, c, 1, distance])
    return out


def table(kind, name, rows):
    return f"inline constexpr {kind} {name}[] = {{" + ", ".join("{" + ", ".join(map(str, row)) + "}" for row in rows) + "};\n"


print(f"""// Unicode {unicodedata.unidata_version}, made by tests/reference/make_unicode.py.
#pragma once

#include <cstdint>

namespace flowrun::text {{

struct Range {{
  uint32_t first, last;
}};
/// Those from first to last by stride, and the distance to their lower case.
struct Lower {{
  uint32_t first, last, stride;
  int32_t distance;
}};

{table("Range", "letters", ranges("L"))}
{table("Range", "numbers", ranges("N"))}
{table("Lower", "lower_case", lower())}
}}  // namespace flowrun::text""")
