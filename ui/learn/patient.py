"""The figure of the lesson "What is wrong with it?" and, below it, the patient: a run that goes wrong, for the visitor to cure."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from gan.course.clinic import CLINIC, PATIENT, diagnoses, is_cured, patient, patients
from gan.course.own_runs import OwnRun, own_run, own_runs
from gan.files import in_words
from gan.networks.generator_file import CheckpointError
from gan.runs.states import AT_WORK
from ui.components.clinic import clinic
from ui.components.visitor import visitor
from ui.form_words import refusal
from ui.health import SIGNS
from ui.learn.run_line import begin, run_line
from ui.page_files import TRAIN
from ui.text import plain
from ui.workshop import checkups, course_progress, manager

FAULT, SAVED = "patient_fault", "clinic_saved"  # in the session
REFRESH_S = 3.0  # while the patient is active


def cases_and_patient(page: str) -> Mapping[str, Any]:
    """Draws the recorded cases and the patient; returns what the figure reports. page: the page's url_path."""
    saved = course_progress().answers(visitor().id, CLINIC.id)
    report = clinic(page, answers=diagnoses({"answers": saved}))
    _keep(report)
    found = list(patients(own_runs(manager().runs(), visitor().id, checkups())))
    # A fork that was made to cure it is the newest.
    shown = next((run for run in found if run.state in AT_WORK), found[0] if found else None)
    with st.container(border=True, key="patient"):
        st.markdown(
            "**The patient.** This run trains on the server in your name, and something is wrong with it. Open it on Train: at the top, "
            "the doctor says what it finds. Press its remedy while the run trains. If it ends before that has helped, train it longer."
        )
        if fault := st.session_state.pop(FAULT, ""):
            st.error(plain(fault), icon=":material/error:")
        if shown is None or shown.state not in AT_WORK:
            label = "Start the patient" if shown is None else "Start another patient"
            kind = "primary" if shown is None else "secondary"
            st.button(label, type=kind, icon=":material/healing:", disabled=not visitor().known, on_click=start, key="patient_start")  # type: ignore[arg-type]
        if shown is not None:
            st.fragment(_patient, run_every=REFRESH_S if shown.state in AT_WORK else None)(shown.id, _seen(shown))
    return report


def _keep(report: Mapping[str, Any]) -> None:
    """Saves new diagnoses, so they survive a reload."""
    given = diagnoses(report)
    if given is None or not visitor().id or st.session_state.get(SAVED) == given:  # otherwise, an older tab would undo those of a newer one
        return
    try:
        course_progress().replace_answers(visitor().id, CLINIC.id, given)
        st.session_state[SAVED] = given
    except OSError as error:
        st.error(f"Your diagnoses cannot be saved: {plain(in_words(error))}.", icon=":material/error:")


def start() -> None:
    """Starts a patient in the visitor's name."""
    try:
        begin(patient(), PATIENT, visitor())
    except (ValueError, OSError) as error:
        st.session_state[FAULT] = refusal(error)


def _seen(run: OwnRun) -> tuple[bool, bool, bool]:
    """What the mission depends on."""
    return run.state in AT_WORK, bool(run.checked.findings or run.checked.treatment), is_cured(run)


def _patient(run_id: str, before: tuple[bool, bool, bool]) -> None:
    """The patient now. before: what the page showed last. If that has changed, the page reruns and checks the mission."""
    try:
        run = manager().get(run_id)
        known = own_run(run, checkups())
    except KeyError:
        st.rerun()  # deleted meanwhile
    except CheckpointError:
        st.error("The patient's run cannot be read.", icon=":material/error:")
        return
    if (now := _seen(known)) != before:
        st.rerun()
    steps = run.sample_steps
    picture, words = st.columns([1, 3], vertical_alignment="center") if steps else (None, st.container())
    checkup = checkups().of(run)
    words.markdown(f"**{PATIENT}**: {run_line(run)}")
    if run.status().step:
        icon, color = SIGNS[checkup.verdict.outlook]
        words.markdown(f":{color}[{icon} {plain(checkup.verdict.text)}]")
    if checkup.treatment:
        words.markdown(plain(checkup.treatment.text))
    if now[2]:
        words.success("You cured it.", icon=":material/check_circle:")
    words.page_link(TRAIN, label="Open the patient", icon=":material/model_training:", query_params={"run": run.id})
    if picture:
        try:
            picture.image(run.folder.read_samples(steps[-1]), alt="The patient's newest images", output_format="PNG", width="stretch")
        except CheckpointError:
            picture.caption("Its newest images cannot be read.")
