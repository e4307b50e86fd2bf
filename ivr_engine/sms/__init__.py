"""One file per SMS provider, and a simulator that is a provider of its own."""
