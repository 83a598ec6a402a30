"""What the chaos scripts are made of. It shares no code with the product; Python's standard library only."""
