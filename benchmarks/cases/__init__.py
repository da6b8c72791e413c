"""One benchmark a file; each ends in BENCHMARK. `just bench` runs them."""
