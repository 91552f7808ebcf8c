"""The features of the equity domain: declared in `catalogue`, computed by `compute`."""
