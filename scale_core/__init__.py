"""What Scale decides and remembers: domain rules, JSON documents, tables, use cases. No web, no cluster."""

VERSION = "3.0.0"
