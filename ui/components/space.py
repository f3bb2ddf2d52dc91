"""The figure of the lesson "The space of images": two paths between faces, arithmetic, and truncation."""

from gan.course.space import ALIKE, ENOUGH, GLASSES, SHORT
from ui.components.course_figure import course_figure

_HTML = """
<section class="space" aria-label="The space of images">
  <p class="space-fault" role="alert"></p>
  <h4>Two paths from one face to another</h4>
  <div class="space-row">
    <label>Faces <select class="space-pair"></select></label>
    <label class="space-drag">Along the path <input type="range" class="space-place" min="0" value="0" step="1"></label>
  </div>
  <div class="space-ways">
    <figure><canvas class="space-lerp" role="img" aria-label="Face on the straight line"></canvas><figcaption>Straight line (lerp)</figcaption></figure>
    <figure><canvas class="space-slerp" role="img" aria-label="Face on the great circle"></canvas><figcaption>Great circle (slerp)</figcaption></figure>
    <div>
      <canvas class="space-lengths" role="img" aria-label="Length of z along both paths"></canvas>
      <p><i class="space-key space-key-lerp"></i>straight line <i class="space-key space-key-slerp"></i>great circle
        <i class="space-key space-key-band"></i>usual lengths</p>
    </div>
  </div>
  <p class="space-way-words" role="status">Loading the pictures…</p>
  <h4>Arithmetic</h4>
  <div class="space-row">
    <label>Add <select class="space-attribute"></select></label>
    <label class="space-drag">Strength <input type="range" class="space-strength" min="0" value="0" step="1"></label>
  </div>
  <p class="space-sum-words" role="status">Loading the pictures…</p>
  <div class="space-row space-faces" role="group" aria-label="The face to change"></div>
  <div class="space-sum" role="group" aria-label="Mean with the attribute, minus mean without it, plus a face">
    <figure><canvas class="space-with" role="img" aria-label="Mean of the faces with the attribute"></canvas><figcaption></figcaption></figure><b aria-hidden="true">−</b>
    <figure><canvas class="space-without" role="img" aria-label="Mean of the faces without it"></canvas><figcaption></figcaption></figure><b aria-hidden="true">+</b>
    <figure><canvas class="space-before" role="img" aria-label="The face to change"></canvas><figcaption></figcaption></figure><b aria-hidden="true">=</b>
    <figure><canvas class="space-after" role="img" aria-label="The changed face"></canvas><figcaption></figcaption></figure>
  </div>
  <h4>Truncation</h4>
  <div class="space-row"><label class="space-drag">ψ, the length of each z <input type="range" class="space-psi" min="0" step="1"></label></div>
  <div class="space-eight"></div>
  <p class="space-psi-words" role="status">Loading the pictures…</p>
</section>
"""

space = course_figure("space", _HTML, alike=ALIKE, enough=ENOUGH, glasses=GLASSES, short=SHORT)
