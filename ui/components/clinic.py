"""The figure of the lesson "What is wrong with it?": recorded runs to diagnose, and what the doctor says about each."""

import functools
from typing import Any

from gan.course.cases import CASES, LABELS, findings, what_you_see
from ui.components.course_figure import course_figure

_HTML = """
<section class="clinic" aria-label="What is wrong with it?">
  <p class="clinic-fault" role="alert"></p>
  <div class="clinic-cases" role="group" aria-label="Cases"></div>
  <div class="clinic-halves">
    <div>
      <canvas class="clinic-grid" role="img" aria-label="Generated images"></canvas>
      <div class="clinic-row">
        <label class="clinic-scrub"><span class="clinic-step">Step</span>
          <input type="range" class="clinic-slider" min="0" max="0" value="0" aria-label="Point in training"></label>
        <button type="button" class="clinic-play">Play</button>
      </div>
    </div>
    <div>
      <h4>D's answers: <i class="clinic-key clinic-key-real"></i>to real images <i class="clinic-key clinic-key-generated"></i>to generated ones</h4>
      <canvas class="clinic-answers" role="img" aria-label="D's answers over the steps"></canvas>
      <h4>FD, the distance to real images. Dashed line: the FD of real images</h4>
      <canvas class="clinic-distance" role="img" aria-label="The distance to real images over the steps"></canvas>
      <table class="clinic-scores" aria-label="Scores at this point"></table>
      <p>Typical answers are from one moment. Each point on the curves is a mean of several steps.</p>
    </div>
  </div>
  <fieldset><legend>What is wrong with this run?</legend><div class="clinic-options"></div></fieldset>
  <div class="clinic-result" role="status"></div>
  <div class="clinic-row"><p class="clinic-count" role="status"></p><button type="button" class="clinic-again" hidden>Start over</button></div>
</section>
"""


@functools.cache
def _data() -> dict[str, Any]:
    """The cases with the doctor's words, computed when the figure is first drawn."""
    cases = []
    for case in CASES.values():
        found = findings(case.id)
        said = None
        if found:
            evidence = [f"{part.text}: {part.shown} (rule: {part.limit})" for part in found[0].evidence]
            said = {"name": found[0].name, "since": found[0].began, "why": found[0].why, "evidence": evidence}
            said["also"] = [other.name for other in found[1:]]
        cases.append({"id": case.id, "trouble": case.trouble, "cause": case.cause, "see": what_you_see(case.id), "finding": said})
    return {"cases": cases, "options": [[trouble, label] for trouble, label in LABELS.items()]}


clinic = course_figure("clinic", _HTML, _data)
