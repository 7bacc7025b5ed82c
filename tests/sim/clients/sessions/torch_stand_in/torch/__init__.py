"""What s3torchconnector touches of torch, for machines without it: torch takes gigabytes, the connector's own client
none of it. Where torch is installed, that one is used."""

from types import SimpleNamespace

from torch import utils as utils

__version__ = "0+stand-in"
distributed = SimpleNamespace(is_initialized=lambda: False)
