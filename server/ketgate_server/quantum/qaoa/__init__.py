"""QAOA simulated the fast ways: state vector, closed form, light cones, fixed numbers of ones."""
