"""What a study's runs must come to, committed beside it, and how another computation compares."""
