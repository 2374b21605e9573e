"""The README of a run folder: what the model is, what it was made from, how good it is, and how to repeat it."""

from typing import Any

from recurra.files import write_text
from recurra.metrics.score import Score
from recurra.training.penalties.weights import zeros_described
from recurra.training.run_folder import RunFolder


def write_model_card(folder: RunFolder) -> None:
    """Write ``README.md`` from the folder's configuration and scores."""
    record, scores = folder.record, folder.scores()
    settings = "\n".join(f"| {name} | {value} |" for name, value in record["config"].items() if value not in (None, []))
    rows = "\n".join(f"| {path} | `{digest}` |" for path, digest in record["hashes"].items())
    drawn = "Drawn by the task itself."
    if record["config"].get("online"):
        drawn = f"A stream, read once as it came: {record['data']['train'][0]}."
    data = f"| file | sha256 |\n|---|---|\n{rows}" if rows else drawn
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    command = f"    {record['command']}\n" if record["command"] else "Made from Python with the settings below.\n"
    if "quantized" in record:
        source = record["quantized"]["from"]
        command += f"\nThe weights of its recurrent layers were then rounded to int8, from {source}.\n"
    sparsity = f"\n{zeros_described(scores['zeros']).capitalize()}.\n" if "zeros" in scores else ""
    write_text(
        folder.path / "README.md",
        f"""# {folder.path.name}: {record["task"]}

{scores["parameters"]:,} parameters, trained for {scores["seconds"]:.0f} s on {record["threads"]} threads.

{command}
## Scores

| model | part | score | value | measured on |
|---|---|---|---|---|
{_score_rows(scores)}
{sparsity}
## Data

{data}

## Settings

| setting | value |
|---|---|
{settings}

Recurra {record["version"]}, {versions}.
""",
    )


def _score_rows(scores: dict[str, Any]) -> str:
    rows = [("model", part, Score(**score)) for part, found in scores["scores"].items() for score in found]
    rows += [(name, "test", Score(**score)) for name, found in scores["baselines"].items() for score in found]
    return "\n".join(
        f"| {model} | {part} | {score.name} | {score.value:.4f} {score.unit} | {score.signature.replace('|', ', ')} |"
        for model, part, score in rows
    )
