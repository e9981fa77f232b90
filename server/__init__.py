"""Samsnakk: rooms around and with a patient. See docs/architecture.md for the floors."""
