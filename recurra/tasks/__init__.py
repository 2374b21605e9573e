"""One folder (or file) for each application; this is the list of them."""

TASKS = {
    "classification": "recurra.tasks.classification.task",
    "language-model": "recurra.tasks.language_model.task",
    "tagging": "recurra.tasks.tagging.task",
}
"""The module of each task by its name on the command line; what it holds, :class:`recurra.tasks.run.Task` says."""
