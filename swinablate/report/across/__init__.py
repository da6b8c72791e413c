"""Several studies side by side, each with its own verdicts; nothing is pooled over them."""
