"""MLflow, the view that people look at; the results store stays the truth.

The only package that imports mlflow, and only inside functions, so that importing it is cheap.
"""
