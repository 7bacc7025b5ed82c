"""What spans many requests of one object: reading and writing it as a file.

No request is ever split here; that is the backends' business. ``reading`` and ``writing`` are the state of an open
object as steps (see ``objectfs.backends.base``), which the blocking files (``reader``, ``writer``) run and the async
ones (``aio``) await. docs/design/0009-open.md says why it is as it is.
"""
