"""What workers are asked before trials run: the settings for `auto`, and what an arm costs."""
