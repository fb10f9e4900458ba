"""Label Studio's files: tasks with predictions out; its JSON, JSON-MIN and CSV exports in.

Formats: labelstud.io/guide/task_format and the exports of version 1.x. One task is one sentence.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.data.articles import Row

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
    """Return one task a sentence, with the model's prediction and the annotations that there are."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        data = {name: row.get(name, "") for name in DATA}
        task = found.setdefault((row["article_id"], row["start"], row["end"]), {"data": data})
        if row.get("guess"):
            prediction = {"model_version": "stance", "score": row["confidence"], "result": [_choice(row["guess"])]}
            task["predictions"] = [prediction]
        if row.get("label"):
            result = [_choice(row["label"])]
            if row.get("note"):
                result.append(_result("note", "textarea", {"text": [row["note"]]}))
            annotation = {"result": result, "was_cancelled": False, "annotator": row.get("annotator", "")}
            annotation |= {"created_at": row["time"]} if row.get("time") else {}
            task.setdefault("annotations", []).append(annotation)
    return list(found.values())


def _result(name: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"from_name": name, "to_name": "text", "type": kind, "value": value}


def _choice(label: str) -> dict[str, Any]:
    return _result("label", "choices", {"choices": [label]})


def read(task: dict[str, Any], where: str) -> list[Row]:
    """Return a row for each annotation of a task that was not cancelled, or one without a label."""
    data = task.get("data")
    if not isinstance(data, dict):  # JSON-MIN: the data and one answer side by side
        row = flat(Row(where, {"label": "", "annotation_id": ""} | task))
        return [row] if row else []
    annotations = task.get("annotations")
    kept = [a for a in annotations if isinstance(a, dict)] if isinstance(annotations, list) else []
    if not kept:
        return [Row(where, {"label": ""} | data)]
    return [
        Row(where, data | _answer(annotation) | {"annotator": _annotator(annotation), "time": _time(annotation)})
        for annotation in kept
        if not annotation.get("was_cancelled")
    ]


def _answer(annotation: dict[str, Any]) -> dict[str, str]:
    labels: list[str] = []
    notes: list[str] = []
    for item in annotation.get("result") or []:
        value = item.get("value") if isinstance(item, dict) else None
        if isinstance(value, dict):
            labels += map(str, value.get("choices") or [])
            text = value.get("text") if item.get("type") == "textarea" else []
            notes += [text] if isinstance(text, str) else map(str, text or [])
    return {"label": ", ".join(labels), "note": " ".join(notes)}


def _annotator(annotation: dict[str, Any]) -> str:
    # Ours first: an annotation that was exported here has a name and no account there.
    who = annotation.get("annotator") or annotation.get("completed_by") or ""
    return str(who.get("id") or who.get("email") or "") if isinstance(who, dict) else str(who)


def _time(fields: dict[str, Any]) -> str:
    return str(fields.get("created_at") or "")


def flat(row: Row) -> Row | None:
    """Read an export that stands in one line (CSV, JSON-MIN), None if it was cancelled; others stay as they are."""
    fields = row.fields
    if "annotation_id" not in fields:
        return row
    if str(fields.get("was_cancelled", "")).lower() == "true":
        return None
    named = {name: _plain(fields.get(name, "")) for name in ("label", "note")}
    return Row(row.where, fields | named | {"annotator": str(fields.get("annotator") or ""), "time": _time(fields)})


def _plain(value: Any) -> str:
    """Return a choice or a text that may stand as a list, as JSON, or as it is."""
    if isinstance(value, str) and value[:1] in "[{" and value:
        try:
            value = json.loads(value)
        except ValueError:
            return str(value)
    if isinstance(value, dict):
        value = value.get("choices") or value.get("text") or ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "")
