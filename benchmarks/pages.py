"""How long a visitor waits: the first page after `streamlit run app.py`, and a slider on Explore to its new picture.

    python -m benchmarks.pages [--moves 30]

Times are taken in a real Chromium on the same machine: the slider's from the key press to the new picture on its canvas.
"""

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.browser import launch

# Resolves when the sliders' canvas has a new picture, with the time since this was called.
NEW_PICTURE = """() => new Promise((resolve) => {
  const log = document.querySelector('.ls').lsLog, before = log.length, start = performance.now();
  const look = () => log.length > before ? resolve(log.at(-1)[1] - start) : requestAnimationFrame(look);
  look();
})"""


def slider_times(page: Page, address: str, moves: int) -> list[float]:
    """Milliseconds from a key press on the first slider to its picture, `moves` times."""
    page.goto(address)
    page.wait_for_function("() => document.querySelector('.ls')?.lsLog?.length > 0")
    slider = page.locator(".ls-slider input[type=range]").first  # it may have a name of its own
    slider.focus()
    page.wait_for_timeout(1500)
    times = []
    for _ in range(moves):
        page.evaluate(f"() => {{ window.__picture = ({NEW_PICTURE})(); }}")
        slider.press("ArrowRight")
        times.append(float(page.evaluate("() => window.__picture")))
        page.wait_for_timeout(300)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=30)
    arguments = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    root = Path(__file__).parent.parent
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page()
        start = time.perf_counter()
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.address", "127.0.0.1"]
        server = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            page.goto(f"http://127.0.0.1:{port}/")
            page.locator(".st-key-start button").wait_for()  # the first step that Home offers, whatever it is called
            print(f"first page: {time.perf_counter() - start:.1f} s after the command")
            for model in ("digits", "faces"):
                times = slider_times(page, f"http://127.0.0.1:{port}/explore?from={model}&view=Sliders", arguments.moves)
                quantiles = statistics.quantiles(times, n=20)
                print(f"slider to picture, {model}: median {statistics.median(times):.0f} ms, p95 {quantiles[-1]:.0f} ms")
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
            browser.close()


if __name__ == "__main__":
    main()
