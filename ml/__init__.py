"""Everything that computes, and one room (`io`) for everything that touches the outside."""
