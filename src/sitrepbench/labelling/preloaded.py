"""What the process that workers are forked from imports once, for every worker to have it."""

import gc
import importlib

for _name in (
    "sitrepbench.labelling.counting",
    "sitrepbench.labelling.workers",
    "sitrepbench.trained",
    "sklearn.feature_extraction.text",
    "sklearn.linear_model",
    "sklearn.naive_bayes",
    "sklearn.svm",
):
    importlib.import_module(_name)

# No worker looks through all this for garbage again, which would also copy the memory it shares.
gc.freeze()
