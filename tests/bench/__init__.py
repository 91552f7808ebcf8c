"""Measurements, printed as tables: `make bench` for the rooms, `make night` for each step of a whole night."""
