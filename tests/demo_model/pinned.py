"""Checks that the generators of committed data run with the package versions in tests/demo_model/requirements.txt.

With other versions, the output of the generators could differ."""

import importlib.metadata
import pathlib


def require_pinned_versions():
    """Ends the program if an installed package has another version than the pinned one."""
    for line in pathlib.Path(__file__).with_name("requirements.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        name, version = line.split("==")
        found = importlib.metadata.version(name).partition("+")[0]
        if found != version:
            raise SystemExit(f"{name} {found} is installed; install {version}, as tests/demo_model/requirements.txt pins it")
