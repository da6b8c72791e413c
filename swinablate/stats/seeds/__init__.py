"""What seeds tell beside their mean: how they scatter, which diverged or lie far off."""
