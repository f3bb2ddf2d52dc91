"""The figure of the lesson "From one number to many": a transposed convolution, one value at a time, in both of its views."""

from ui.components.course_figure import course_figure

_HTML = """
<section class="transposed" aria-label="Transposed convolution">
  <div class="transposed-row">
    <label>Input size n <select class="transposed-size"></select></label>
    <label>Kernel k <select class="transposed-kernel"></select></label>
    <label>Stride s <select class="transposed-stride"></select></label>
    <label>Padding p <select class="transposed-padding"></select></label>
    <label>Output padding oₚ <select class="transposed-outputPadding"></select></label>
  </div>
  <p class="transposed-fault" role="alert"></p>
  <p class="transposed-formula" role="status"></p>
  <div class="transposed-row">
    <button type="button" class="transposed-add" title="Its input has the size of your last layer's output">Add this layer</button>
    <button type="button" class="transposed-restart">Start at 1</button>
    <span>Your layers: <b class="transposed-chain"></b></span>
  </div>
  <div class="transposed-row">
    <label>View <select class="transposed-view"><option value="spread">Each input spreads the kernel</option>
      <option value="slide">Zeros inserted, a kernel slides</option></select></label>
    <label>Step <input type="range" class="transposed-step" min="0" max="9" step="1"></label>
  </div>
  <p class="transposed-step-words" role="status"></p>
  <div class="transposed-grids">
    <figure><figcaption>Input: press a cell to change it</figcaption><canvas class="transposed-input" role="img" aria-label="Input" tabindex="0"></canvas></figure>
    <figure><figcaption>Kernel: press a cell to change it</figcaption><canvas class="transposed-weights" role="img" aria-label="Kernel" tabindex="0"></canvas></figure>
    <figure class="transposed-wide-figure" hidden><figcaption>Input with zeros</figcaption><canvas class="transposed-wide" role="img" aria-label="Input with zeros"></canvas></figure>
  </div>
  <div class="transposed-results">
    <div class="transposed-grids">
      <figure><figcaption>Output</figcaption><canvas class="transposed-output" role="img" aria-label="Output"></canvas></figure>
      <figure class="transposed-known"><figcaption>How often each output is written</figcaption>
        <canvas class="transposed-writes" role="img" aria-label="How often each output is written"></canvas></figure>
      <figure class="transposed-known"><figcaption>The same for resize, then a 3 x 3 convolution</figcaption>
        <canvas class="transposed-even" role="img" aria-label="How often each output is written after resizing"></canvas></figure>
    </div>
    <div class="transposed-row transposed-question" role="group" aria-label="Will this layer draw a checkerboard?">
      <span>Will this layer draw a checkerboard?</span>
      <button type="button" class="transposed-guess" value="checkerboard">Yes, a checkerboard</button>
      <button type="button" class="transposed-guess" value="even">No, even outputs</button>
    </div>
    <p class="transposed-checker" role="status"></p>
  </div>
  <p>By keyboard: arrow keys move between cells of the input and the kernel, the space bar changes one.</p>
</section>
"""

transposed = course_figure("transposed", _HTML)
