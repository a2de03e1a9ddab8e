"""What the generators of committed data must run with: tests/demo_model/requirements.txt, asserted."""

import importlib.metadata
import pathlib


def require_pinned_versions():
    """Ends the program where an installed package differs from the pinned one: its output would, too."""
    for line in pathlib.Path(__file__).with_name("requirements.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, version = line.split("==")
        found = importlib.metadata.version(name).partition("+")[0]
        if found != version:
            raise SystemExit(f"{name} {found} is installed, {version} is pinned in tests/demo_model/requirements.txt")
