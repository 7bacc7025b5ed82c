"""Every verb, every fault of the embedded server, both backends: docs/design/0017-faults.md has the table."""
