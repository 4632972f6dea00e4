"""Other queues, as their own documentation configures them; black boxes.

Each module holds a task that does nothing and a way to enqueue it, and runs in an environment of
its own, which has only what the text file beside it names.  So these modules import that queue, the
standard library and `peers.counting`.  `peers.catalogue` says how their workers are started.
"""

from __future__ import annotations
