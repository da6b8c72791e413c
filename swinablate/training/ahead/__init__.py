"""Steps that are taken before a study trains: what is fast, refused, what it costs."""
