"""The live view of a run: progress, charts and grids in one keyed component that follows the run's event stream."""

from pathlib import Path

import streamlit as st

from gan.config import TrainConfig
from gan.losses import equilibrium

_HERE = Path(__file__).parent

_HTML = """
<section class="run-view" aria-label="Live view of the run">
  <div class="rv-progress" role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100"><i></i></div>
  <dl class="rv-facts">
    <div><dt>State</dt><dd data-fact="state">…</dd></div>
    <div><dt>Step</dt><dd data-fact="step">0</dd></div>
    <div><dt>Images/s</dt><dd data-fact="speed">–</dd></div>
    <div><dt>Elapsed</dt><dd data-fact="elapsed">–</dd></div>
    <div><dt>To go</dt><dd data-fact="eta">–</dd></div>
  </dl>
  <p class="rv-note" role="status"></p>
  <p class="rv-fault" role="alert"></p>
  <div class="rv-body">
    <figure class="rv-samples">
      <figcaption>The same noise vectors, again and again, drawn by the generator</figcaption>
      <div class="rv-frame"><span>The first grid appears in a moment.</span><img alt=""></div>
      <label><span class="rv-step"></span><input type="range" min="0" max="0" value="0" aria-label="Step of the grid"></label>
    </figure>
    <div class="rv-charts">
      <div class="rv-chart" data-chart="loss" role="img"></div>
      <div class="rv-chart" data-chart="score" role="img"></div>
      <p class="rv-hint"><span class="rv-rest">Dashed: where the game comes to rest, when the discriminator can no longer tell
      real from generated.</span> Neither loss alone says how good the images are.</p>
    </div>
  </div>
</section>
"""

_component = st.components.v2.component(
    "run_view",
    html=_HTML,
    css=(_HERE / "run_view.css").read_text(),
    js=(_HERE / "run_view.js").read_text(),
    isolate_styles=False,  # Plotly puts its style sheet into the document, which a shadow root does not see
)


def run_view(run_id: str, config: TrainConfig, state: str, page: str) -> None:
    """Draws a run, live. The page is run again when the run's state is no longer `state`.

    page: the page's url_path, from which the component finds the address of the server behind any prefix.
    """
    loss_d, loss_g, score = equilibrium(config.loss, config.real_label, config.fake_label)
    if loss_d is not None and config.mean_loss_d:
        loss_d /= 2
    if config.feature_matching:  # its loss is a distance, and rests at no level that is known
        loss_g = None
    rest = {"loss_d": loss_d, "loss_g": loss_g, "score": score}
    data = {"run": run_id, "state": state, "page": page, "equilibrium": rest, "scores": config.has_scores}
    _component(key="run_view", data=data, on_changed_change=lambda: None)
