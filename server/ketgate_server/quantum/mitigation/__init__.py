"""Error mitigation: what noise did to results, estimated and taken out."""
