"""Label Studio's files: tasks out; its JSON, JSON-MIN and CSV exports in.

Formats: labelstud.io/guide/task_format and the exports of version 1.x. One task is one sentence.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pipeline.data.formats.rows import Reject, Row

# What a task carries along, so that an answer finds its sentence again.
DATA = ("article_id", "start", "end", "previous", "text", "sampling", "codebook", "title", "date", "outlet")


def interface(label_names: Sequence[str]) -> str:
    """Return the labelling interface to paste into a project's settings."""
    choices = "\n".join(
        f'    <Choice value="{html.escape(name)}" hotkey="{number}"/>' for number, name in enumerate(label_names, 1)
    )
    return f"""<View>
  <Text name="previous" value="$previous"/>
  <Header value="Which position does this sentence convey?"/>
  <Text name="text" value="$text"/>
  <Choices name="label" toName="text" choice="single" required="true">
{choices}
  </Choices>
  <TextArea name="note" toName="text" placeholder="note" maxSubmissions="1"/>
</View>
"""


def tasks(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one task a sentence, with the annotations that there are.

    What the model thinks stays out: Label Studio shows a prediction before the annotator has answered.
    """
    made: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        data = {name: row.get(name, "") for name in DATA}
        task = made.setdefault((row["article_id"], row["start"], row["end"]), {"data": data})
        if row.get("label"):
            result = [_result("label", "choices", {"choices": [row["label"]]})]
            if row.get("note"):
                result.append(_result("note", "textarea", {"text": [row["note"]]}))
            annotation = {"result": result, "was_cancelled": False, "annotator": row.get("annotator", "")}
            annotation |= {"created_at": row["time"]} if row.get("time") else {}
            task.setdefault("annotations", []).append(annotation)
    return list(made.values())


def _result(name: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"from_name": name, "to_name": "text", "type": kind, "value": value}


def read(task: dict[str, Any], where: str) -> list[Row | Reject]:
    """Return a row for each annotation of a task that was not cancelled, or one without a label.

    An answer that stands where nobody would read it is a reject.
    """
    data, annotations = task.get("data"), task.get("annotations") or []
    if not isinstance(data, dict):  # JSON-MIN: the data and one answer side by side
        return list(flat(Row(where, {"annotation_id": ""} | task)))
    if task.get("completions"):
        return [Reject(where, "answers are under `completions`, as before Label Studio 1.0; export with a later one")]
    if not isinstance(annotations, list) or not all(isinstance(annotation, dict) for annotation in annotations):
        return [Reject(where, "`annotations` holds ids alone; expected whole annotations; export as JSON")]
    if not annotations:
        return [Row(where, {"label": ""} | data)]
    return [_answer(annotation, data, where) for annotation in annotations if not annotation.get("was_cancelled")]


def _answer(annotation: dict[str, Any], data: dict[str, Any], where: str) -> Row | Reject:
    given = annotation.get("result") or []
    if not isinstance(given, list):
        return Reject(where, f"`result` is {str(given)[:40]!r}; expected a list of answers; export as JSON")
    labels: list[str] = []
    notes: list[str] = []
    others = 0
    for item in given:
        value = item.get("value") if isinstance(item, dict) else None
        if not isinstance(value, dict):
            continue
        if item.get("type") == "textarea":
            notes += _listed(value.get("text"))
        elif item.get("from_name") == "label" and value.get("choices"):
            labels += _listed(value["choices"])
        else:
            others += 1
    if others and not labels:
        return Reject(where, "an annotation without a choice named `label`; use the interface that the batch came with")
    answer = {"label": ", ".join(labels), "note": " ".join(notes)}
    return Row(where, data | answer | {"annotator": _annotator(annotation), "time": _time(annotation)})


def _listed(value: Any) -> list[str]:
    return list(map(str, value if isinstance(value, list) else [value] if value else []))


def _annotator(annotation: dict[str, Any]) -> str:
    # Ours first: an annotation that was exported here has a name and no account there.
    who = annotation.get("annotator") or annotation.get("completed_by") or ""
    return str(who.get("id") or who.get("email") or "") if isinstance(who, dict) else str(who)


def _time(fields: dict[str, Any]) -> str:
    return str(fields.get("created_at") or "")


def flat(row: Row) -> Iterator[Row]:
    """Yield an export's row that stands in one line (CSV, JSON-MIN), unless it was cancelled; others as they are."""
    fields = row.fields
    if "annotation_id" not in fields:
        yield row
    elif str(fields.get("was_cancelled", "")).lower() != "true":
        named = {name: _plain(fields[name]) for name in ("label", "note") if name in fields}
        answer = named | {"annotator": str(fields.get("annotator") or ""), "time": _time(fields)}
        yield Row(row.where, fields | answer)


def _plain(value: Any) -> str:
    """Return a choice or a text that may stand as a list, as JSON, or as it is."""
    if isinstance(value, str) and value[:1] in "[{" and value:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return str(value)
    if isinstance(value, dict):
        value = value.get("choices") or value.get("text") or ""
    return ", ".join(_listed(value))
