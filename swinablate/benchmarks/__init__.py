"""One benchmark a file; each ends in BENCHMARK. `swinablate bench` runs them."""
