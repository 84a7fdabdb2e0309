"""Results of a fit in the formats of other programs."""
