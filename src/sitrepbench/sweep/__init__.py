"""Sweeps: jobs, their ledger, and the executors that compute them."""
