"""The features of the catalogue, one file per category. All are scale-free: a constant factor on a
symbol's adjusted prices changes nothing, so it does not matter from which day adjustment counts.
"""
