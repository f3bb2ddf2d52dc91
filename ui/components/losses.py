"""The figure of the lesson "What the losses say": two densities on a line, and what follows from them."""

from ui.components.course_figure import course_figure

_HTML = """
<section class="losses" aria-label="What the losses say">
  <p class="losses-fault" role="alert"></p>
  <canvas class="losses-line" role="img" aria-label="Two densities on a line"></canvas>
  <p><i class="losses-key losses-key-data"></i>real, p <i class="losses-key losses-key-generated"></i>generated, q
    <i class="losses-key losses-key-best"></i>D*, from 0 to 1</p>
  <p class="losses-words" role="status"></p>
  <div class="losses-fields">
    <label>Center of the real <input type="range" class="losses-data-mean" min="-5" max="5" step="0.05" value="-1.5"></label>
    <label>Width of the real <input type="range" class="losses-data-deviation" min="0.3" max="2" step="0.05" value="0.8"></label>
    <label>Center of the generated <input type="range" class="losses-generated-mean" min="-5" max="5" step="0.05" value="1"></label>
    <label>Width of the generated <input type="range" class="losses-generated-deviation" min="0.3" max="2" step="0.05" value="1.1"></label>
  </div>
  <div class="losses-halves">
    <div>
      <h4>When the centers move apart</h4>
      <canvas class="losses-distances" role="img" aria-label="Both distances against the distance of the centers"></canvas>
      <p>Solid: Jensen-Shannon, on a scale up to ln 2. Dashed: Wasserstein. Across: distance of the centers, 0 to 12.</p>
    </div>
    <div>
      <h4>What G gets to learn from</h4>
      <canvas class="losses-slopes" role="img" aria-label="G's two losses against D(G(z))"></canvas>
      <p>Dashed: log(1 − D), minimax. Solid: −log D, non-saturating. Across: D(G(z)), 0 to 1.</p>
      <label>D(G(z)), D's answer to a generated image <input type="range" class="losses-dial" min="0.01" max="0.99" step="0.01" value="0.4"></label>
      <p class="losses-slope-words" role="status"></p>
    </div>
  </div>
  <details open><summary>From the value function to cross entropy, in six steps</summary>
    <label>Place on the line <input type="range" class="losses-at" min="-5" max="5" step="0.05" value="0"></label>
    <p>x is a real image, z a latent vector of random numbers, and G(z) the image that G makes of it. E[…] is a mean over all of them.</p>
    <ol class="losses-steps">
      <li>D makes V(D, G) = E[log D(x)] + E[log(1 − D(G(z)))] large. Its best D reaches <output></output>.</li>
      <li>At one place this is p log D + q log(1 − D): <output></output>.</li>
      <li>Its derivative is 0 where D* = p / (p + q): <output></output>.</li>
      <li>Put in at every place and summed up, V(D*, G) = <output></output>.</li>
      <li>That is −2 ln 2 + 2 JS(p, q): <output></output>.</li>
      <li>With the other sign it is binary cross entropy with label 1 for real and 0 for generated, the loss of D: <output></output>.</li>
    </ol>
  </details>
</section>
"""

losses = course_figure("losses", _HTML)
