"""`make bench`: Unjam beside bare servers in one run, as ratios, because a machine's figures alone say little."""
