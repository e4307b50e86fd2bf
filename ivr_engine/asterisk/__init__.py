"""Asterisk over ARI; its types never leave this folder."""
