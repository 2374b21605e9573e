"""``recurra demo``."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from recurra.commands.options import next_free
from recurra.commands.output import print_scores

SETTINGS: dict[str, Any] = {
    "cell": "lstm",
    "hidden_size": 128,
    "embedding_size": 64,
    "batch_size": 16,
    "steps": 64,
    "learning_rate": 1e-2,
    "validate_every": 400,
    "epochs": 1_000_000,
}
"""The best on the dev part of a few tried for a minute."""

PROMPTS = ("def ", "class ", '    """')


def demo(
    *,
    out: Annotated[Path, Parameter(help="Folder to make; where it exists, the next free of out-2, out-3, …")] = Path(
        "runs/demo"
    ),
    time_limit: Annotated[float, Parameter(help="Seconds of training.", validator=Number(gt=0))] = 60.0,
) -> None:
    """Learn to write Python from Python's own standard library: train, score beside baselines, sample, draw."""
    from recurra.data.standard_library import standard_library
    from recurra.tasks.run import fit

    text = standard_library()
    print(
        f"An LSTM reads {text.stat().st_size / 1e6:.1f} MB of Python's standard library for {time_limit:.0f} s.",
        flush=True,
    )
    run = fit("language-model", text, out=next_free(out), time_limit=time_limit, **SETTINGS)
    print_scores(run.final_scores(), json=False)
    for seed, prompt in enumerate(PROMPTS):
        print(f"\n{f' sample {seed + 1} ':-^80}")
        print(run.sample(prompt, length=200, temperature=0.7, seed=seed))
    print(f"\n{'':-^80}")
    for picture in run.present():
        print(picture)
    print(f"{run.path}: go on with recurra sample, recurra evaluate, or recurra inspect")
