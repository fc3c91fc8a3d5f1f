"""The version of this distribution; without the look-up of importlib.metadata, which costs start-up
time.
"""

VERSION = "0.1.0"
