"""Checks the pages (Markdown files) of the repository, and the references to pages in all files.

usage: check_readme.py ROOT

1. The drawings of README.md are what their scripts in config/readme/ make.
2. Every relative link in a page leads to a file or folder of the repository, and to a heading if it names one.
3. Every page that is cited anywhere, in a comment, a message or a page, is in the repository.
"""

import importlib
import pathlib
import re
import subprocess
import sys
import unicodedata

ROOT = pathlib.Path(sys.argv[1]).resolve()
DRAWINGS = {"draw_process": "process.svg", "plot_speed": "speed.svg"}
LARGEST_DRAWING = 12_000  # bytes

FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)")
IMAGE = re.compile(r"""<(?:img|a)\s[^>]*?(?:src|href)=["']([^"']+)""")
HEADING = re.compile(r"^#+ +(.*?) *#*$", re.MULTILINE)
ADDRESS = re.compile(r"\b[a-z]+://\S+")
CITATION = re.compile(r"[\w./-]*[\w-]\.md\b(?!\.?\w)")


def tracked_files():
    """Returns the files that git tracks or would add. Without a checkout, returns all files outside of build/ etc."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = []
    files = {ROOT / name for name in names if name}
    if ROOT / "README.md" not in files:
        skipped = {".git", "build", "node_modules", "__pycache__"}
        files = {path for path in ROOT.rglob("*") if not skipped & set(path.relative_to(ROOT).parts)}
    return sorted(path for path in files if path.is_file())


def texts_of(files):
    """Returns the content of every file that is text."""
    texts = {}
    for path in files:
        content = path.read_bytes()
        if b"\0" not in content[:4096]:
            texts[path] = content.decode("utf-8", errors="replace")
    return texts


def check_drawings():
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(ROOT / "config/readme"))
    for script, name in DRAWINGS.items():
        drawn = importlib.import_module(script).svg()
        drawing = ROOT / "config/readme" / name
        if not drawing.is_file() or drawing.read_text(encoding="utf-8") != drawn:
            yield f"config/readme/{name} is not what its script makes: run python3 config/readme/{script}.py"
        if len(drawn.encode()) > LARGEST_DRAWING:
            yield f"config/readme/{name} is larger than {LARGEST_DRAWING} bytes"


def anchors_of(text):
    """Returns the names that GitHub gives to the headings of a page."""
    anchors = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        heading = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        kept = [c for c in heading if c in " -_" or unicodedata.category(c)[0] in "LN"]
        anchors.add("".join(kept).replace(" ", "-"))
    return anchors


def check_links(path, text, texts, known):
    prose = FENCE.sub("", text)
    for target in LINK.findall(prose) + IMAGE.findall(prose):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        if linked not in known:
            yield f"{path.relative_to(ROOT)}: the link leads nowhere: {target}"
        elif anchor and anchor not in anchors_of(texts[linked]):
            yield f"{path.relative_to(ROOT)}: the page has no such heading: {target}"


def check_citations(path, text, pages):
    for match in CITATION.finditer(ADDRESS.sub("", text)):
        name = match[0].removeprefix("./")
        places = [(path.parent / name).resolve(), (ROOT / name.lstrip("/")).resolve()]
        same_name = [page for page in pages if "/" not in name and page.name == name]
        if not pages & set(places) and len(same_name) != 1:
            yield f"{path.relative_to(ROOT)}: cites a page that is not in the repository: {name}"


def main():
    files = tracked_files()
    texts = texts_of(files)
    pages = {path for path in files if path.suffix == ".md"}
    known = set(files) | {folder for path in files for folder in path.parents}
    assert len(texts) > 300 and len(pages) > 4, "no sources found: wrong ROOT?"
    problems = list(check_drawings())
    for path, text in texts.items():
        if path.suffix == ".md":
            problems += check_links(path, text, texts, known)
        problems += check_citations(path, text, pages)
    print("\n".join(dict.fromkeys(problems)) or f"{len(pages)} pages, their links and drawings, and what {len(texts)} files cite are in the repository")
    sys.exit(bool(problems))


main()
