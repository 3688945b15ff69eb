"""Entries of any making, compared and ranked on the same documents."""
