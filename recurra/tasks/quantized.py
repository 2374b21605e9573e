"""A finished run with its recurrent weights rounded to int8: a run folder of its own, scored anew."""

import shutil
from pathlib import Path

from recurra.errors import BadInput
from recurra.nn import quantize
from recurra.tasks.run import Run, load, show
from recurra.training.machine import own_threads
from recurra.training.run_folder import RunFolder

MADE_ANEW = {"config.json", "model.safetensors", "scores.json", "README.md", "checkpoints"}
"""Of a run folder; all else is copied, with the runs of baselines inside it."""


def quantize_run(path: Path, out: Path) -> Run:
    """Write the run of ``path`` into the folder ``out`` with weights as :func:`recurra.quantize` leaves them.

    Its scores are measured anew on the run's own data.

    Raises:
        BadInput: ``path`` holds no finished run, its weights are int8 already, or it has none to be; its data have
            changed; ``out`` exists or cannot be made.
    """
    run = load(path)
    before = run.scores
    if run.quantized:
        raise BadInput(f"{path}: its weights are int8 already")
    if out.exists():
        raise BadInput(f"{out}: exists already; choose another --out")
    done = quantize(run.model.cpu())
    if not done.weights:
        raise BadInput(f"{path}: nothing to quantize: {next(iter(done.left.values()), 'it has no recurrent layer')}")
    with own_threads(run.config):
        scores = {part: run.task.evaluate(run.model, run.data, part) for part in ("dev", "test")}
    try:
        shutil.copytree(path, out, ignore=lambda folder, _: MADE_ANEW if Path(folder) == path else ())
    except OSError as error:
        raise BadInput(f"{out}: cannot make this folder ({error.strerror}); choose another --out") from error
    folder = RunFolder(out, {**run.folder.record, "quantized": {"from": str(path), "weights": done.weights}})
    folder.save_weights(run.model.state_dict())
    measured = {part: [score.to_json() for score in found] for part, found in scores.items()}
    folder.write_json("scores.json", {**before, "scores": measured})
    folder.write_json("config.json", folder.record)  # last: what was interrupted is no run folder
    return show(Run(folder))
