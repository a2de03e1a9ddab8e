"""Runs tests/browser/page.test.mjs: the page in headless Chromium with the real server."""

import os
import shutil

import pytest

from support import ROOT, make_key, require, run_node_tests, running_server


@pytest.fixture
def locked(tmp_path):
    """A server that requires a key, and two valid keys."""
    keys = [make_key(tmp_path / "keys", name) for name in ("visitor", "other")]
    with running_server(tmp_path, "--api-key-file", str(tmp_path / "keys"), api_key=keys[0]) as server:
        yield server, keys


@pytest.fixture
def single(tmp_path_factory, endless_model):
    """A server that generates one answer at a time."""
    flags = ("--model", str(endless_model), "--max-num-seqs", "1")
    with running_server(tmp_path_factory.mktemp("single-server"), *flags) as server:
        yield server


def test_page_in_chromium(server, endless_server, locked, single):
    chromium = os.environ.get("SOLARD_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    require(chromium, "chromium")
    pictures = os.environ.get("SOLARD_SCREENSHOTS", str(ROOT / "build/screenshots"))
    run_node_tests(
        ROOT / "tests/browser",
        "page.test.mjs",
        {
            "SOLARD_URL": server.root_url,
            "SOLARD_ENDLESS_URL": endless_server.root_url,
            "SOLARD_LOCKED_URL": locked[0].root_url,
            "SOLARD_API_KEY": locked[1][0],
            "SOLARD_OTHER_KEY": locked[1][1],
            "SOLARD_SINGLE_URL": single.root_url,
            "SOLARD_SCREENSHOTS": pictures,
            "SOLARD_CHROMIUM": chromium,
        },
    )
