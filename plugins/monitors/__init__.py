"""Monitors: who watches the bus."""
