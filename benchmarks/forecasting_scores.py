"""Forecasters on public sets, beside the figures published for them.

    python benchmarks/forecasting_scores.py ROW [--runs FOLDER] [--seeds 0 1 2]

Trains what the row needs (resuming what an interrupted call left in FOLDER), and writes the row's results into
``benchmarks/results/forecasting_scores.json``. Settings were chosen on the dev part; the test part is looked at once.
Sets come from the catalogue (``recurra data get NAME``), or from the folder ``$RECURRA_DATA``.
"""

from pathlib import Path
from typing import Any

from scores import Row, main

DIRECT: dict[str, Any] = dict(threads=1, model="direct", distribution="quantiles", cell="gru", early_stopping=5)
ETT: dict[str, Any] = dict(
    **DIRECT,
    context=336,
    patch=24,
    residual="last",
    scaling="series",
    calendar=False,
    hidden_size=128,
    batch_size=256,
    epochs=6,
    learning_rate=1e-3,
    weight_decay=0.01,
    dropout=0.2,
)
INFORMER = "multivariate, standardised MSE (Zhou et al. 2021): LSTMa {}; repeating yesterday {}, a linear model {}"

ROWS = {
    "etth1-24": Row(
        "forecasting",
        "etth1",
        dict(**ETT, horizon=24),
        "MSE <= 0.33, coverage of the 80 % interval within 75 and 85 %",
        INFORMER.format("0.650", "0.424", "0.311"),
    ),
    "etth1-48": Row(
        "forecasting",
        "etth1",
        dict(**ETT, horizon=48),
        "MSE <= 0.36, coverage of the 80 % interval within 75 and 85 %",
        INFORMER.format("0.702", "0.465", "0.344"),
    ),
    "etth1-96": Row(
        "forecasting",
        "etth1",
        dict(**ETT, horizon=96),
        "MSE <= 0.40, coverage of the 80 % interval within 75 and 85 %",
        INFORMER.format("not given", "0.512", "0.375"),
    ),
    "m4-hourly": Row(
        "forecasting",
        "m4-hourly",
        dict(**DIRECT, context=168, patch=24, residual="seasonal", hidden_size=128, batch_size=64, epochs=20),
        "OWA <= 0.55, coverage of the 80 % interval within 75 and 85 %",
        "seasonal naive 0.627, ES-RNN 0.440 (Makridakis et al. 2020: sMAPE 9.328, MASE 0.893)",
    ),
    "exchange-rate": Row(
        "forecasting",
        "exchange-rate",
        dict(**DIRECT, horizon=24, context=96, hidden_size=32, batch_size=64, epochs=5, dropout=0.2),
        "stated beside the last value repeated; coverage of the 80 % interval within 75 and 85 %",
        "",
    ),
}


if __name__ == "__main__":
    main(ROWS, Path(__file__).parent / "results" / "forecasting_scores.json", __doc__)
