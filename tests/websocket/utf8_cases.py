"""Valid and invalid UTF-8 for the cases 6.5 to 6.23, from Markus Kuhn's stress test for decoders."""

SURROGATES = ["eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"]
GREEK = "κ\u1f79σμε".encode()  # 11 bytes
SPACED = [range(0xC0, 0xE0), range(0xE0, 0xF0), range(0xF0, 0xF8), range(0xF8, 0xFC), range(0xFC, 0xFE)]
CUT = ["c0", "e080", "f08080", "f8808080", "fc80808080", "df", "efbf", "f7bfbf", "fbbfbfbf", "fdbfbfbfbf"]
NONCHARACTERS = [chr(plane << 16 | last).encode().hex() for plane in range(17) for last in (0xFFFE, 0xFFFF)]


def groups():
    """Returns {number of the group: [bytes of each case]}."""
    prefixes = [GREEK[:size] for size in range(1, len(GREEK) + 1)]
    words = [GREEK, *(f"hello{middle}world".encode() for middle in "$¢€\U00024b62")]
    continuations = ["80", "bf", "80bf", "80bf80", "80bf80bf", "80bf80bf80", "80bf80bf80bf", bytes(range(0x80, 0xC0)).hex()]
    lonely = [b"".join(bytes([first]) + b" " for first in firsts).hex() for firsts in SPACED]
    pairs = [high + low for high in SURROGATES[:4] for low in ("edb080", "edbfbf")]
    texts = {
        7: ["00", "c280", "e0a080", "f0908080"],
        8: ["f888808080", "fc8480808080"],
        9: ["7f", "dfbf", "efbfbf", "f48fbfbf"],
        10: ["f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf"],
        11: ["ed9fbf", "ee8080", "efbfbd", "f48fbfbf", "f4908080"],
        12: continuations,
        13: lonely,
        14: CUT,
        15: ["".join(CUT)],
        16: ["fe", "ff", "fefeffff"],
        17: ["c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"],
        18: ["c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"],
        19: ["c080", "e08080", "f0808080", "f880808080", "fc8080808080"],
        20: SURROGATES,
        21: pairs,
        22: NONCHARACTERS,
        23: [f"efbf{last:02x}" for last in range(0xB9, 0xC0)],
    }
    return {5: words, 6: prefixes} | {group: [bytes.fromhex(text) for text in of] for group, of in texts.items()}


def is_utf8(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
