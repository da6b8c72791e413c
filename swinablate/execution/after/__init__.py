"""What is done with a study or a trial after it was run: train one again, remove a study."""
