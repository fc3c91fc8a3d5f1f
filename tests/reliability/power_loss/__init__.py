"""Every write to a data folder is recorded, then cut: what was acknowledged before the cut must be there."""
