"""Devices simulated with the noise of their calibration."""
