"""The part of http-parser 0.9.0 that pymesos uses."""
