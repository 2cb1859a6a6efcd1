"""Jobs, their plan, the store of their results and where these came from."""
