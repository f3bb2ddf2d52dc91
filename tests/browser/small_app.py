"""Streamlit's command with a default recipe of small networks that ends late. Runs use one thread and rest after each step, so they leave the cores to the browser,
and log each few steps, so their charts grow as fast as those of a run without rest.

python -m tests.browser.small_app run app.py
"""

import time
from dataclasses import replace

from streamlit.web import cli

from gan.recipes import RECIPES
from gan.training import execution, loop
from gan.training.state import TrainState
from gan.training.step import count_step

REST_S = 0.045  # after each step. Without it a run takes a core for as long as its test looks at it


def count_and_rest(state: TrainState) -> None:
    count_step(state)
    time.sleep(REST_S)


if __name__ == "__main__":
    loop.count_step = count_and_rest
    # What a measurement, which takes seconds, would choose on a busy machine.
    execution._fastest = lambda config, threads: execution.Execution("fp32", channels_last=True, threads=1)  # type: ignore[assignment]
    recipe = RECIPES["quick-digits"]
    small = recipe.config.change(generator_filters=8, discriminator_filters=8, batch_size=16, duration=1_000_000, log_every=5)
    RECIPES[recipe.name] = replace(recipe, config=small)
    cli.main(prog_name="streamlit")
