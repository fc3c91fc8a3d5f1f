"""Real market data to try things with, and the story that `ketgate demo` tells. PROVENANCE.md says
whence the data.
"""

from ketgate.demo.market import Nikkei, nikkei, sp500_prices

__all__ = ["Nikkei", "nikkei", "sp500_prices"]
