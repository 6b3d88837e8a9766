"""The message queue: the worker's side writes, the relay's side listens."""
