"""The figure of the lesson "What batch normalization does": a generator that runs in the browser, and its batch."""

from gan.course.batch_norm import FAR, MOVED, VISIBLE
from ui.components.course_figure import course_figure

_HTML = """
<section class="bnorm" aria-label="What batch normalization does">
  <p class="bnorm-fault" role="alert"></p>
  <div class="bnorm-row">
    <div class="bnorm-row bnorm-modes" role="group" aria-label="Mode of the generator">
      <button type="button" class="bnorm-train">Training mode</button><button type="button" class="bnorm-eval">Eval mode</button>
    </div>
    <label>Your vector <select class="bnorm-own"></select></label>
  </div>
  <div class="bnorm-batch" role="group" aria-label="The batch">
    <figure class="bnorm-yours"><canvas role="img" aria-label="Your vector's image" width="28" height="28"></canvas><figcaption>Yours</figcaption></figure>
    <figure><div class="bnorm-companions"></div><figcaption>Companions</figcaption></figure>
  </div>
  <div class="bnorm-row bnorm-way">
    <label>First companions <select class="bnorm-from"></select></label>
    <label class="bnorm-drag">Companions <input type="range" class="bnorm-place" min="0" max="1" step="0.02" value="0"></label>
    <label>Last companions <select class="bnorm-to"></select></label>
  </div>
  <p class="bnorm-words" role="status">Loading the generator…</p>
  <h4>Your vector, four times</h4>
  <div class="bnorm-four"></div>
  <h4>One channel before it is normalized</h4>
  <div class="bnorm-row">
    <label>Layer <select class="bnorm-layer"></select></label>
    <label class="bnorm-drag">Channel <input type="range" class="bnorm-channel" min="0" step="1" value="0"></label>
  </div>
  <canvas class="bnorm-shifts" role="img" aria-label="How far each channel's batch mean is from its average in training"></canvas>
  <p>Each bar is a channel: how far its batch mean is from its average in training, in standard deviations. Press a bar.</p>
  <canvas class="bnorm-values" role="img" aria-label="The channel's values in the batch"></canvas>
  <p><i class="bnorm-key bnorm-key-batch"></i>this batch, mean ± σ <i class="bnorm-key bnorm-key-average"></i>average in training, mean ± σ
    <i class="bnorm-key bnorm-key-yours"></i>your values</p>
  <p class="bnorm-numbers" role="status"></p>
  <p class="bnorm-formula"></p>
</section>
"""

batch_norm = course_figure("batch_norm", _HTML, visible=VISIBLE, far=FAR, least=MOVED)
