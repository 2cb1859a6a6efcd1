"""Templates and styles of the HTML report, a package so that an installation carries them along."""
