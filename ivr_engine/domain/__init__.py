"""Decisions, as pure functions and frozen values: no await, no clock, no I/O."""
