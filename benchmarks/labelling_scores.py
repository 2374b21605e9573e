"""Taggers and classifiers on public sets, beside the figures published for them.

    python benchmarks/labelling_scores.py ROW [--runs FOLDER] [--seeds 0 1 2]

Trains what the row needs (resuming what an interrupted call left in FOLDER), and writes the row's results into
``benchmarks/results/labelling_scores.json``. Settings were chosen on the dev part; the test part is looked at once.
Sets come from the catalogue (``recurra data get NAME``), or from the folder ``$RECURRA_DATA``.
"""

from pathlib import Path
from typing import Any

from scores import Row, main

TAGGER: dict[str, Any] = dict(threads=1)  # and what `recurra fit tagging` takes where nothing is said
TEXT: dict[str, Any] = dict(threads=1, unit="pretokenised", cell="gru", dropout=0.5, learning_rate=2e-3)
SERIES: dict[str, Any] = dict(threads=1, cell="gru", hidden_size=64, best_by="loss")
IMAGES: dict[str, Any] = dict(
    threads=1, cell="gru", hidden_size=128, batch_size=64, direction="forward", pooling="mean", normalise=False
)
BAI = "Bai, Kolter and Koltun 2018, GRU of 70 thousand parameters"

ROWS = {
    "ewt-upos": Row(
        "tagging",
        "ud-english-ewt",
        dict(**TAGGER),
        ">= 94.5 % on test, from random embeddings",
        "BLSTM taggers without contextual embeddings: about 95 to 96.5 % (versions of the set differ)",
    ),
    "conll2000": Row(
        "tagging",
        "conll2000",
        dict(**TAGGER),
        "chunk F1 >= 93.0, words alone",
        "Huang, Xu and Yu 2015, BI-LSTM-CRF: 94.13 from random embeddings, with parts of speech among its features",
    ),
    "conll2000-pos": Row(
        "tagging",
        "conll2000",
        dict(**TAGGER, inputs="2"),
        "chunk F1 >= 93.0, the given part-of-speech column read too",
        "Huang, Xu and Yu 2015, BI-LSTM-CRF: 94.13; Kudoh and Matsumoto 2000: 93.48",
    ),
    "wnut17": Row(
        "tagging",
        "wnut17",
        dict(**TAGGER),
        "stated",
        "shared task 2017, with pretrained embeddings: 41.86 (Aguilar et al.)",
    ),
    "trec": Row(
        "classification",
        "trec",
        dict(
            **(TEXT | dict(dropout=0.0)),
            hidden_size=150,
            embedding_size=300,
            epochs=4,
            pooling="max",
            batch_size=16,
            best_by="loss",
        ),
        ">= 89.5 %",
        "with pretrained embeddings: LSTM 93.2, BLSTM 93.0 (Zhou et al. 2015); from random ones: CNN 91.2 (Kim 2014)",
        dev="train",
    ),
    "sst-2": Row(
        "classification",
        "sst-2",
        dict(
            **TEXT,
            hidden_size=64,
            embedding_size=100,
            epochs=3,
            pooling="max",
            word_dropout=0.1,
            min_count=2,
            batch_size=32,
        ),
        ">= 78 %, trained on sentences alone",
        "sentences alone, random embeddings: CNN 82.7 (Kim 2014)",
    ),
    "japanese-vowels": Row(
        "classification",
        "japanese-vowels",
        dict(**SERIES, pooling="mean", dropout=0.2, epochs=60, batch_size=16, learning_rate=5e-3, validate_every=60),
        ">= 97 %",
        "1-NN DTW 95.9 (Bagnall et al. 2018); HMM 96.2, their own 94.1 (Kudo et al. 1999)",
        dev="train",
    ),
    "gun-point": Row(
        "classification",
        "gun-point",
        dict(**SERIES, pooling="mean", epochs=300, batch_size=8, learning_rate=5e-3, validate_every=100),
        ">= 90.7 %, that of 1-NN DTW",
        "1-NN DTW 90.7, 1-NN Euclidean 91.3 (UCR archive)",
        dev="train",
    ),
    "italy-power-demand": Row(
        "classification",
        "italy-power-demand",
        dict(**SERIES, pooling="last", epochs=100, batch_size=16, learning_rate=5e-3, validate_every=50),
        ">= 95.0 %, that of 1-NN DTW",
        "1-NN DTW 95.0, 1-NN Euclidean 95.5 (UCR archive)",
        dev="train",
    ),
    "basic-motions": Row(
        "classification",
        "basic-motions",
        dict(**SERIES, pooling="mean", epochs=100, batch_size=8, learning_rate=3e-3, validate_every=50),
        ">= 95 %, one of 40 cases from 97.5 %",
        "1-NN DTW 97.5 (dependent) and 100 (independent) (Bagnall et al. 2018)",
        dev="train",
    ),
    "mnist-rows": Row(
        "classification",
        "mnist",
        dict(**(IMAGES | dict(direction="both")), images="rows", epochs=10, learning_rate=3e-3),
        ">= 98.5 %",
        "",
    ),
    "mnist-pixels": Row(
        "classification",
        "mnist",
        dict(**IMAGES, images="pixels", epochs=18, learning_rate=2e-3, precision="bfloat16"),
        ">= 96.0 % within an hour",
        f"{BAI}: 96.2",
        seeds=(0,),
        baselines=False,
    ),
    "mnist-permuted": Row(
        "classification",
        "mnist",
        dict(**IMAGES, images="permuted", epochs=36, learning_rate=3e-3, precision="bfloat16"),
        ">= 87.0 % within an hour",
        f"{BAI}: 87.3",
        seeds=(0,),
        baselines=False,
    ),
}


if __name__ == "__main__":
    main(ROWS, Path(__file__).parent / "results" / "labelling_scores.json", __doc__)
