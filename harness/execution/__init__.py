"""The executor: what runs next, on which device, how it goes on after a stop."""
