"""The catalogues: what is said in each language, and what keeps them in step with the texts."""
