"""The live view of a run: progress, charts and grids in one keyed component that follows the run's event stream."""

import html
from typing import Any

from gan.config import TrainConfig
from gan.glossary import explain
from gan.training.losses import equilibrium
from ui.components.component import component

_HTML = """
<section class="run-view" aria-label="Live view of the run">
  <div class="rv-progress" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100"><i></i></div>
  <dl class="rv-facts">
    <div><dt>State</dt><dd data-fact="state">…</dd></div>
    <div><dt>[Step]</dt><dd data-fact="step">0</dd></div>
    <div><dt>Images/s</dt><dd data-fact="speed">–</dd></div>
    <div><dt>Elapsed</dt><dd data-fact="elapsed">–</dd></div>
    <div><dt>To go</dt><dd data-fact="eta">–</dd></div>
  </dl>
  <p class="rv-note" role="status"></p>
  <p class="rv-verdict" hidden><span></span> <a hidden>Explore the best</a></p>
  <p class="rv-fault" role="alert"></p>
  <div class="rv-body">
    <figure class="rv-samples">
      <figcaption class="rv-latent">The same [latent vectors] at every step</figcaption>
      <figcaption class="rv-rows" hidden></figcaption>
      <div class="rv-frame"><span></span><img alt=""></div>
      <label><span class="rv-step"></span><input type="range" min="0" max="0" value="0" aria-label="Moment of training"></label>
      <p class="rv-reading"></p>
      <p class="rv-buttons"><button type="button" class="rv-newest" hidden>Back to the newest</button>
      <button type="button" class="rv-fork" hidden></button></p>
      <p class="rv-parent" hidden>Continues <a></a> from step <span></span>. Earlier curves are its parent's.</p>
      <details class="rv-changes" open hidden><summary></summary><ol></ol></details>
    </figure>
    <div class="rv-charts">
      <p class="rv-soon"></p>
      <div class="rv-chart" data-chart="loss" role="figure"></div>
      <div class="rv-chart" data-chart="score" role="figure"></div>
      <div class="rv-chart" data-chart="augmentation" role="figure" hidden></div>
      <div class="rv-chart" data-chart="distance" role="figure" hidden></div>
      <div class="rv-chart" data-chart="quality" role="figure" hidden></div>
      <p class="rv-hint"><span class="rv-rest">Dashed: the [equilibrium], where the discriminator cannot tell real from
      generated images.</span><span class="rv-astray" hidden>Dashed: the values at [equilibrium]. This run has an alarm, so values near
      these lines do not mean that it is there.</span> [D(x)] and [D(G(z))] are its mean answers to real and generated images.
      [Losses] alone do not say how good the images are.
      <span class="rv-fd" hidden>[FD] does: the distance between generated and real images, with its [standard error] as a
      band. Dotted: the same score for real images. Evaluate compares more images, which makes both lower. A new best must beat the
      old one by more than one standard error.</span></p>
    </div>
  </div>
</section>
"""


def _explained(name: str, shown: str) -> str:
    """A word with its text from the glossary as a tooltip."""
    return f'<abbr title="{html.escape(explain(name))}">{shown}</abbr>'


for _shown, _name in (
    ("Step", "step"),
    ("latent vectors", "latent vector"),
    ("D(x)", "D(x)"),
    ("D(G(z))", "D(G(z))"),
    ("Losses", "loss"),
    ("equilibrium", "equilibrium"),
    ("FD", "FD"),
    ("standard error", "standard error"),
):
    _HTML = _HTML.replace(f"[{_shown}]", _explained(_name, _shown))

# What the rows of the grid show, in runs that translate images. They repeat until the grid is square.
ROWS = {
    "pix2pix": "Images that training never sees. Rows: input, output, target.",
    "cyclegan": "Images that training never sees. Rows: A, as B, and back; B, as A, and back.",
}

_component = component("run_view", _HTML, "run_stream", "run_timeline", "chart_axes", "run_charts")


def run_view(
    run_id: str,
    config: TrainConfig,
    state: str,
    page: str,
    parent: dict[str, Any] | None = None,
    can_fork: bool = False,
    waiting: bool = False,
    judged: bool = False,
) -> int | None:
    """Draws a run, live. The page is run again when the run's state is no longer `state`.

    Args:
        run_id: which run.
        config: its settings.
        state: its state as the page knows it.
        page: the page's url_path, from which the component finds the address of the server behind any prefix.
        parent: what it was forked from: the id (run) and the name (name) of the run, the step, and the changed settings, field -> [old, new].
        can_fork: whether to offer a fork.
        waiting: whether it has not begun, so that there is nothing to draw.
        judged: whether its images will be scored: keeps the places of the scores.

    Returns:
        the step from which a fork was asked for just now, or None.
    """
    loss_d, loss_g, score = equilibrium(config.loss, config.real_label, config.fake_label)
    if loss_d is not None and config.mean_loss_d:
        loss_d /= 2
    if config.feature_matching:  # its loss is a distance, and rests at no level that is known
        loss_g = None
    rest = {"loss_d": loss_d, "loss_g": loss_g, "score": score}
    data = {"run": run_id, "state": state, "page": page, "equilibrium": rest, "scores": config.has_scores}
    data |= {
        "parent": parent,
        "fork": can_fork,
        "waiting": waiting,
        "judged": judged,
        "adaptive": config.augmentation_target > 0,
        "rows": ROWS.get(config.networks, ""),
        "translates": config.translates,
        "fields": {name: info.title for name, info in TrainConfig.model_fields.items()},
    }
    asked = _component(key="run_view", data=data, on_changed_change=lambda: None, on_fork_change=lambda: None)
    return asked.fork if isinstance(asked.fork, int) else None
