"""What the app costs training: the same run on the command line, in the app with one event-stream reader, and with a browser.

    python -m benchmarks.app [--seconds 20] [--rounds 3] [--browser]

Rounds alternate, because machines drift, and ratios are computed per round. The server is the real one (`streamlit run
app.py`), and the reader follows its event stream over HTTP. A browser on the same cores takes its own share.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from benchmarks.serving import Workshop


def command_line(seconds: float) -> float:
    """images/s of `python -m gan train`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "gan", "train", "--seconds", str(seconds), "--out", f"{folder}/run", "--json"]
        output = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    return float(json.loads(output.splitlines()[-1])["images_per_s"])


def in_the_app(seconds: float, browser: bool) -> tuple[float, int]:
    """images/s of a run in the server while one reader (or one browser) follows it, and the number of events that it read."""
    with Workshop(seconds) as workshop:
        seen = (watch_in_a_browser if browser else read_events)(workshop.port, workshop.run_id, seconds)
        return workshop.speed(), seen


def read_events(port: int, run_id: str, seconds: float) -> int:
    """Follows a run's event stream until the run has ended; returns the number of events."""
    events = 0
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/runs/{run_id}/events", timeout=seconds + 60) as stream:
        for line in stream:
            events += line.startswith(b"event:")
            if line.startswith(b"data:") and b'"state": "finished"' in line:
                break
    return events


def watch_in_a_browser(port: int, run_id: str, seconds: float) -> int:
    """Shows the run in a headless Chromium; returns the number of points in its charts at the end."""
    from playwright.sync_api import sync_playwright

    from benchmarks.browser import launch

    with sync_playwright() as playwright:
        chromium = launch(playwright)
        page = chromium.new_page()
        page.goto(f"http://127.0.0.1:{port}/train?run={run_id}")
        page.wait_for_function(
            "() => document.querySelector('[data-fact=state]')?.textContent === 'finished'", timeout=(seconds + 60) * 1000
        )
        points = page.evaluate("() => document.querySelector('.rv-chart').data[0].x.length")
        chromium.close()
    return int(points)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--browser", action="store_true", help="also with a browser that shows the run")
    arguments = parser.parse_args()
    os.chdir(Path(__file__).parent.parent)
    ratios: dict[str, list[float]] = {"one reader": [], "one browser": []}
    for number in range(arguments.rounds):
        alone = command_line(arguments.seconds)
        print(f"round {number + 1}: command line {alone:,.0f} images/s", flush=True)
        for name in ("one reader", "one browser")[: 1 + arguments.browser]:
            speed, seen = in_the_app(arguments.seconds, name == "one browser")
            ratios[name].append(speed / alone)
            print(
                f"  in the app, {name}: {speed:,.0f} images/s, {speed / alone:.3f} of the command line's ({seen} events or points)",
                flush=True,
            )
    for name, values in ratios.items():
        if values:
            print(f"{name}: median ratio {statistics.median(values):.3f} (of {', '.join(f'{v:.3f}' for v in values)})")


if __name__ == "__main__":
    main()
