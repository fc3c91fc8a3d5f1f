"""The quantum gateway: circuits in, counts and expectations out, whatever runs them."""
