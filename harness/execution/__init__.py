"""The executor: what runs next, in which slot of which backend, how it goes on after a stop."""
