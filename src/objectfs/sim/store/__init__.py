"""Where buckets and objects are kept: in memory, or in a directory."""
