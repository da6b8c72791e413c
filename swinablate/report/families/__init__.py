"""What a report tells besides the arms: each a family of comparisons of its own."""
