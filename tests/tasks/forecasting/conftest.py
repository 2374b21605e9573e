"""Small problems of forecasting, and a run."""

import pytest

import recurra
from recurra.tasks.forecasting.config import Config
from recurra.tasks.forecasting.reading import read_series
from recurra.tasks.sources import Sources
from tests.tasks.forecasting.files import sales

COLUMNS = {"time": "date", "target": "units", "group": "shop", "horizon": 7}
TINY = {**COLUMNS, "hidden_size": 8, "batch_size": 16, "epochs": 2, "threads": 1, "windows": 64, "paths": 20}


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECURRA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def read(tmp_path):
    """The data of a frame under some options."""

    def of(frame, **options):
        path = tmp_path / "sales.csv"
        frame.to_csv(path, index=False)
        return read_series(Sources.named([path], None, None), Config(**{**COLUMNS, **options}))

    return of


@pytest.fixture(scope="session")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("sales") / "sales.csv"
    sales().to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory, file):
    """An autoregressive run without baselines; tests leave it as it is."""
    return recurra.fit("forecasting", file, out=tmp_path_factory.mktemp("runs") / "drawn", baselines=False, **TINY)


@pytest.fixture(scope="session")
def direct(tmp_path_factory, file):
    """A direct run."""
    options = {**TINY, "model": "direct", "distribution": "quantiles"}
    return recurra.fit("forecasting", file, out=tmp_path_factory.mktemp("runs") / "direct", baselines=False, **options)
