"""Keys as they are stored: names, versions, states, policies and changes that wait."""
