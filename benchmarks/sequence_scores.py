"""Translators, answers in dialogues, and executors of programs, beside the figures published for them.

    python benchmarks/sequence_scores.py ROW [--runs FOLDER] [--seeds 0 1 2]

Trains what the row needs (resuming what an interrupted call left in FOLDER), and writes the row's results into
``benchmarks/results/sequence_scores.json``. Settings were chosen on the dev part; the test part is looked at once.
Sets come from the catalogue (``recurra data get NAME``), or from the folder ``$RECURRA_DATA``.
"""

from pathlib import Path
from typing import Any

from scores import Row, main

MULTI30K: dict[str, Any] = dict(
    source="en", target="de", unit="bpe", vocabulary_size=5_000, epochs=20, dropout=0.4, threads=1, tied=True
)
PLAIN: dict[str, Any] = dict(
    **MULTI30K, attention="none", bridge="last", cell="lstm", layers=2, hidden_size=400, embedding_size=300
)
DIALOGUE: dict[str, Any] = dict(hidden_size=128, best_by="accuracy", threads=1)
EXECUTOR: dict[str, Any] = dict(
    cell="layer-norm-lstm",
    start="orthogonal",
    layers=1,
    hidden_size=256,
    batch_size=50,
    threads=1,
    epochs=1_000,
)
BORDES = "answers right by memory networks {}, of conversations {} (Bordes, Boureau and Weston 2017, no match type)"
CAGLAYAN = "attentional GRU of LIUM-CVC 2017, tokenised, with BPE: about 38 (Caglayan et al.)"

ROWS = {
    "multi30k": Row(
        "translation",
        "multi30k",
        dict(**MULTI30K, attention="additive", hidden_size=400, embedding_size=300),
        "BLEU lowercased >= 35 within 90 minutes",
        CAGLAYAN,
        seeds=(0,),
    ),
    "multi30k-plain-reversed": Row(
        "translation", "multi30k", dict(**PLAIN, direction="reversed"), "stated", CAGLAYAN, seeds=(0,), baselines=False
    ),
    "multi30k-plain-forward": Row(
        "translation", "multi30k", dict(**PLAIN, direction="forward"), "stated", CAGLAYAN, seeds=(0,), baselines=False
    ),
    "dialog-babi-1": Row(
        "dialogue",
        "dialog-babi-1",
        dict(**DIALOGUE, epochs=15),
        "stated",
        BORDES.format("99.9 %", "99.6 %"),
        seeds=(0,),
    ),
    "dialog-babi-5": Row(
        "dialogue",
        "dialog-babi-5",
        dict(**DIALOGUE, epochs=10),
        "stated",
        BORDES.format("96.1 %", "49.4 %"),
        seeds=(0,),
    ),
    "dialog-babi-6": Row(
        "dialogue",
        "dialog-babi-6",
        dict(**DIALOGUE, epochs=10),
        "stated",
        BORDES.format("41.1 %", "0.0 %"),
        seeds=(0,),
    ),
    "camrest676": Row(
        "dialogue",
        "camrest676",
        dict(hidden_size=128, best_by="loss", dropout=0.3, threads=1, epochs=12),
        "stated",
        "none",
        seeds=(0,),
    ),
    "addition-9": Row(
        "program-execution",
        "",
        dict(
            **EXECUTOR,
            problem="addition",
            length=9,
            chrono=24,
            learning_rate=8e-3,
            time_limit=2_700,
            validate_every=500,
        ),
        "character accuracy >= 99 %, of nine digits within 4 hours, of the longest reached within one",
        "Zaremba and Sutskever 2014: 99 % of nine digits",
        seeds=(0,),
    ),
    "programs": Row(
        "program-execution",
        "",
        dict(
            **EXECUTOR,
            problem="programs",
            length=4,
            nesting=2,
            chrono=48,
            learning_rate=5e-3,
            time_limit=1_800,
            validate_every=1_000,
        ),
        "stated",
        "none that could be read to the digit",
        seeds=(0,),
    ),
}


if __name__ == "__main__":
    main(ROWS, Path(__file__).parent / "results" / "sequence_scores.json", __doc__)
