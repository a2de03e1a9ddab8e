"""Runs test_sse_readers.mjs: two independent readers read a stream of unusual characters."""

import os
import pathlib
import shutil

from support import require, run_node_tests


def test_sse_readers(server):
    chromium = os.environ.get("SOLARD_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    require(chromium, "chromium")
    run_node_tests(
        pathlib.Path(__file__).parent,
        "test_sse_readers.mjs",
        {"SOLARD_BASE_URL": server.base_url, "SOLARD_ROOT_URL": server.root_url, "SOLARD_CHROMIUM": chromium},
    )
