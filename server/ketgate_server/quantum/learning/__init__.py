"""Machine learning with quantum circuits, beside the best classical models on the same data."""
