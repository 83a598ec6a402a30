"""What tests/browser/run is made of."""
