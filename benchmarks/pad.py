"""The pad: how many pictures a second follow a finger, how late, and what that costs a run that trains at the same time.

    python -m benchmarks.pad drag [--seconds 10] [--rounds 3]      a real Chromium, at 28 and at 64 pixels, nothing else at work
    python -m benchmarks.pad crowd [--seconds 10] [--visitors 10]  clients that only request, many at once; the server's memory
    python -m benchmarks.pad beside --seconds 6 --rounds 22        one such client while a run trains, and nobody, in turns
    python -m benchmarks.pad refused [--requests 1000]             malformed and greedy requests; speed and memory before and after

drag: the page moves the pointer itself, at each frame of the screen, by the events that a mouse sends. Pointer to pixels is
from the event to the picture on the canvas. The browser has the same cores as the server.
crowd, beside: each visitor has two requests on their way, like the pad, at most 30 a second, and fewer if the server says so.
Each place is requested once.
"""

import argparse
import http.client
import math
import random
import statistics
import threading
import time

import torch
from playwright.sync_api import Page, sync_playwright

from benchmarks.browser import launch
from benchmarks.serving import Workshop
from gan.recipes import recipe
from gan.runs.folder import save_generator
from gan.training.state import new_state

MOST_A_SECOND = 30.0  # requests per visitor
DRAG = """(seconds) => new Promise((resolve) => {
  const square = document.querySelector('.pad-square'), pad = document.querySelector('.pad'), box = square.getBoundingClientRect();
  const send = (type, t) => square.dispatchEvent(new PointerEvent(type, { bubbles: true, pointerId: 1, isPrimary: true,
    clientX: box.left + box.width * (0.5 + 0.4 * Math.cos(2 * t)), clientY: box.top + box.height * (0.5 + 0.4 * Math.sin(2.6 * t)) }));
  square.setPointerCapture = () => {};  // there is no such pointer
  const start = performance.now(), from = pad.padLog.length;
  send('pointerdown', 0);
  const move = () => {
    const t = (performance.now() - start) / 1000;
    if (t < seconds) { send('pointermove', t); requestAnimationFrame(move); }
    else { send('pointerup', t); setTimeout(() => resolve(pad.padLog.slice(from).map(([a, b]) => b - a)), 300); }
  };
  move();
})"""


def big_model(workshop: Workshop) -> None:
    """Adds an untrained generator of 64 pixels and 64 filters to the pretrained ones: drawing takes as long as with a trained one."""
    config = recipe("dcgan").config.change(precision="fp32", generator_filters=64)
    save_generator(workshop.checkpoints / "pretrained" / "big.safetensors", new_state(config, torch.device("cpu")))


def drag(page: Page, address: str, seconds: float) -> tuple[float, list[float]]:
    """Pictures a second, and the milliseconds from pointer to pixels."""
    page.goto(address)
    page.wait_for_function("() => document.querySelector('.pad')?.padLog?.length > 0")
    page.wait_for_timeout(3000)  # the map is drawn
    page.evaluate(DRAG, 1.0)  # warm
    times = page.evaluate(DRAG, seconds)
    return len(times) / seconds, times


def drags(seconds: float, rounds: int) -> None:
    with Workshop(0) as workshop, sync_playwright() as playwright:
        big_model(workshop)
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        for _ in range(rounds):
            for model, words in (("digits", "28 px"), ("big", "64 px, 64 filters")):
                rate, times = drag(page, f"http://127.0.0.1:{workshop.port}/explore?from={model}", seconds)
                late = statistics.quantiles(times, n=20)
                print(f"{words}: {rate:.0f} pictures a second; pointer to pixels {statistics.median(times):.0f} ms, p95 {late[-1]:.0f} ms")
        browser.close()


class Visitor:
    """Drags over a pad on two connections, without drawing."""

    def __init__(self, port: int, model: str, number: int) -> None:
        self.port, self.model, self.number = port, model, number
        self.times: list[float] = []  # seconds each
        self.refused = 0
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(i,), daemon=True) for i in range(2)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)

    def _ask(self, which: int) -> None:
        connection, n = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30), 0
        while not self._ended.is_set():
            n += 1
            angle = 0.01 * (2 * n + which)
            u, v = 0.5 + 0.4 * math.cos(angle), 0.5 + 0.4 * math.sin(1.3 * angle)
            start = time.perf_counter()
            corners = ",".join(str(4 * self.number + i) for i in range(4))
            connection.request("GET", f"/api/models/{self.model}/image.png?seeds={corners}&u={u:.5f}&v={v:.5f}")
            answer = connection.getresponse()
            answer.read()
            self.times.append(time.perf_counter() - start)
            self.refused += answer.status != 200
            every = max(2 / MOST_A_SECOND, int(answer.headers.get("X-Picture-Every-Ms", 0)) / 1e3)
            self._ended.wait(max(0.0, every - (time.perf_counter() - start)))
        connection.close()


def visit(port: int, visitors: int, seconds: float, model: str = "digits") -> list[Visitor]:
    """Visitors who drag at the same time."""
    crowd = [Visitor(port, model, number) for number in range(visitors)]
    for visitor in crowd:
        visitor.start()
    time.sleep(seconds)
    for visitor in crowd:
        visitor.end()
    return crowd


def crowds(seconds: float, visitors: int) -> None:
    with Workshop(0) as workshop:
        visit(workshop.port, visitors, 3)  # warm
        before = workshop.resident()
        crowd = visit(workshop.port, visitors, seconds)
        after = workshop.resident()
        rates = sorted(len(visitor.times) / seconds for visitor in crowd)
        late = statistics.quantiles([t for visitor in crowd for t in visitor.times], n=20)[-1]
        refused = sum(visitor.refused for visitor in crowd)
        print(f"{visitors} visitors: {rates[0]:.0f} to {rates[-1]:.0f} pictures a second each, p95 {1e3 * late:.0f} ms, {refused} refused")
        _say_memory(before, after)


def beside(seconds: float, rounds: int) -> None:
    with Workshop(10 + rounds * (2 * seconds + 8)) as workshop:
        time.sleep(5)
        ratios = []
        for _ in range(rounds):
            alone = _speed(workshop, seconds)
            visitor = Visitor(workshop.port, "digits", 0)
            visitor.start()
            time.sleep(1)
            visited = _speed(workshop, seconds)
            visitor.end()
            ratios.append(visited / alone)
            rate = len(visitor.times) / (seconds + 1)
            print(f"run {alone:,.0f} images/s alone, {visited:,.0f} next to a visitor ({ratios[-1]:.3f}); {rate:.0f} pictures a second")
        print(f"the run keeps {statistics.median(ratios):.1%} of its speed ({min(ratios):.1%} to {max(ratios):.1%})")


def _speed(workshop: Workshop, seconds: float) -> float:
    """The run's images/s over the next seconds."""
    first, start = workshop.progress(), time.perf_counter()
    time.sleep(seconds)
    return (workshop.progress() - first) / (time.perf_counter() - start)


def refusals(requests: int) -> None:
    rng = random.Random(0)
    with Workshop(0) as workshop:
        visit(workshop.port, 1, 3)
        memory, rate = workshop.resident(), len(visit(workshop.port, 1, 5)[0].times) / 5
        statuses: dict[int, int] = {}
        connection = http.client.HTTPConnection("127.0.0.1", workshop.port, timeout=30)
        for _ in range(requests):
            connection.request("GET", bad_address(rng))
            answer = connection.getresponse()
            body = answer.read()
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
            if not (400 <= answer.status < 500 and body.count(b"\n") <= 1 and len(body) < 1000):
                print(f"not refused in a sentence: {answer.status} {body[:100]!r}")
        print(f"{requests} malformed or greedy requests: " + ", ".join(f"{n} with {status}" for status, n in sorted(statuses.items())))
        print(f"pictures a second: {rate:.1f} before, {len(visit(workshop.port, 1, 5)[0].times) / 5:.1f} after")
        _say_memory(memory, workshop.resident())


def bad_address(rng: random.Random) -> str:
    """An image request that must be refused."""
    image = "/api/models/digits/image.png?"
    return rng.choice(
        [
            f"{image}seeds={rng.choice(['', 'x', '-1', '1.5', '9' * 40, '1,2', '1,2,3', '1-5000000', str(2**63)])}",
            f"{image}seeds=1,2,3,4&u={rng.choice(['nan', 'inf', '-0.1', '1.1', 'x', '1e999', ''])}&v=0.5",
            f"{image}scale={rng.choice(['0', '9', '-1', '1e3', '99999999999', 'x'])}",
            f"{image}z={','.join(rng.choice(['nan', 'inf', '1e9', 'x', '']) for _ in range(64))}",
            f"{image}z={','.join(['0'] * rng.choice([1, 63, 65, 2000]))}",
            f"{image}seeds={','.join(str(rng.randrange(2**31)) for _ in range(rng.choice([5, 500, 3000])))}",
            f"{image}class={rng.choice(['7', 'x' * 300])}",
            f"{image}x={'a' * rng.choice([16_001, 30_000])}",
            f"/api/models/{rng.choice(['..%2F..%2Fetc%2Fpasswd', '%00', 'nothing', 'digits@', 'digits@-1', 'x' * 200, '.hidden', '..'])}/image.png",
            f"/api/runs/{rng.choice(['..%2F..', 'x', '%2e%2e', 'a' * 300])}",
            f"/api/runs/{rng.choice(['x', '..'])}/samples/{rng.choice(['1', '-1', 'x', '9' * 30])}.png",
        ]
    )


def _say_memory(before: int | None, after: int | None) -> None:
    if before and after:
        print(f"the server's memory: {before / 1e6:.0f} MB before, {after / 1e6:.0f} MB after ({after / before - 1:+.1%})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["drag", "crowd", "beside", "refused"])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--visitors", type=int, default=10)
    parser.add_argument("--requests", type=int, default=1000)
    given = parser.parse_args()
    match given.what:
        case "drag":
            drags(given.seconds, given.rounds)
        case "crowd":
            crowds(given.seconds, given.visitors)
        case "beside":
            beside(given.seconds, given.rounds)
        case "refused":
            refusals(given.requests)


if __name__ == "__main__":
    main()
