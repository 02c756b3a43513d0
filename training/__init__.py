"""Recipes that end in a model, its manifest and its card."""
