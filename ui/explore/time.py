"""Explore's time: the same latent vectors through all saved generators of a run, and a film of them."""

from collections.abc import Hashable

import numpy as np
import streamlit as st

from gan import latent
from gan.explore import films
from gan.explore.models import Model
from gan.images import captioned, enlarge, gif, png, spaced, tile
from gan.lru import Lru
from gan.runs.folder import RunFolder
from ui.dice import seeds_dice
from ui.explore import snippets
from ui.explore.common import film_downloads, read_seeds
from ui.explore.share import share
from ui.page_files import TRAIN
from ui.pictures import inline
from ui.progress import Canceled, drain
from ui.text import plain
from ui.workshop import manager, models

MOST_SEEDS = 8
MOST_STEPS = 120  # frames of a film
COLUMNS = 12  # of the strip
SPEEDS = (1, 2, 5, 10, 20)  # steps a second
HOLD_S = 1.5  # duration of the film's last step
SIDE = 256  # pixels of a film's frame, about
LOOK_EVERY_S = 5.0  # for new generators, while the run trains

Pictures = dict[tuple[int, int], np.ndarray]

_drawn: Lru[Hashable, Pictures] = Lru(most_bytes=128 * 2**20, size=lambda pictures: sum(images.nbytes for images in pictures.values()))
_films: Lru[Hashable, tuple[bytes, np.ndarray]] = Lru(most_bytes=64 * 2**20, size=lambda film: len(film[0]) + film[1].nbytes)


def view(model: Model, label: int) -> None:
    """A strip of steps with one row per seed, and the film."""
    if not model.run:
        st.info(
            f"{plain(model.id)} comes with the app and has no earlier snapshots. A run of your own keeps its generator at steps 1, 2, 4, 8, … and "
            "regularly after that. Train one to see its progress here.",
            icon=":material/timelapse:",
        )
        st.page_link(TRAIN, label="Train", icon=":material/model_training:")
        return
    at_work = manager().get(model.run).at_work
    st.fragment(_follow, run_every=LOOK_EVERY_S if at_work else None)(model, label)


def _follow(model: Model, label: int) -> None:
    """The view of a run; while it trains, it is redrawn as the run continues."""
    first, second = st.columns([2, 1], vertical_alignment="bottom")
    with first.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Seeds",
            "1-4",
            key="rows",
            bind="query-params",
            help=f"The latent vectors to follow, one row each, at most {MOST_SEEDS}. Example: 1,2,10-12.",
        )
        seeds_dice({"rows": MOST_SEEDS})
    speed = second.select_slider("Steps a second", SPEEDS, 5, key="pace", bind="query-params", help="How fast the film goes.")
    seeds = read_seeds(text, 1, MOST_SEEDS)
    if not seeds:
        return
    folder = RunFolder(models().root / model.run)
    steps = folder.generator_steps()
    if len(steps) < 2:
        st.info(
            f"So far this run has saved one generator, at step {model.step:,}. It saves more at steps 1, 2, 4, 8, … and every "
            f"{model.config.snapshot_every:,} steps. The film starts once there are two.",
            icon=":material/hourglass_empty:",
        )
    pictures = through_time(model, label, folder, sorted({*spaced(steps, MOST_STEPS), model.step}), seeds)
    if not pictures:
        return
    strip(pictures, seeds, model, label)
    shown = [step for step, _ in pictures]
    if len(pictures) > 1:
        animation, frames = film(model, label, seeds, pictures, speed)
        st.image(animation, alt=f"Film of seeds {text} being learned, step {shown[0]} to {shown[-1]}", width=384)
        left_out = f" of {len(steps)} that the run has kept" if len(shown) < len(steps) else ""
        st.caption(f"{len(shown)} steps{left_out} in {len(shown) / speed:.1f} s.")
        name = f"{model.run}-learning-{latent.seed_text(seeds).replace(',', '-')}"[:80]
        film_downloads(frames, animation, strip_png(pictures), name, speed, 1)
    share(snippets.through_time(model.run, shown, seeds, speed, model.class_names[label] if model.class_names else None))


def through_time(model: Model, label: int, folder: RunFolder, steps: list[int], seeds: list[int]) -> Pictures | None:
    """The images of each step's generator, with a progress bar; None if it was canceled."""
    key = (model.run, tuple(seeds), label)
    cancel = Canceled("time_canceled", key)
    if cancel.waits("Drawing was canceled.", "Draw the steps", ":material/timelapse:"):
        return None
    files = {step: folder.generator_file(step) for step in steps}
    pictures = drain(films.through_time(files, model.z(seeds), label, _drawn.get(key)), "cancel_time", cancel)
    _drawn.put(key, pictures)
    return pictures


def strip(pictures: Pictures, seeds: list[int], model: Model, label: int) -> None:
    """Some of the steps side by side, including the chosen one, each with a link to that generator's pad."""
    chosen = {key for key in pictures if key[0] == model.step}
    columns = sorted({*spaced(list(pictures), COLUMNS - len(chosen)), *chosen})
    with st.grid("auto", min_column_width=64, gap="xsmall"):
        for key in columns:
            step = key[0]
            with st.container(gap="xsmall"):
                column = tile(enlarge(pictures[key], max(1, 112 // model.config.image_size)), columns=1, gap=2)
                names = ", ".join(map(str, seeds))
                st.image(inline(column), alt=f"Seeds {names} after step {step}", width="stretch")
                if st.button(
                    f"{step:,}",
                    key=f"pad_at_{step}",
                    help=f"Opens the generator of step {step:,} in the pad.",
                    type="primary" if step == model.step else "tertiary",
                    width="stretch",
                    on_click=_to_pad,
                    args=(step, seeds),
                ):
                    st.rerun()  # the whole page: the view is chosen outside of this fragment
    st.caption(
        f"One row for each of the seeds {', '.join(map(str, seeds))}; below each column is its step. Press a step to "
        "open that generator in the pad."
    )


def _to_pad(step: int, seeds: list[int]) -> None:
    """Opens the pad at a step, with these seeds at its corners and the point on the first."""
    st.session_state["step"] = str(step)
    st.session_state["view"] = "pad"
    corners = [*seeds, *(seed for seed in range(1, 9) if seed not in seeds)][:4]
    st.session_state["corners"] = ",".join(map(str, corners))
    st.query_params["place"] = "0,0,0,0"


def strip_png(pictures: Pictures) -> bytes:
    """The strip as one picture: one column per step."""
    columns = spaced(list(pictures.values()), COLUMNS)
    factor = max(1, 112 // columns[0].shape[-1])
    return png(tile(enlarge(np.stack([tile(images, columns=1, gap=2) for images in columns]), factor), columns=len(columns), gap=2))


def film(model: Model, label: int, seeds: list[int], pictures: Pictures, speed: float) -> tuple[bytes, np.ndarray]:
    """(GIF, its frames): one step per frame; the last one stays for a while."""
    key = (model.run, label, tuple(seeds), tuple(pictures), speed)
    made = _films.get(key)
    if made is None:
        side = tile(next(iter(pictures.values())), gap=1).shape[-1]
        factor = max(1, SIDE // side)
        frames = [captioned(enlarge(tile(images, gap=1), factor), f"step {step:,}") for (step, _), images in pictures.items()]
        frames += frames[-1:] * round(HOLD_S * speed)
        film = np.stack(frames)
        made = gif(film, speed), film
        _films.put(key, made)
    return made
