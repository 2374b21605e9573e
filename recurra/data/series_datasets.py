"""The public sets of time series to be forecast."""

from recurra.data.dataset import GITHUB, DataSet, files

_ETT = f"{GITHUB}/zhouhaoyi/ETDataset/1d16c8f4f943005d613b5bc962e9eeb06058cf07/ETT-small"
_LSTNET = f"{GITHUB}/laiguokun/multivariate-time-series-data/7f402f185cc2435b5e66aed13a3b560ed142e023"
_M4 = f"{GITHUB}/Mcompetitions/M4-methods/6c1067e5a57161249b17289a565178dc7a3fb3ca/Dataset"
_SKTIME = f"{GITHUB}/sktime/sktime/7bd7d1620c0656f3210eeb850bb1c0034159ee47/sktime/datasets/data"

SERIES = (
    DataSet(
        name="etth1",
        summary="oil temperature and six loads of a transformer, hourly from July 2016 to June 2018: 17,420 steps",
        task="forecasting",
        licence="CC BY-ND 4.0",
        files=files(
            _ETT,
            """
            data ETTh1.csv 2589657 f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066
            ett/ETTh1.csv.gz f1141f82f9d46968f05afa77ba16abfc4f790fe07583f9de06bb685b29a5411f
            """,
        ),
    ),
    DataSet(
        name="exchange-rate",
        summary="daily exchange rates of eight countries, 1990 to 2016: 7,588 steps",
        task="forecasting",
        licence="none stated: treat as research use",
        files=files(
            _LSTNET,
            """
            data exchange_rate/exchange_rate.txt.gz 177142
            6a4fbb561dcdee43f071a83badbeec9223a335552278348656738b556f1c2e9d exchange_rate/exchange_rate.txt.gz
            6a4fbb561dcdee43f071a83badbeec9223a335552278348656738b556f1c2e9d
            """,
        ),
    ),
    DataSet(
        name="m4-hourly",
        summary="the 414 hourly series of the M4 competition: 700 to 960 steps, and the next 48 of each",
        task="forecasting",
        licence="none stated: treat as research use",
        files=files(
            _M4,
            """
            train Train/Hourly-train.csv 2347115 ea59b7783573c49077a835ab6465c7d66f1474783360f310988a9a737fbca62f
            m4_hourly/Hourly-train.csv.gz ec441240485a611b7d26630f207b5afacc0a256ba7ef4c64ddc5216a4222b9d9
            test Test/Hourly-test.csv 132820 71a57fccb15e534d973626ada4fb87febf789e9317715b7cc6dd3b5f90db6f42
            m4_hourly/Hourly-test.csv.gz d1c30a575419529c8150deb1a3c97b568feaec3bae4ce2caf5e12ea1f888a9cb
            """,
        ),
    ),
    DataSet(
        name="airline",
        summary="passengers of an airline by month, 1949 to 1960 (Box and Jenkins): 144 steps",
        task="forecasting",
        licence="its source repository states BSD-3-Clause; a classic public example",
        files=files(
            _SKTIME,
            """
            data Airline/Airline.csv 1744 28af0eb869db6d9fbd31d5af03993a0cbf36c0857c3eb046a068c094b60da851
            univariate_classics/Airline.csv 28af0eb869db6d9fbd31d5af03993a0cbf36c0857c3eb046a068c094b60da851
            """,
        ),
    ),
)
