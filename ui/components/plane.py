"""The figure of the lesson "The game on a plane": a GAN for points that trains in the browser."""

from gan.course.plane import FEW, SETTLED
from ui.components.course_figure import course_figure

HTML = """
<section class="plane" aria-label="The game on a plane">
  <div>
    <canvas class="plane-canvas" tabindex="0" role="img" aria-label="The plane" aria-describedby="plane-keys"></canvas>
    <p><i class="plane-key plane-key-real"></i>real, or D says real <i class="plane-key plane-key-generated"></i>generated, or D says so</p>
    <p class="plane-state"></p>
    <p class="plane-reading"></p>
  </div>
  <div>
    <div class="plane-row">
      <button type="button" class="plane-run">Run</button>
      <button type="button" class="plane-step-d">Step D</button>
      <button type="button" class="plane-step-g">Step G</button>
      <button type="button" class="plane-reset">Reset</button>
      <label><input type="checkbox" class="plane-slow"> Slow motion</label>
    </div>
    <p class="plane-news" role="status"></p>
    <p class="plane-fault" role="alert"></p>
    <canvas class="plane-chart" role="img" aria-label="Both losses over all steps; D's is blue, G's orange"></canvas>
    <p class="plane-losses"></p>
    <div class="plane-row" role="group" aria-label="Presets"><span>Presets</span><span class="plane-row plane-presets"></span></div>
    <div class="plane-row" role="group" aria-label="Cures for a collapse"><span>Cures</span><span class="plane-row plane-cures"></span></div>
    <div class="plane-row">
      <label>Real points <select class="plane-data"></select></label>
      <button type="button" class="plane-clear" hidden>Clear the drawing</button>
    </div>
    <div class="plane-row plane-shown" role="group" aria-label="What is drawn"></div>
    <details><summary>All settings</summary><div class="plane-fields"></div>
      <p>Presets, packs, latent vectors, hidden units and the seed begin a new game. All other settings change it while it runs.</p>
    </details>
    <p id="plane-keys">On the plane, arrow keys move a cursor that reads D's answer. With your own points, the space bar draws one.</p>
  </div>
</section>
"""

plane = course_figure("plane", HTML, few=FEW, settled=SETTLED)
