"""Text messages: what is sent, what comes in, and what became of each."""
