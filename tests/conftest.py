"""Shapes in annotations are checked while the tests run."""

from jaxtyping import install_import_hook

install_import_hook(
    ["recurra.recurrence", "recurra.cells", "recurra.layers", "recurra.models", "recurra.decoding"],
    "beartype.beartype",
)
