"""Compiled kernels: what an operator computes, over many symbols laid end to end.

Every kernel takes its series as flat float64 arrays of shape (n,) in which symbol s fills the rows
edges[s] to edges[s + 1], oldest first; ages[s] is the index of its first row in the symbol's own
history (0 unless only a tail is at hand). Results go into `out`, shape (n,).

**What a value depends on.** A windowed value depends, bit for bit, on the terms of its window and on
the bar's index in the symbol's history, on nothing else. Windows of w terms are put together from
blocks of w bars that begin at multiples of w of that index (van Herk 1992; Gil and Werman 1993): every
window ends in one block and reaches back into the one before, so it is the sum over the tail of the
one and over the head of the other, both built term by term. That costs the same for every w, and no
running sum carries rounding along.

The first bar of a block is in every window that ends in the block. Sums of powers are taken about its
value: what stands still is then exactly zero, and since no term of a window lies further than
sqrt(w - 1) standard deviations from its mean, squares lose at most a factor w of precision.

NaN goes through the arithmetic: it empties the windows that hold it, and no other.

A file here holds all that its compiled functions call, constants too: Numba's cache on disk looks at
one file alone when it asks whether the source has changed.
"""
