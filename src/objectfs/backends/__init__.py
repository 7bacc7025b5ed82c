"""The backends: ``crt`` (aws-c-s3) and ``sdk`` (botocore), behind the contract in ``base.py``."""
