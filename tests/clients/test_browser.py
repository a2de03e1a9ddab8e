"""Runs tests/browser/page.test.mjs: the page in headless Chromium against the real server."""

import os
import shutil

from support import ROOT, require, run_node_tests


def test_page_in_chromium(server, endless_server):
    chromium = os.environ.get("SOLARD_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    require(chromium, "chromium")
    pictures = os.environ.get("SOLARD_SCREENSHOTS", str(ROOT / "build/screenshots"))
    run_node_tests(
        ROOT / "tests/browser",
        "page.test.mjs",
        {
            "SOLARD_URL": server.root_url,
            "SOLARD_ENDLESS_URL": endless_server.root_url,
            "SOLARD_SCREENSHOTS": pictures,
            "SOLARD_CHROMIUM": chromium,
        },
    )
