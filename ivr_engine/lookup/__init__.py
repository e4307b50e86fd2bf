"""Data dips: other people's systems asked over HTTP."""
