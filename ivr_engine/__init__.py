"""A voice and SMS contact centre engine on Asterisk."""
