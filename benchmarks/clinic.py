"""Records the cases of the lesson "What is wrong with it?" again, into gan/course/cases.

    python -m benchmarks.clinic [--only case-3 ...] [--out DIR]

Each case trains on one thread of the processor, so the same machine records the same numbers. Images are scored and norms
measured every 50 steps. All cases take about five minutes on an idle core.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks import doctor
from gan import latent
from gan.course.cases import CASES, FOLDER, RULES, SIDE, Case
from gan.data.datasets import ImageDataset
from gan.doctor.diagnosis import total_norm
from gan.networks.sampling import sample

GRIDS = (50, 100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700)
JUDGE_EVERY = 50  # steps
GRAYS = 16  # of the pictures: half the size, and the eye sees no difference
METRICS = ("step", "images_seen", "loss_d", "loss_g", "d_real", "d_fake")
NOT_SHOWN = ("elapsed_s", "features")  # of a score


def shown(case: Case, dataset: ImageDataset) -> ImageDataset:
    """The training images of a case."""
    assert dataset.labels is not None
    rows = np.arange(len(dataset))
    if case.classes:
        rows = rows[np.isin(dataset.labels.numpy(), case.classes)]
    if case.images:
        rows = rows[np.linspace(0, len(rows) - 1, case.images).round().astype(int)]
    kept = torch.from_numpy(rows)
    return replace(dataset, images=dataset.images[kept], labels=dataset.labels[kept])


def record(case: Case, folder: Path) -> None:
    """Trains a case and writes its files."""
    config = case.config()
    quiet = config.change(grid_every=1_000_000, snapshot_every=1_000_000)
    dataset = shown(case, doctor._dataset(config.data, config.image_size, config.channels, config.data_split))
    patient = doctor.Patient(quiet, dataset)
    z = latent.from_seeds(range(SIDE * SIDE), config.latent_dim, config.latent_distribution)
    sheets, steps = [], [step for step in GRIDS if step <= case.steps]
    for step in steps:
        patient.go(step, case.changes if patient.state.step == case.changed_at else None)
        images = sample(patient.state.averaged, z)[:, 0]
        sheets.append(images.reshape(SIDE, SIDE, *images.shape[1:]).swapaxes(1, 2).reshape(SIDE * images.shape[1], -1))
    folder.mkdir(parents=True, exist_ok=True)
    save(np.concatenate(sheets), folder / f"{case.id}.png")
    rows = patient.rows
    document = {
        "grids": steps,
        "metrics": [rounded({name: row[name] for name in METRICS}) for row in rows["metrics"]],
        "norms": [
            rounded({"step": row["step"], "gradients": {name: {"all": total_norm(of)} for name, of in row["gradients"].items()}})
            for row in rows["norms"]
        ],
        "judged": [rounded({name: value for name, value in row.items() if name not in NOT_SHOWN}) for row in rows["judged"]],
        "interventions": [asdict(change) for change in rows["interventions"]],
    }
    (folder / f"{case.id}.json").write_text(json.dumps(document, separators=(",", ":")) + "\n", encoding="utf-8")
    found = ", ".join(finding.key for finding in patient.findings()) or "nothing"
    last = rows["judged"][-1]
    print(f"{case.id}: {case.trouble} ({RULES.get(case.trouble, 'nothing')}), found {found}; FD {last['fd']:.1f}", flush=True)


def save(gray: np.ndarray, path: Path) -> None:
    """Writes gray pixels, uint8 (height, width), as a PNG of GRAYS grays."""
    levels = ((gray.astype(int) * (GRAYS - 1) + 127) // 255).astype(np.uint8)
    picture = Image.frombytes("P", levels.shape[::-1], levels.tobytes())
    picture.putpalette([value * 255 // (GRAYS - 1) for value in range(GRAYS) for _ in range(3)])
    picture.save(path, optimize=True, bits=4)


def rounded(value: Any) -> Any:
    """The value with four digits per number, in lists and objects as well."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list | tuple) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    doctor.THREADS, doctor.JUDGE_EVERY = 1, JUDGE_EVERY
    for name in options.only:
        record(CASES[name], options.out)


if __name__ == "__main__":
    main()
