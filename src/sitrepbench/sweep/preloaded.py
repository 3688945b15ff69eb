"""What the process that workers are forked from imports once, for every worker to have it."""

import gc
import importlib

from sitrepbench.environment import describe_environment

for _name in (
    "sitrepbench.sweep.worker",
    "sitrepbench.features",
    "pyarrow.pandas_compat",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "sklearn.naive_bayes",
    "sklearn.svm",
):
    importlib.import_module(_name)
# What of it stays the same, such as the commit, is then known to every worker.
describe_environment()

# No worker looks through all this for garbage again, which would also copy the memory it shares.
gc.freeze()
