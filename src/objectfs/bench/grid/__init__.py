"""Is what the crt backend learns as good as the best setting that one could give it? ``scripts/bench-grid``.

For each network profile of the embedded server and each object size, downloads run over and over with a fixed number of
connections and part size, and once with nothing given. Each setting has fresh processes; what counts is the median rate
of the transfers that begin after the first three seconds (docs/design/0015-pace.md).
"""
