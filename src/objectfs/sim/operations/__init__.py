"""The handlers of S3's operations."""
