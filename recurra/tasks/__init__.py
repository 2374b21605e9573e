"""One folder (or file) for each application; this is the list of them."""

TASKS = {
    "classification": "recurra.tasks.classification.task",
    "dialogue": "recurra.tasks.dialogue.task",
    "forecasting": "recurra.tasks.forecasting.task",
    "language-model": "recurra.tasks.language_model.task",
    "problem": "recurra.tasks.problem.task",
    "program-execution": "recurra.tasks.program_execution.task",
    "tagging": "recurra.tasks.tagging.task",
    "translation": "recurra.tasks.translation.task",
}
"""The module of each task by its name on the command line; what it holds, :class:`recurra.tasks.task.Task` says."""
