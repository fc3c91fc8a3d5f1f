"""Portfolio selection: the model, the estimators, and its solvers."""
