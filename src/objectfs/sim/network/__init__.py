"""What the network is like, and what goes wrong on it: profiles and planned faults."""
