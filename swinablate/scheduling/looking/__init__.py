"""What a home holds, read for people: studies, a trial, an arm, logs. Reads files only."""
