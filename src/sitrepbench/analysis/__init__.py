"""What a run gets wrong: pure functions over a predictions table and the dataset it is about."""
