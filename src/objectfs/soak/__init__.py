"""``objectfs soak``: work of all kinds for hours, with faults, and whether anything grows. docs/soak.md."""
