"""What is done with a home beside running studies: shown, trained again, removed, compared."""
