"""The ports in memory, synthetic people, and virtual time.

The same call flow that talks to a real Asterisk runs here over a telephone system that is a few hundred
lines of Python, on a clock that jumps: a waiting hour takes milliseconds, and the same seed gives the
same result. Tests and ``simulate`` are built on it.
"""
