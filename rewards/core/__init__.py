"""Terms, expressions, layers and their names."""
