import json
import math
from pathlib import Path

from gan.runs.jsonlines import JsonLines


def steps(rows: list[dict[str, object]]) -> list[object]:
    return [row["step"] for row in rows]


def test_rows_are_noted_written_and_read_from_where_the_last_reader_stopped(tmp_path: Path) -> None:
    log = JsonLines(tmp_path / "log.jsonl")
    assert log.since() == ([], 0) and log.thinned(5) == []
    log.note({"step": 1, "loss": math.nan, "name": "ü"})
    log.flush()
    assert (tmp_path / "log.jsonl").read_text() == '{"step": 1, "loss": null, "name": "\\u00fc"}\n'
    rows, offset = log.since()
    assert rows == [{"step": 1, "loss": None, "name": "ü"}]
    log.note({"step": 2})
    assert log.since(offset) == ([], offset), "noted, and not written yet"
    log.flush()
    log.flush()
    assert JsonLines(log.path).since(offset)[0] == [{"step": 2}]
    log.note({"step": 3})
    log.forget()
    log.flush()
    assert steps(log.since()[0]) == [1, 2]


def test_damaged_lines_are_left_out_and_an_unfinished_one_waits_for_its_end(tmp_path: Path) -> None:
    log = JsonLines(tmp_path / "log.jsonl")
    odd = ["", "nonsense", "[1]", "{}", '{"step": -1}', '{"step": true}', '{"step": 1.5}', '{"step": NaN}', "[" * 50_000]
    log.path.write_text("\n".join([*odd, '{"step": 7}', '{"step": 9}', '{"step": 12}']))
    rows, offset = log.since()
    assert steps(rows) == [7, 9] and steps(log.until(8)) == [7]
    with log.path.open("a") as file:
        file.write("\n")
    assert steps(log.since(offset)[0]) == [12]
    log.rewrite(log.until(9))
    assert [json.loads(line) for line in log.path.read_text().splitlines()] == [{"step": 7}, {"step": 9}]


def test_a_long_log_is_thinned_evenly_and_its_last_row_stays(tmp_path: Path) -> None:
    log = JsonLines(tmp_path / "log.jsonl")
    log.path.write_text("\n".join(json.dumps({"step": step}) for step in range(25)))  # the last line lacks its end
    assert steps(log.thinned(1000)) == list(range(25))
    assert steps(log.thinned(10)) == [0, 3, 6, 9, 12, 15, 18, 21, 24]
    assert steps(log.thinned(1)) == [24]


def test_what_is_no_file_has_no_rows(tmp_path: Path) -> None:
    log = JsonLines(tmp_path)
    assert log.since(3) == ([], 3) and log.thinned(5) == []
