"""Timing Tenon and other engines on the same models and inputs, in turn. Used by bench/models.py and bench/scaling.py."""
