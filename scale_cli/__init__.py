"""The `scale` command: what the REST API can do, from a shell."""
