"""Take the screenshots for the README (`make screenshots`). Needs Chromium and the test dependencies."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).with_name("images")
PORT = 8799
HOME = f"http://127.0.0.1:{PORT}"
PICTURES = {
    "home": ("/?lang=en", 1100),
    "entity": ("/doc/zone-group/hai-phong-ips-and-ezs?lang=en", 900),
    "figures": ("/figures?lang=vi", 1000),
}
"""Page and height in pixels of each picture, by file name."""
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
START_SECONDS = 30


def main() -> None:
    """Serve the built-in graph from a temporary data folder and take the pictures."""
    command = [str(Path(sys.executable).with_name("hpkg")), "serve", "--port", str(PORT)]
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen([*command, "--data", folder], env={**os.environ, "HPKG_ACCESS_LOG": "off"})
        try:
            _wait_until_ready()
            _take_pictures()
        finally:
            server.terminate()
            server.wait()


def _wait_until_ready() -> None:
    for _ in range(START_SECONDS * 10):
        try:
            urllib.request.urlopen(f"{HOME}/search?q=heza", timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the service did not start")


def _take_pictures() -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for name, (path, height) in PICTURES.items():
            page = browser.new_page(viewport={"width": 1200, "height": height})
            page.goto(HOME + path)
            page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
