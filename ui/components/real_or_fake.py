"""The figure of the lesson "Real or fake?": three rounds of images to judge, and the discriminator's answers."""

from gan.course.real_or_fake import ROUNDS
from ui.components.course_figure import course_figure

_HTML = """
<section class="quiz" aria-label="Real or fake?">
  <p class="quiz-fault" role="alert"></p>
  <div class="quiz-row quiz-rounds" role="group" aria-label="Rounds"></div>
  <p class="quiz-lead" role="status">Loading the images…</p>
  <div class="quiz-images"></div>
  <p class="quiz-legend" hidden>Blue frame: real. Dashed orange frame: fake. The number is D's answer: above 0.5, D says real.</p>
  <div class="quiz-row">
    <button type="button" class="quiz-check" disabled>Check</button>
    <button type="button" class="quiz-next" hidden>Next round</button>
    <button type="button" class="quiz-again">New images</button>
  </div>
  <p class="quiz-score" role="status"></p>
  <table class="quiz-table" hidden>
    <caption>Right answers</caption>
    <thead><tr><th scope="col">Round</th><th scope="col">You</th><th scope="col">D</th><th scope="col">A coin, on average</th></tr></thead>
    <tbody></tbody>
  </table>
  <p>By keyboard: arrow keys move between images, R says real, F says fake.</p>
</section>
"""

real_or_fake = course_figure("real_or_fake", _HTML, rounds=ROUNDS)
