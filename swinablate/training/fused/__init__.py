"""Several trials of one arm as one graph. Imports training."""
