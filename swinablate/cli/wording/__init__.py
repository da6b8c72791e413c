"""What a plan says in words: its arms, what it promises, what it costs."""
