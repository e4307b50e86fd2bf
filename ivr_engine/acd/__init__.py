"""Bringing callers and agents together: offers, RONA, agent sign-in; carried out in transactions."""
