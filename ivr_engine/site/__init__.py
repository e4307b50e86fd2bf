"""The admin's YAML and prompts, validated and frozen."""
