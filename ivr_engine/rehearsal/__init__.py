"""The product without its outside world: the engine's own call flow, queues and messages on the simulated
telephone system, in virtual time. Caller scripts are played here, and whole days simulated.

What ``bootstrap`` is for a real engine, ``engine`` is for one in virtual time.
"""
