"""Networks whose replicas run side by side."""
