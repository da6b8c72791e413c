"""What single seeds tell: those that diverged, those that lie far off, what to beware of."""
