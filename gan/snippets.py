"""What Explore shows, as a few lines of Python: pure functions of a view's parameters. Knows nothing of networks or pages.

Each script draws the same pictures as the view into `images`, and writes a file. Whatever is filled in is a number, or quoted
by repr(): nothing that a person has named becomes code.
"""

from collections.abc import Mapping, Sequence

from gan.latent import seed_text

Seeds = Sequence[int]

# What a line may need -> where it comes from, in the order of the import lines.
_SOURCES = {
    "Path": "from pathlib import Path",
    "np": "import numpy as np",
    "torch": "import torch",
    "gan": "from gan import {}",
    "checkpoint": "from gan.checkpoint import {}",
    "images": "from gan.images import {}",
    "models": "from gan.models import find_model",
    "runs": "from gan.runs import checkpoints_root",
    "training": "from gan.training import {}",
}
_BLOCKS = (("Path",), ("np", "torch"), ("gan", "checkpoint", "images", "models", "runs", "training"))


def pad(model_id: str, corners: Seeds, u: float, v: float, class_name: str | None = None) -> str:
    """One picture between four seeds (top left, top right, bottom left, bottom right), u across and v down, 0 to 1."""
    lines = [
        *_network(model_id),
        f"corners = model.noise({list(corners)!r})  # top left, top right, bottom left, bottom right",
        f"across, down = torch.tensor({u!r}), torch.tensor({v!r})",
        "top = latent.slerp(corners[:1], corners[1:2], across)",
        "bottom = latent.slerp(corners[2:3], corners[3:], across)",
        "z = latent.slerp(top, bottom, down)",
        *_drawn(class_name),
        "Path('picture.png').write_bytes(png(enlarge(images[0], 8)))",
    ]
    return _script(lines, ("Path", "torch", "latent"), ("enlarge", "png"))


def grid(model_id: str, seeds: Seeds, class_name: str | None = None, classes: int = 0, in_training: bool = False) -> str:
    """A picture of each seed.

    Args:
        classes: above 0, each seed in each of so many classes.
        in_training: as sample_as_in_training() draws.
    """
    lines = [*_network(model_id), *_noise(seeds)]
    if classes:
        lines += [
            f"classes = list(range({classes}))",
            "labels = torch.tensor(classes * len(z))",
            "z = z.repeat_interleave(len(classes), 0)",
        ]
    lines += _drawn(class_name, with_labels=bool(classes), in_training=in_training)
    lines.append(f"Path('grid.png').write_bytes(png(enlarge(tile(images, columns={classes}), 4)))")
    draw = "sample_as_in_training" if in_training else "sample"
    return _script(
        lines, ("Path", "latent", *(("torch",) if class_name is not None or classes else ())), ("enlarge", "png", "tile"), (draw,)
    )


def sliders(
    model_id: str,
    seed: int,
    method: str,
    count: int,
    moved: Mapping[int, float],
    psi: float,
    label: int | None = None,
    class_name: str | None = None,
) -> str:
    """A seed's picture, moved along directions.

    Args:
        method, count, label: as directions.find() takes them.
        moved: standard deviations along the directions, by their numbers.
        psi: truncation: by what z is multiplied.
    """
    lines = [
        *_network(model_id),
        f"found = directions.find(network, {method!r}, {count!r}, model.config.latent_distribution, {label!r})",
        f"z = model.noise([{seed!r}])",
        f"for number, far in {dict(moved)!r}.items():",
        "    z += far * found.vectors[found.numbers.index(number)]",
        "if model.config.latent_distribution == 'uniform':",
        "    z.clamp_(-1, 1)  # training knew nothing beyond",
        *([f"z *= {psi!r}  # truncation"] if psi != 1 else []),
        *_drawn(class_name),
        "Path('picture.png').write_bytes(png(enlarge(images[0], 8)))",
    ]
    return _script(lines, ("Path", "directions", *(("torch",) if class_name is not None else ())), ("enlarge", "png"))


def walk(
    model_id: str,
    seeds: Seeds | None,
    frames: int,
    mode: str,
    easing: str,
    closed: bool,
    frames_per_s: float,
    class_name: str | None = None,
    file: str = "",
) -> str:
    """A film from one noise vector to the next.

    Args:
        seeds: of the noise vectors in order; None to read them from `file`, a list that vectors.write() wrote.
        frames, mode, easing, closed: as latent.walk() takes them.
    """
    if seeds is None:
        kept = f"vectors.read(Path({file!r}).read_bytes(), model.config.latent_dim)"
        stops = [
            f"kept = {kept}  # the list that you downloaded",
            "stops = vectors.points(kept, model.config.latent_dim, model.config.latent_distribution)",
        ]
    else:
        stops = [f"stops = model.noise({list(seeds)!r})"]
    lines = [
        *_network(model_id),
        *stops,
        f"z = latent.walk(stops, {frames!r}, {mode!r}, closed={closed!r}, easing={easing!r})",
        *_drawn(class_name),
        f"Path('walk.gif').write_bytes(gif(images, {frames_per_s!r}, factor=4))",
    ]
    needed = ("Path", "latent", *(("torch",) if class_name is not None else ()), *(("vectors",) if seeds is None else ()))
    return _script(lines, needed, ("gif",))


def through_time(run: str, steps: Sequence[int], seeds: Seeds, frames_per_s: float, class_name: str | None = None) -> str:
    """The same seeds as each of a run's generators draws them: images (steps, N, C, H, W)."""
    lines = [
        f"run = checkpoints_root() / {run!r}",
        f"seeds = latent.parse_seeds({seed_text(seeds)!r})",
        "drawn = []",
        f"for step in {list(steps)!r}:",
        "    loaded = load_generator(find_generator(run, step))",
        "    z = latent.noise(seeds, loaded.config.latent_dim, loaded.config.latent_distribution)",
        *([f"    labels = torch.full((len(z),), loaded.class_names.index({class_name!r}))"] if class_name is not None else []),
        f"    drawn.append(sample(loaded.network, z{', labels' if class_name is not None else ''}))",
        "images = np.stack(drawn)  # uint8 (steps, N, C, H, W)",
        "film = np.stack([tile(pictures) for pictures in images])",
        f"Path('learning.gif').write_bytes(gif(film, {frames_per_s!r}, factor=4))",
    ]
    needed = ("Path", "np", "latent", *(("torch",) if class_name is not None else ()))
    return _script(lines, needed, ("gif", "tile"), checkpoint=("find_generator", "load_generator"), model=False)


def _network(model_id: str) -> list[str]:
    return [f"model = find_model(checkpoints_root(), {model_id!r})", "network = load_generator(model.path).network"]


def _noise(seeds: Seeds) -> list[str]:
    return [f"z = model.noise(latent.parse_seeds({seed_text(seeds)!r}))"]


def _drawn(class_name: str | None, with_labels: bool = False, in_training: bool = False) -> list[str]:
    """The lines that draw z; of one class, if one is named."""
    draw = "sample_as_in_training" if in_training else "sample"
    lines = []
    if class_name is not None and not with_labels:
        lines.append(f"labels = torch.full((len(z),), model.class_names.index({class_name!r}))")
    labels = ", labels" if class_name is not None or with_labels else ""
    return [*lines, f"images = {draw}(network, z{labels})  # uint8 (N, C, H, W)"]


def _script(
    lines: Sequence[str],
    needed: Sequence[str],
    images: Sequence[str],
    training: Sequence[str] = ("sample",),
    checkpoint: Sequence[str] = ("load_generator",),
    model: bool = True,
) -> str:
    """Lines below the imports that they need."""
    modules = [name for name in ("directions", "latent", "vectors") if name in needed]
    named = {"gan": modules, "images": images, "training": training, "checkpoint": checkpoint}
    everything = {*needed, *named, "runs", *(("models",) if model else ())}
    blocks = [[_SOURCES[name].format(", ".join(named.get(name, ()))) for name in block if name in everything] for block in _BLOCKS]
    return "\n\n".join("\n".join(block) for block in [*blocks, lines] if block) + "\n"
