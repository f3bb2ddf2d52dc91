"""Does a server in long use release memory and file descriptors while visitors come and go?

    python -m benchmarks.soak [--minutes 10] [--viewers 20] [--sessions 4]

While one run trains, `--viewers` event streams and `--sessions` visitors at a time follow it (as in benchmarks.load); each visitor
leaves after 10 to 30 seconds, and another comes, and so does each stream after 20 to 60. Aims: memory grows by at most 3 % after
the first minute, and when everyone has left, at most 20 files more are open than before anyone came. With a missed aim, or an
error as benchmarks.load counts them, the exit status is 1.
"""

import argparse
import asyncio
import contextlib
import random
import resource
import time

from benchmarks.load import Crowd
from benchmarks.serving import Workshop

FIRST_S = 60.0  # what is loaded only for the first visitors does not count
LOOK_S = 2.0
LEAVE_S = 15.0  # for the server to notice that everyone has left
GROWTH, FILES = 0.03, 20


async def coming_and_going(crowd: Crowd, kind: str, stays_s: tuple[float, float], rng: random.Random) -> None:
    """One place for visitors or viewers, taken by one after the other."""
    number = 0
    while True:
        number += 1
        name = f"{kind} {id(rng)}.{number}"
        task = asyncio.create_task(crowd.there(name, rng))
        try:
            await asyncio.wait([task], timeout=rng.uniform(*stays_s))
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def soak(workshop: Workshop, minutes: float, viewers: int, sessions: int) -> bool:
    """Watches for the given time, prints the results, and returns whether all targets were met."""
    crowd = Crowd(workshop, log_every=1)
    crowd.log_every = 0  # benchmarks.load counts rows that a stream leaves out
    files = workshop.descriptors() or 0
    places = [asyncio.create_task(coming_and_going(crowd, "viewer", (20, 60), random.Random(i))) for i in range(viewers)]
    places += [asyncio.create_task(coming_and_going(crowd, "visitor", (10, 30), random.Random(-1 - i))) for i in range(sessions)]
    start, memory = time.monotonic(), []
    while (spent := time.monotonic() - start) < 60 * minutes:
        memory.append((spent, workshop.resident() or 0, workshop.descriptors() or 0))
        await asyncio.sleep(LOOK_S)
    for place in places:
        place.cancel()
    await asyncio.gather(*places, return_exceptions=True)
    await asyncio.sleep(LEAVE_S)
    left = workshop.descriptors() or 0
    before = [size for spent, size, _ in memory if spent <= FIRST_S]
    after = [size for spent, size, _ in memory if spent > FIRST_S] or before[-1:]
    grown = max(after) / max(before) - 1
    errors = {what: n for what, n in crowd.tally.errors.items() if "left out" not in what}
    print(
        f"memory: at most {max(before) / 2**20:,.0f} MiB in the first minute, {max(after) / 2**20:,.0f} MiB after it ({grown:+.1%}; aim: <= {GROWTH:.0%})"
    )
    print(f"files: {files} before anyone came, at most {max(n for *_, n in memory)}, {left} after all had left (aim: <= {files + FILES})")
    print(f"page scripts: {len(crowd.tally.scripts):,}; events: {len(crowd.tally.delays):,}; errors: {errors or 'none'}", flush=True)
    return grown <= GROWTH and left <= files + FILES and not errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--viewers", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=4)
    options = parser.parse_args()
    if not (0 < options.minutes <= 120 and 0 <= options.viewers <= 200 and 0 <= options.sessions <= 50):
        parser.error("--minutes must be at most 120, --viewers at most 200, --sessions at most 50")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    with Workshop(60 * options.minutes + 120) as workshop:
        met = asyncio.run(soak(workshop, options.minutes, options.viewers, options.sessions))
        met &= "Traceback" not in workshop.log()
    raise SystemExit(not met)


if __name__ == "__main__":
    main()
