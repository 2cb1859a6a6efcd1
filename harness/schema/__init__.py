"""What a researcher writes: typed claims and settings, read from YAML with errors that name the line."""
