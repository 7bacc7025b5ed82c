"""Every operation of botocore's model of S3, on both backends."""
