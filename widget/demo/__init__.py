"""The demo: a shop with a payment provider of its own, so that the whole job can be tried on one machine."""
