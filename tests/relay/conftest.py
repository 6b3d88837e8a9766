"""Nodes, workers and clients for the relay's tests."""

from tests.nodes import clients, job, node, shared_node, shared_settings, worker

__all__ = ["clients", "job", "node", "shared_node", "shared_settings", "worker"]
