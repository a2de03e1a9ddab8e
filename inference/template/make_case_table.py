"""Writes case_table.inc, the upper and lower case of Unicode's characters, from Python's own table.

usage: make_case_table.py OUTPUT

A row says that the characters FIRST, FIRST + STEP, ..., LAST are changed by adding DELTA. Characters which become several
characters have rows of their own.
"""

import sys
import unicodedata


def rows_of(change):
    rows, several = [], []
    for code in range(0x80, 0x110000):
        if 0xD800 <= code < 0xE000:
            continue
        changed = change(chr(code))
        if changed == chr(code):
            continue
        if len(changed) > 1:
            several.append((code, changed))
            continue
        delta = ord(changed) - code
        for row in rows[-2:]:
            if row[3] == delta and row[2] in (0, code - row[1]) and code - row[1] <= 2:
                row[2] = code - row[1]
                row[1] = code
                break
        else:
            rows.append([code, code, 0, delta])
    rows.sort()
    return rows, several


def write(out, name, change):
    rows, several = rows_of(change)
    out.write(f"constexpr auto {name}_rows = std::to_array<CaseRow>({{\n")
    for first, last, step, delta in rows:
        out.write(f"    {{0x{first:X}, 0x{last:X}, {step or 1}, {delta}}},\n")
    out.write("});\n")
    out.write(f"constexpr auto {name}_several = std::to_array<CaseSeveral>({{\n")
    for code, changed in several:
        text = changed if changed.isascii() else "".join(f"\\x{byte:02X}" for byte in changed.encode())
        out.write(f'    {{0x{code:X}, "{text}"}},\n')
    out.write("});\n")


with open(sys.argv[1], "w") as out:
    out.write(f"// Made by make_case_table.py from Unicode {unicodedata.unidata_version}.\n")
    write(out, "upper", str.upper)
    write(out, "lower", str.lower)
