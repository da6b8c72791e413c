"""What a study compares: axes and named arms as cells, declared contrasts, what they confound."""
